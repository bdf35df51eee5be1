//! A span, as Zipkin's JSON of version 2 has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::limit;

/// What somebody did for a request, and how long that took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Span {
    /// The trace that it belongs to: 16 or 32 hexadecimal digits in lower case.
    pub trace_id: String,
    /// Its id: 16 digits. The two sides of a call may share it.
    pub id: String,
    /// The id of the span that caused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// What was done, such as `GET /`.
    pub name: String,
    /// Which side of a call it is.
    pub kind: Kind,
    /// Who did it; empty where nobody says so.
    pub service: String,
    /// When it began, in microseconds since 1970; 0 where nobody says so.
    pub start: u64,
    /// How long it took, in microseconds.
    pub duration: u64,
    /// What else is said of it.
    pub tags: BTreeMap<String, String>,
    /// Whether it failed: it has the tag `error`, or the status 5xx.
    pub error: bool,
}

/// The side of a call that a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    /// It calls.
    Client,
    /// It is called.
    Server,
    /// It sends a message.
    Producer,
    /// It receives a message.
    Consumer,
    /// It is no side of a call.
    #[default]
    Local,
}

impl Span {
    /// A tag; `None` where it is missing, empty, or `-`, which Envoy writes for nothing.
    #[must_use]
    pub fn tag(&self, name: &str) -> Option<&str> {
        self.tags.get(name).map(String::as_str).filter(|value| !value.is_empty() && *value != "-")
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.tag("http.status_code")?.parse().ok()
    }

    /// Bytes of its texts.
    pub(super) fn bytes(&self) -> usize {
        let tags: usize = self.tags.iter().map(|(name, value)| name.len() + value.len()).sum();
        tags + self.name.len() + self.service.len()
    }
}

/// A span on its way. Fields that say nothing here are left out.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reported {
    trace_id: String,
    id: String,
    #[serde(default)]
    parent_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    timestamp: Option<u64>,
    #[serde(default)]
    duration: Option<u64>,
    #[serde(default)]
    local_endpoint: Option<Endpoint>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    #[serde(default)]
    service_name: Option<String>,
}

/// The spans of a body in Zipkin's JSON of version 2: a list of objects.
///
/// # Errors
/// It is something else; the message says what, and nothing of the body is used.
pub fn read(body: &[u8]) -> Result<Vec<Span>, String> {
    let reported: Vec<Reported> = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not a list of spans: {error}; send JSON of Zipkin, version 2"))?;
    let numbered = (1..).zip(reported);
    numbered.map(|(number, span)| span.checked().map_err(|error| format!("span {number}: {error}"))).collect()
}

impl Reported {
    fn checked(self) -> Result<Span, String> {
        let tags = self.tags.unwrap_or_default();
        let failed = |tags: &BTreeMap<String, String>| {
            tags.get("error").is_some_and(|error| error != "false")
                || tags.get("http.status_code").is_some_and(|status| status.len() == 3 && status.starts_with('5'))
        };
        Ok(Span {
            trace_id: id(&self.trace_id, 32)?,
            id: id(&self.id, 16)?,
            // Some write an empty one for none.
            parent: self.parent_id.filter(|parent| !parent.is_empty()).map(|parent| id(&parent, 16)).transpose()?,
            name: short(self.name.unwrap_or_default()),
            kind: self.kind.unwrap_or_default(),
            service: short(self.local_endpoint.and_then(|endpoint| endpoint.service_name).unwrap_or_default()),
            start: self.timestamp.unwrap_or_default(),
            duration: self.duration.unwrap_or_default(),
            error: failed(&tags),
            tags: tags.into_iter().take(limit::TAGS).map(|(name, value)| (short(name), short(value))).collect(),
        })
    }
}

/// An id in one form: some leave out zeros in front.
fn id(text: &str, most: usize) -> Result<String, String> {
    let hexadecimal = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty() || text.len() > most || !hexadecimal {
        return Err(format!("`{}` is not an id; send 1 to {most} hexadecimal digits", short(text.to_owned())));
    }
    let width = if text.len() > 16 { 32 } else { 16 };
    Ok(format!("{:0>width$}", text.to_ascii_lowercase()))
}

/// The start of a long text.
fn short(mut text: String) -> String {
    if text.len() > limit::TEXT {
        let end = (0..=limit::TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Envoy 1.40 sends it.
    const ENVOY: &str = r#"[{"id":"bbedc506d1a983f8","traceId":"1e240e00000000aabbedc506d1a983f8","kind":"SERVER","name":"reviews",
        "timestamp":1764352800000001,"duration":1057,"localEndpoint":{"serviceName":"serin","ipv4":"127.0.0.1","port":0},
        "tags":{"http.method":"GET","http.status_code":"503","serin.version":"v2","response_flags":"-"}}]"#;

    #[test]
    fn a_span_of_envoy_is_read() {
        let tags = [("http.method", "GET"), ("http.status_code", "503"), ("serin.version", "v2"), ("response_flags", "-")];
        let expected = Span {
            trace_id: "1e240e00000000aabbedc506d1a983f8".to_owned(),
            id: "bbedc506d1a983f8".to_owned(),
            parent: None,
            name: "reviews".to_owned(),
            kind: Kind::Server,
            service: "serin".to_owned(),
            start: 1_764_352_800_000_001,
            duration: 1_057,
            tags: tags.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            error: true,
        };
        let spans = read(ENVOY.as_bytes()).unwrap();
        assert_eq!(spans, [expected]);
        let tag = |name: &str| spans[0].tag(name);
        assert_eq!((tag("serin.version"), tag("response_flags"), tag("other")), (Some("v2"), None, None));
        assert_eq!(spans[0].status(), Some(503));
    }

    #[test]
    fn little_is_needed_and_ids_have_one_form() {
        let spans = read(br#"[{"traceId": "AbC", "id": "1", "parentId": "", "tags": null, "shared": true}]"#).unwrap();
        let ids = (spans[0].trace_id.as_str(), spans[0].id.as_str(), spans[0].parent.as_deref());
        assert_eq!(ids, ("0000000000000abc", "0000000000000001", None));
        assert_eq!((spans[0].kind, spans[0].start, spans[0].error), (Kind::Local, 0, false));
        assert_eq!(read(b"[]"), Ok(Vec::new()));
        let wide = read(br#"[{"traceId": "10000000000000000", "id": "1", "parentId": "2"}]"#).unwrap();
        assert_eq!(wide[0].trace_id, "00000000000000010000000000000000");
        assert_eq!(wide[0].parent.as_deref(), Some("0000000000000002"));
    }

    #[test]
    fn what_failed_says_so() {
        let failed =
            |tags: &str| read(format!(r#"[{{"traceId": "1", "id": "1", "tags": {tags}}}]"#).as_bytes()).unwrap()[0].error;
        for (tags, expected) in [
            ("{}", false),
            (r#"{"error": "true"}"#, true),
            (r#"{"error": ""}"#, true),
            (r#"{"error": "false"}"#, false),
            (r#"{"http.status_code": "500"}"#, true),
            (r#"{"http.status_code": "404"}"#, false),
            (r#"{"http.status_code": "5"}"#, false),
        ] {
            assert_eq!(failed(tags), expected, "{tags}");
        }
    }

    #[test]
    fn anything_else_is_refused_in_words() {
        let list = "the body is not a list of spans: ";
        let fix = "; send JSON of Zipkin, version 2";
        for (body, expected) in [
            ("", format!("{list}EOF while parsing a value at line 1 column 0{fix}")),
            ("{}", format!("{list}invalid type: map, expected a sequence at line 1 column 0{fix}")),
            ("[{}]", format!("{list}missing field `traceId` at line 1 column 3{fix}")),
            (
                r#"[{"traceId": "1", "id": "1"}, {"traceId": "x", "id": "1"}]"#,
                "span 2: `x` is not an id; send 1 to 32 hexadecimal digits".to_owned(),
            ),
            (
                r#"[{"traceId": "1", "id": "12345678901234567"}]"#,
                "span 1: `12345678901234567` is not an id; send 1 to 16 hexadecimal digits".to_owned(),
            ),
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err(), expected, "{body}");
        }
    }

    #[test]
    fn texts_and_tags_have_an_end() {
        let tags: BTreeMap<String, String> = (0..100).map(|n| (format!("t{n:02}"), "ä".repeat(2_000))).collect();
        let body = serde_json::json!([{"traceId": "1", "id": "1", "name": "é".repeat(600), "tags": tags}]);
        let span = read(body.to_string().as_bytes()).unwrap().remove(0);
        assert_eq!((span.tags.len(), span.tags["t00"].len(), span.tags["t63"].chars().count()), (64, 1_027, 513));
        assert_eq!(span.name, format!("{}…", "é".repeat(512)));
    }
}
