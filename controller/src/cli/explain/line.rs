//! A request on one line of a batch, and what can be wrong with the line.

use std::borrow::Cow;
use std::net::IpAddr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::Value as Json;
use serde_json::value::RawValue;

use super::request::Asked;
use crate::standalone::edge::Header;

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

const FIELDS: [&str; 4] = ["id", "destination", "headers", "source"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    destination: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    headers: Vec<(Cow<'a, str>, Value<'a>)>,
    #[serde(default)]
    source: Option<IpAddr>,
}

/// A header's value: text, or bytes that are not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Value<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    Bytes { base64: String },
}

/// All that must be there to say which line an error is about.
#[derive(Deserialize)]
struct Identified<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
}

/// The id of a line, as JSON.
pub(super) fn id(text: &[u8]) -> &str {
    serde_json::from_slice::<Identified<'_>>(text).map_or("null", |line| line.id.get())
}

/// The id of a line, as JSON, and its request; `number` is the line's, from 1.
pub(in crate::cli) fn read(text: &[u8], number: u64) -> Result<(&str, Asked), String> {
    // A list of the fields' values would be taken too.
    let line = text.starts_with(b"{").then(|| serde_json::from_slice::<Line<'_>>(text).ok()).flatten();
    let line = line.ok_or_else(|| fault(text))?;
    let headers = line.headers.into_iter().map(|(name, value)| {
        let bytes = match value {
            Value::Text(text) => text.into_owned().into_bytes(),
            Value::Bytes { base64 } => decode(&name, &base64)?,
        };
        Ok((name.into_owned(), bytes))
    });
    let headers = headers.collect::<Result<Vec<Header>, String>>()?;
    let asked = Asked { destination: line.destination.map(Cow::into_owned), headers, source: line.source, number };
    Ok((line.id.map_or("null", RawValue::get), asked))
}

fn decode(name: &str, base64: &str) -> Result<Vec<u8>, String> {
    BASE64.decode(base64).map_err(|_| format!("header `{name}`: `{base64}` is not base64; write its bytes in base64"))
}

/// What is wrong with a line that does not fit.
fn fault(text: &[u8]) -> String {
    let value: Json = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => {
            let words = error.to_string();
            let words = words.split(" at line ").next().unwrap_or_default();
            return format!("not JSON at character {}: {words}; write one object a line", error.column());
        }
    };
    let Json::Object(fields) = &value else {
        return format!("{} where an object belongs; write {{\"headers\": [[\":path\", \"/\"]]}}", kind(&value));
    };
    if let Some(unknown) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return format!("unknown field `{unknown}`; use `{}`", FIELDS.join("`, `"));
    }
    let wrong = |name: &str, expected: &str, example: &str| {
        format!("{name}: {} where {expected} belongs; write {example}", kind(fields.get(name).unwrap_or(&Json::Null)))
    };
    match fields.get("destination") {
        None | Some(Json::Null | Json::String(_)) => {}
        Some(_) => return wrong("destination", "a text", "\"HOST:PORT\""),
    }
    match fields.get("source") {
        None | Some(Json::Null) => {}
        Some(Json::String(source)) if source.parse::<IpAddr>().is_ok() => {}
        Some(Json::String(source)) => return format!("source: `{source}` is not an address; write one such as 10.0.0.1"),
        Some(_) => return wrong("source", "an address", "\"10.0.0.1\""),
    }
    match fields.get("headers") {
        None => {}
        Some(Json::Array(headers)) => {
            if let Some(fault) = headers.iter().enumerate().find_map(|(index, header)| fault_of(index, header)) {
                return fault;
            }
        }
        Some(_) => return wrong("headers", "a list", "[[\":path\", \"/\"]]"),
    }
    "a field is there twice; keep one".to_owned()
}

fn fault_of(index: usize, header: &Json) -> Option<String> {
    let value = match header.as_array().map(Vec::as_slice) {
        Some([Json::String(_), Json::String(_)]) => return None,
        Some([Json::String(_), value]) => value,
        _ => return Some(format!("headers[{index}] is not a name with a value; write [\"NAME\", \"VALUE\"]")),
    };
    let bytes = value.as_object().filter(|object| object.len() == 1).and_then(|object| object.get("base64"));
    match bytes {
        Some(Json::String(_)) => None,
        _ => {
            let fix = "write a text, or {\"base64\": TEXT} for bytes that are not";
            Some(format!("headers[{index}]: {} where a value belongs; {fix}", kind(value)))
        }
    }
}

fn kind(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) => "a text",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_is_said_in_words_of_our_own() {
        for (line, expected) in [
            ("nonsense", "not JSON at character 2: expected ident; write one object a line"),
            (r#"{"id":1,"#, "not JSON at character 8: EOF while parsing a value; write one object a line"),
            ("null", r#"null where an object belongs; write {"headers": [[":path", "/"]]}"#),
            ("[1]", r#"a list where an object belongs; write {"headers": [[":path", "/"]]}"#),
            (r#"{"header":[]}"#, "unknown field `header`; use `id`, `destination`, `headers`, `source`"),
            (r#"{"destination":7}"#, r#"destination: a number where a text belongs; write "HOST:PORT""#),
            (r#"{"source":"nowhere"}"#, "source: `nowhere` is not an address; write one such as 10.0.0.1"),
            (r#"{"source":[]}"#, r#"source: a list where an address belongs; write "10.0.0.1""#),
            (r#"{"headers":7}"#, r#"headers: a number where a list belongs; write [[":path", "/"]]"#),
            (r#"{"headers":null}"#, r#"headers: null where a list belongs; write [[":path", "/"]]"#),
            (r#"{"headers":["a"]}"#, r#"headers[0] is not a name with a value; write ["NAME", "VALUE"]"#),
            (
                r#"{"headers":[["a","b"],[":path",5]]}"#,
                r#"headers[1]: a number where a value belongs; write a text, or {"base64": TEXT} for bytes that are not"#,
            ),
            (
                r#"{"headers":[["x",{"base65":"a"}]]}"#,
                r#"headers[0]: an object where a value belongs; write a text, or {"base64": TEXT} for bytes that are not"#,
            ),
            (r#"{"headers":[["x",{"base64":"*"}]]}"#, "header `x`: `*` is not base64; write its bytes in base64"),
            (r#"{"id":1,"id":2}"#, "a field is there twice; keep one"),
        ] {
            assert_eq!(read(line.as_bytes(), 1).unwrap_err(), expected, "{line}");
        }
    }
}
