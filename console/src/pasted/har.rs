//! HAR 1.2 (W3C, "HTTP Archive format"): a whole one, an entry, or a request alone.

use serde::Deserialize;
use serde_json::Value;

use crate::pasted::request::{Pasted, PastedError, is_token};
use crate::pasted::url::Url;

#[derive(Deserialize)]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

/// Reads a HAR; of a whole one the first entry.
///
/// # Errors
/// It is not JSON, or holds no request.
pub fn read(text: &str) -> Result<Pasted, PastedError> {
    let value: Value = serde_json::from_str(text).map_err(|error| PastedError {
        line: error.line().max(1),
        column: error.column().max(1),
        message: format!("this is not JSON: {}; copy the whole HAR", reason(&error)),
    })?;
    let wrong = |message: String| PastedError { line: 1, column: 1, message };
    let whole = value.pointer("/log/entries").and_then(Value::as_array);
    let entry = match whole {
        Some(entries) => {
            entries.first().ok_or_else(|| wrong("the HAR has no entry; record a request and copy it again".to_owned()))?
        }
        None => &value,
    };
    let request = entry.get("request").unwrap_or(entry);
    let request = Request::deserialize(request).map_err(|error| {
        wrong(format!("this is JSON and not a HAR: {error}; copy a request as HAR, with `method`, `url` and `headers`"))
    })?;
    let url = Url::read(&request.url).map_err(wrong)?;
    if !is_token(&request.method) {
        return Err(wrong(format!("`{}` is not a method; copy the request again", request.method)));
    }
    let mut pasted = Pasted::new(&request.method, url);
    for Header { name, value } in &request.headers {
        pasted.add(name, value).map_err(|message| wrong(format!("{message}; remove this header")))?;
    }
    pasted.url.credentials = None;
    if let Some(entries) = whole.filter(|entries| entries.len() > 1) {
        pasted.notes.push(format!("only the first of {} requests was read", entries.len()));
    }
    if !pasted.has("cookie") {
        pasted.notes.push("there are no cookies; browsers leave them out of a HAR that is sanitized".to_owned());
    }
    Ok(pasted)
}

/// What serde_json says, without the place, which stands before it.
pub(crate) fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}
