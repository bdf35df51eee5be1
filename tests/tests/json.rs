//! The engine reads JSON by a lexer of its own: it takes what serde_json takes, and reads the same from it.
//!
//! Shown by the two doors through which any JSON may come: a claim of a token, and the version of a document.
#![cfg(test)]

use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;
use serin_config::{DocumentError, Split, claim};

/// Padding may be missing, and the last bits may be any.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// What serde_json makes of a text; `Err` where it refuses it.
fn peer(text: &[u8]) -> Result<Value, String> {
    serde_json::from_slice::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// The claim `ok` of a token with this payload.
fn ok_in(payload: &[u8]) -> Option<String> {
    let token = format!("e30.{}.x", URL_SAFE_NO_PAD.encode(payload));
    claim(token.as_bytes(), "ok").map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Compares the two over one text as the whole payload of a token.
fn same(payload: &[u8]) {
    let (ours, shown) = (ok_in(payload), String::from_utf8_lossy(payload));
    let value = match peer(payload) {
        Ok(value) => value,
        // A number beyond all numbers of 64 bits is one by RFC 8259; no document has one, and a claim is handed on as it is written.
        Err(error) if error.contains("number out of range") => return,
        // Nothing here goes down with a value's depth.
        Err(error) if error.contains("recursion limit") => return,
        Err(error) => return assert_eq!(ours, None, "{shown}: {error}"),
    };
    match value.get("ok") {
        Some(Value::String(text)) => assert_eq!(ours.as_ref(), Some(text), "{shown}"),
        Some(Value::Bool(value)) => assert_eq!(ours, Some(value.to_string()), "{shown}"),
        Some(Value::Number(number)) => {
            let written: serde_json::Number = serde_json::from_str(&ours.unwrap()).unwrap();
            assert_eq!(written, *number, "{shown}");
        }
        _ => assert_eq!(ours, None, "{shown}"),
    }
}

/// Compares the two over a text wherever a value may stand, and as a whole.
fn compare(text: &[u8]) {
    same(text);
    same(&[b"{\"ok\":", text, b"}"].concat());
    same(&[b"{\"x\":", text, b",\"ok\":true}"].concat());
    same(&[b"{\"x\":[1, ", text, b" ],\"ok\":true}"].concat());
    same(&[b"{\"ok\":true,", text, b":1}"].concat());
    same(&[b"{\"ok\":true}", text].concat());
    let version = match Split::parse(&[b"{\"version\":", text, b",\"splits\":[]}"].concat()) {
        Ok(_) => Some(1),
        Err(DocumentError::Version(version)) => Some(version),
        Err(_) => None,
    };
    assert_eq!(version, peer(text).ok().and_then(|value| value.as_u64()), "{}", String::from_utf8_lossy(text));
}

#[test]
fn hard_cases_are_read_as_serde_json_reads_them() {
    let numbers = [
        "-",
        "0",
        "-0",
        "00",
        "01",
        "-01",
        "1.",
        "1.0",
        ".1",
        "1.e1",
        "1e",
        "1e+",
        "1E-2",
        "1e5",
        "0e0",
        "+1",
        "1_0",
        "0x1",
        "Infinity",
        "NaN",
        "1e999",
        "-1",
        "1 2",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "99999999999999999999999",
        "1.5",
    ];
    let texts = [
        r#""""#,
        r#"""#,
        r#""a"#,
        r#""\""#,
        r#""\\""#,
        r#""\/\b\f\n\r\t\"""#,
        r#""\a""#,
        r#""\u00e9""#,
        r#""\u00E9x""#,
        r#""\u00g9""#,
        r#""\u12""#,
        r#""\u""#,
        r#""\U0041""#,
        r#""\u0000""#,
        r#""\ud83d\ude00""#,
        r#""\uD83D\uDE00!""#,
        r#""\ud83d""#,
        r#""\ude00""#,
        r#""\ud83d\u0041""#,
        r#""\ud83d\ud83d""#,
        r#""\ud83dx""#,
        r#""\ud83d\n""#,
        r#""\udbff\udfff""#,
        r#""\uffff""#,
        "\"\t\"",
        "\"\n\"",
        "\"\0\"",
        "\"\u{7f}\"",
        "\"é\u{10ffff}\"",
        "'a'",
        r#""a" "b""#,
        r#""o\u006b""#,
    ];
    let rest = [
        "",
        " ",
        "null",
        "nul",
        "nulls",
        "true",
        "True",
        "false",
        "falsee",
        "[",
        "]",
        "[]",
        "[ ]",
        "[1]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "{",
        "}",
        "{}",
        "{,}",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a" : 1 , "b" : 2}"#,
        r#"{a:1}"#,
        "{1:2}",
        r#"{"a":1 "b":2}"#,
        r#"{"ok":1,"ok":2}"#,
        "[}",
        "{]",
        "[[]",
        "[]]",
        "[{}]",
        r#"{"a":[{"b":[]}]}"#,
        "/**/1",
        "1//",
        "\u{feff}1",
        "\u{feff}{}",
        "\x001",
        "1\0",
        "\u{a0}1",
        "\u{b}1",
        " \t\r\n1\n",
        r#"{"ok":"x"} "#,
        r#"{"ok":"x"}{}"#,
        "1,2",
        ":",
        ",",
    ];
    for text in numbers.into_iter().chain(texts).chain(rest) {
        compare(text.as_bytes());
    }
    for bytes in [
        &b"\xff"[..],
        b"\"\xff\"",
        b"\"\xc3\"",
        b"\"\xc3\xa9\"",
        b"\"\xed\xa0\x80\"",
        b"\"\xc0\x80\"",
        b"\"\xf4\x90\x80\x80\"",
        b"{\"\xff\":1}",
    ] {
        compare(bytes);
    }
}

#[test]
fn depth_costs_no_stack() {
    for depth in [1, 100, 126, 127, 128, 200_000] {
        let deep = ["[".repeat(depth), "]".repeat(depth)].concat();
        let open = ["[".repeat(depth), "]".repeat(depth - 1)].concat();
        assert_eq!(ok_in(format!("{{\"x\":{deep},\"ok\":1}}").as_bytes()).as_deref(), Some("1"), "{depth}");
        assert_eq!(ok_in(format!("{{\"x\":{open},\"ok\":1}}").as_bytes()), None, "{depth}");
        let refused = Split::parse(format!("{{\"version\":1,\"splits\":[{deep}]}}").as_bytes()).unwrap_err();
        assert_eq!(refused.to_string(), "splits[0]: a list where an object belongs; write an object", "{depth}");
    }
}

/// Any JSON, with blanks and escapes here and there.
fn json() -> impl Strategy<Value = String> {
    let blank = || prop_oneof![4 => Just(""), 1 => Just(" "), 1 => Just("\n\t\r ")];
    let text = proptest::collection::vec(
        prop_oneof![
            4 => "[a-zA-Z]{1,3}".boxed(),
            1 => "\\PC".prop_filter("escaped below", |c| c != "\"" && c != "\\").boxed(),
            1 => prop::sample::select(vec!["\\n", "\\\"", "\\\\", "\\/", "\\u0041", "\\ud83d\\ude00", "é", "😀"]).prop_map(str::to_owned).boxed(),
        ],
        0..4,
    )
    .prop_map(|parts| format!("\"{}\"", parts.concat()));
    let name = prop_oneof![Just("\"ok\"".to_owned()), text.clone()];
    let number = prop_oneof![
        any::<i64>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        any::<f32>().prop_filter("no JSON", |n| n.is_finite()).prop_map(|n| format!("{n:e}"))
    ];
    let leaf = prop_oneof![
        text,
        number,
        prop::sample::select(vec!["null", "true", "false", "[]", "{}", "0"]).prop_map(str::to_owned)
    ];
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let (name, padded) =
            (name.clone(), (blank(), inner, blank()).prop_map(|(before, value, behind)| format!("{before}{value}{behind}")));
        let member = (blank(), name, blank(), padded.clone())
            .prop_map(|(before, name, between, value)| format!("{before}{name}{between}:{value}"));
        prop_oneof![
            proptest::collection::vec(padded, 0..5).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

/// A text with some of its bytes changed, doubled or gone.
fn mutated(text: &str, edits: &[(prop::sample::Index, u8, u8)]) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (at, operation, byte) in edits {
        let at = at.index(bytes.len() + 1);
        match operation % 4 {
            0 if at < bytes.len() => bytes[at] = *byte,
            1 if at < bytes.len() => drop(bytes.remove(at)),
            2 => bytes.insert(at, *byte),
            _ => bytes.insert(at, b"{}[]\",:\\-.0eEu \n"[usize::from(*byte) % 16]),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_read_as_serde_json_reads_it(text in json()) {
        prop_assert_eq!(peer(text.as_bytes()).err(), None, "{}", text);
        compare(text.as_bytes());
    }

    #[test]
    fn tokens_are_decoded_as_the_crate_base64_decodes_them(
        value in "[a-zé]{0,6}", edits in proptest::collection::vec((any::<prop::sample::Index>(), "[A-Za-z0-9=_+/ -]"), 0..3), padding in 0..4_usize,
    ) {
        let mut text = URL_SAFE_NO_PAD.encode(format!("{{\"ok\":\"{value}\"}}"));
        for (at, edit) in edits {
            let at = at.index(text.len());
            text.replace_range(at..=at, &edit);
        }
        text.push_str(&"=".repeat(padding));
        let decoded = LENIENT.decode(&text).ok();
        let ours = claim(format!("e30.{text}.x").as_bytes(), "ok").map(|bytes| String::from_utf8(bytes).unwrap());
        prop_assert_eq!(ours, decoded.and_then(|payload| ok_in(&payload)), "{}", text);
    }

    #[test]
    fn what_is_nearly_json_is_refused_where_serde_json_refuses_it(
        text in json(), edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), any::<u8>()), 1..4),
    ) {
        compare(&mutated(&text, &edits));
    }
}
