//! What browsers copy as fetch: `fetch("URL", {..});`, whose parts are JSON.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::pasted::har::reason;
use crate::pasted::request::{Pasted, PastedError, is_token};
use crate::pasted::url::Url;

#[derive(Default, Deserialize)]
struct Options {
    method: Option<String>,
    #[serde(default)]
    headers: Pairs,
    referrer: Option<String>,
}

/// The members of an object, in their order.
#[derive(Default)]
struct Pairs(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers as an object of texts")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Members)
    }
}

/// What follows `fetch(`, with the characters before it; `None` where a text is something else.
#[must_use]
pub fn arguments(text: &str) -> Option<(&str, usize)> {
    let start = text.trim_start();
    let start = start.strip_prefix("await").map_or(start, str::trim_start);
    let rest = start.strip_prefix("fetch")?.trim_start().strip_prefix('(')?;
    Some((rest, text.chars().count() - rest.chars().count()))
}

/// Reads what follows `fetch(`; `before` are the characters before it in `text`.
///
/// # Errors
/// Its parts are not JSON, as is what a program has and no browser copies.
pub fn read(text: &str, rest: &str, before: usize) -> Result<Pasted, PastedError> {
    let url = part::<String>(text, rest, before)?;
    let (address, rest) = url;
    let at = text.chars().count() - rest.chars().count();
    let wrong = |at: usize, message: String| PastedError::at(text, at, message);
    let mut url = Url::read(&address).map_err(|message| wrong(before, message))?;
    url.credentials = None;
    let options = match rest.trim_start().strip_prefix(',') {
        Some(rest) => part::<Options>(text, rest, text.chars().count() - rest.chars().count())?.0,
        None if rest.trim_start().starts_with(')') => Options::default(),
        None => return Err(wrong(at, "`,` or `)` is missing here; copy the whole of it".to_owned())),
    };
    let method = options.method.unwrap_or_else(|| "GET".to_owned());
    if !is_token(&method) {
        return Err(wrong(at, format!("`{method}` is not a method; copy the request again")));
    }
    let mut pasted = Pasted::new(&method, url);
    for (name, value) in &options.headers.0 {
        pasted.add(name, value).map_err(|message| wrong(at, format!("{message}; remove this header")))?;
    }
    // `about:client` says that the browser decides.
    if let Some(referrer) = options.referrer.filter(|referrer| referrer.starts_with("http") && !pasted.has("referer")) {
        pasted.add("referer", &referrer).map_err(|message| wrong(at, format!("{message}; remove `referrer`")))?;
    }
    if !pasted.has("cookie") {
        pasted.notes.push("browsers copy fetch without cookies; copy as cURL to have them".to_owned());
    }
    Ok(pasted)
}

/// The JSON at the start of a text, and what follows it.
fn part<'a, T: for<'de> Deserialize<'de>>(text: &str, rest: &'a str, before: usize) -> Result<(T, &'a str), PastedError> {
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
    match values.next() {
        Some(Ok(value)) => Ok((value, rest.get(values.byte_offset()..).unwrap_or_default())),
        Some(Err(error)) => {
            let lines = error.line().saturating_sub(1);
            let whole: usize = rest.split_inclusive('\n').take(lines).map(|line| line.chars().count()).sum();
            let at = before + whole + error.column().saturating_sub(1);
            let message =
                format!("this is not JSON: {}; paste what a browser copies as fetch, in double quotes", reason(&error));
            Err(PastedError::at(text, at, message))
        }
        None => Err(PastedError::at(text, before, "fetch has no URL; copy the whole of it")),
    }
}
