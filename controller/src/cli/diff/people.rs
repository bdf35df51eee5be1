//! What becomes of single users and requests.

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use serde::Serialize;
use serin_config::{Decision, KeySource, ReleaseSplit, Split};
use serin_release::file::cannot_read;

use crate::cli::Failure;
use crate::cli::explain::line;
use crate::cli::explain::request::Asked;
use crate::cli::explain::subject::Subject;

/// So many requests that change are named.
const NAMED: usize = 10;

/// Two states of a release that decide.
pub(super) struct People {
    before: Subject,
    after: Subject,
}

/// What becomes of a user.
#[derive(Serialize)]
pub(super) struct User {
    /// The key.
    pub(super) user: String,
    /// The version before.
    pub(super) from: String,
    /// The version after.
    pub(super) to: String,
    /// Why it is this one.
    pub(super) reason: String,
}

/// What becomes of recorded requests.
#[derive(Serialize)]
pub(super) struct Requests {
    /// How many get another version.
    pub(super) changed: u64,
    /// How many there are.
    pub(super) of: u64,
    /// The first ones that change.
    pub(super) lines: Vec<Line>,
}

/// A request that gets another version.
#[derive(Serialize)]
pub(super) struct Line {
    /// Its line, from 1.
    pub(super) line: u64,
    /// The version before.
    pub(super) from: String,
    /// The version after.
    pub(super) to: String,
    /// Why it is this one.
    pub(super) reason: String,
}

impl People {
    pub(super) fn new(before: Split, after: Split) -> Self {
        Self { before: Subject::of(before), after: Subject::of(after) }
    }

    fn both(&self, asked: Asked) -> Result<[Decision<'_>; 2], String> {
        let before = self.before.decide(asked.clone()).map_err(|unclear| unclear.in_a_batch())?;
        let after = self.after.decide(asked).map_err(|unclear| unclear.in_a_batch())?;
        Ok([before, after])
    }

    /// What becomes of a user of the release as it shall be.
    pub(super) fn user(&self, key: &str, entry: &ReleaseSplit) -> Result<User, Failure> {
        let header = header(key, entry).map_err(Failure::Invalid)?;
        let asked = Asked { destination: None, headers: vec![header], source: None, number: 0 };
        let [before, after] = self.both(asked).map_err(Failure::Invalid)?;
        Ok(User { user: key.to_owned(), from: version(&before), to: version(&after), reason: after.summary() })
    }

    /// What becomes of the requests of a file.
    pub(super) fn requests(&self, path: &Path) -> Result<Requests, Failure> {
        let lines: Box<dyn BufRead> = match path.as_os_str() == "-" {
            true => Box::new(BufReader::new(io::stdin())),
            false => Box::new(BufReader::new(fs::File::open(path).map_err(|error| cannot_read(path, &error))?)),
        };
        let mut requests = Requests { changed: 0, of: 0, lines: Vec::new() };
        for (text, number) in lines.split(b'\n').zip(1..) {
            let text = text.map_err(|error| Failure::running("cannot read the requests", error))?;
            if text.trim_ascii().is_empty() {
                continue;
            }
            let fault = |fault: String| Failure::Invalid(format!("{}: line {number}: {fault}", path.display()));
            let (_, asked) = line::read(text.trim_ascii(), number).map_err(fault)?;
            let [before, after] = self.both(asked).map_err(fault)?;
            requests.of += 1;
            if before.version == after.version {
                continue;
            }
            requests.changed += 1;
            if requests.lines.len() < NAMED {
                let (from, to, reason) = (version(&before), version(&after), after.summary());
                requests.lines.push(Line { line: number, from, to, reason });
            }
        }
        Ok(requests)
    }
}

fn version(decision: &Decision<'_>) -> String {
    decision.version.unwrap_or("no version").to_owned()
}

/// A header that carries the key of a user, where the release looks first.
fn header(key: &str, entry: &ReleaseSplit) -> Result<(String, Vec<u8>), String> {
    let sources = entry.sticky.as_ref().map(|sticky| sticky.by.as_slice()).unwrap_or_default();
    let header = sources.iter().find_map(|source| match source {
        KeySource::Cookie(name) => Some(("cookie".to_owned(), format!("{name}={key}"))),
        KeySource::Header(name) => Some((name.clone(), key.to_owned())),
        KeySource::Query(name) => Some((":path".to_owned(), format!("/?{name}={key}"))),
        KeySource::Baggage(name) => Some(("baggage".to_owned(), format!("{name}={key}"))),
        KeySource::JwtClaim(_) | KeySource::SourceAddress(_) => None,
    });
    let header = header.map(|(name, value)| (name, value.into_bytes()));
    header.ok_or_else(|| {
        "--user: `spec.sticky.by` names no cookie, header, query or baggage that could carry the key; use --requests"
            .to_owned()
    })
}
