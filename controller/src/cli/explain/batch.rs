//! JSON lines in, one answer each, in order and in constant memory.

use std::borrow::Cow;
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Read, Write};
use std::net::IpAddr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::value::RawValue;
use serin_config::{Decision, Split};

use super::{Asked, answer_json};
use crate::cli::Failure;

const BASE64: GeneralPurpose =
    GeneralPurpose::new(&STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// A request on one line.
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

/// A header's value: text, or bytes that are none.
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

/// Answers each line of `lines`.
pub(super) fn answer(split: &Split, lines: impl Read, out: impl Write, json: bool) -> Result<(), Failure> {
    let mut lines = BufReader::with_capacity(1 << 16, lines);
    let mut out = BufWriter::with_capacity(1 << 16, out);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read =
            lines.read_until(b'\n', &mut line).map_err(|error| Failure::running("cannot read the requests", error))?;
        let text = line.trim_ascii();
        if read == 0 {
            return written(out.flush());
        }
        if !text.is_empty() {
            let answer = answer_line(split, text, json);
            if let Err(error) = out.write_all(answer.as_bytes()) {
                return written(Err(error));
            }
        }
        // Whoever writes one line and waits for its answer gets it.
        if lines.buffer().is_empty()
            && let Err(error) = out.flush()
        {
            return written(Err(error));
        }
    }
}

fn written(result: std::io::Result<()>) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::running("cannot write the answers", error)),
        _ => Ok(()),
    }
}

fn answer_line(split: &Split, text: &[u8], json: bool) -> String {
    let (id, decision) = match decide(split, text) {
        Ok((id, decision)) => (id, Ok(decision)),
        Err(error) => {
            let id = serde_json::from_slice::<Identified<'_>>(text).map_or("null", |line| line.id.get());
            (id, Err(error))
        }
    };
    match (decision, json) {
        (Ok(decision), true) => format!("{}\n", answer_json(id, &decision)),
        (Err(error), true) => format!("{{\"id\":{id},\"error\":{}}}\n", serde_json::Value::from(error)),
        (Ok(decision), false) => {
            let [release, version] = [decision.release, decision.version].map(|name| name.unwrap_or("-"));
            format!("{id}\t{release}\t{version}\t{}\n", decision.summary())
        }
        (Err(error), false) => format!("{id}\t-\t-\terror: {error}\n"),
    }
}

fn decide<'s, 'l>(split: &'s Split, text: &'l [u8]) -> Result<(&'l str, Decision<'s>), String> {
    let line: Line<'l> = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let headers = line.headers.into_iter().map(|(name, value)| {
        let bytes = match value {
            Value::Text(text) => text.into_owned().into_bytes(),
            Value::Bytes { base64 } => {
                BASE64.decode(&base64).map_err(|error| format!("header `{name}`: base64: {error}"))?
            }
        };
        Ok((name.into_owned(), bytes))
    });
    let headers = headers.collect::<Result<_, String>>()?;
    let asked = Asked { destination: line.destination.map(Cow::into_owned), headers, source: line.source };
    Ok((line.id.map_or("null", RawValue::get), asked.decide(split)?))
}
