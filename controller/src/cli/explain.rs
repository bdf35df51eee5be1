//! `serin explain`: say which version a request gets, and why.

mod batch;

use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use serin_config::{Decision, Destination, Explanation, Request, Split};

use super::{Failure, Input, Output, print};
use crate::file;

/// Say which version a request gets, and why.
#[derive(Args, Debug)]
pub(super) struct Explain {
    #[command(flatten)]
    input: Input,
    /// Requests as JSON lines, answered one line each, in order; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["destination", "header", "path", "method", "source"])]
    requests: Option<PathBuf>,
    /// The form of the answer: `text` for one request and `json` for `--requests`, unless told.
    #[arg(short, long, value_enum)]
    output: Option<Output>,
    /// Where the request goes; the only release of the file unless told.
    #[arg(long, value_name = "HOST:PORT")]
    destination: Option<String>,
    /// A header of the request; may be given several times.
    #[arg(long, value_name = "NAME: VALUE", value_parser = parse_header)]
    header: Vec<(String, String)>,
    /// Path and query.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
    /// The method.
    #[arg(long, value_name = "METHOD")]
    method: Option<String>,
    /// The client's address.
    #[arg(long, value_name = "IP")]
    source: Option<IpAddr>,
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    // A pseudo-header begins with the colon.
    let at = text.char_indices().find(|&(at, c)| at > 0 && c == ':').map(|(at, _)| at);
    let (name, value) =
        at.and_then(|at| text.split_at_checked(at)).ok_or("write `NAME: VALUE`, such as `cookie: user=ann`")?;
    Ok((name.trim().to_owned(), value.strip_prefix(':').unwrap_or(value).trim().to_owned()))
}

impl Explain {
    pub(super) fn run(self) -> Result<(), Failure> {
        let split = file::read(&self.input.file)?.compile(&self.input.file)?.split;
        match &self.requests {
            Some(path) if path.as_os_str() == "-" => {
                batch::answer(&split, io::stdin(), io::stdout().lock(), self.output != Some(Output::Text))
            }
            Some(path) => {
                let file = fs::File::open(path)
                    .map_err(|error| Failure::Invalid(format!("{}: cannot be read: {error}", path.display())))?;
                batch::answer(&split, file, io::stdout().lock(), self.output != Some(Output::Text))
            }
            None => self.single(&split),
        }
    }

    fn single(self, split: &Split) -> Result<(), Failure> {
        let method = self.method.into_iter().map(|method| (":method".to_owned(), method.into_bytes()));
        let path = self.path.into_iter().map(|path| (":path".to_owned(), path.into_bytes()));
        let headers = self.header.into_iter().map(|(name, value)| (name, value.into_bytes()));
        let asked = Asked {
            destination: self.destination,
            headers: method.chain(path).chain(headers).collect(),
            source: self.source,
        };
        let explanation = asked.explain(split).map_err(Failure::Invalid)?;
        match self.output {
            Some(Output::Json) => print(&format!("{}\n", answer_json("null", &explanation.decision))),
            _ => print(&explanation.to_string()),
        }
    }
}

/// A request as it was asked for, defaults not yet filled in.
struct Asked {
    destination: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    source: Option<IpAddr>,
}

impl Asked {
    fn explain(self, split: &Split) -> Result<Explanation<'_>, String> {
        let (authority, request) = self.fill(split)?;
        Ok(split.explain(&Destination::parse(&authority), &request))
    }

    fn decide(self, split: &Split) -> Result<Decision<'_>, String> {
        let (authority, request) = self.fill(split)?;
        Ok(split.decide(&Destination::parse(&authority), &request))
    }

    /// The destination and the request, with what a client would have sent by itself.
    fn fill(self, split: &Split) -> Result<(String, Request), String> {
        let mut releases = split.releases();
        let destination = match (self.destination, releases.next(), releases.next()) {
            (Some(destination), ..) => destination,
            (None, Some(only), None) => only.authority(),
            (None, ..) => {
                let count = split.len();
                return Err(format!("no destination, and the file has {count} releases; say HOST:PORT of one of them"));
            }
        };
        let has = |name: &str| self.headers.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
        let defaults = [(":method", "GET"), (":path", "/"), (":authority", destination.as_str())];
        let missing: Vec<_> = defaults.into_iter().filter(|(name, _)| !has(name)).collect();
        let mut request = missing.into_iter().fold(Request::new(), |request, (name, value)| request.header(name, value));
        for (name, value) in self.headers {
            request = request.header(&name, value);
        }
        Ok((
            destination,
            match self.source {
                Some(source) => request.from(source),
                None => request,
            },
        ))
    }
}

/// An answer of the fixed shape; `id` is JSON.
fn answer_json(id: &str, decision: &Decision<'_>) -> String {
    let decision = serde_json::to_string(decision).unwrap_or_default();
    // A decision is an object that is never empty.
    format!("{{\"id\":{id},{}", decision.strip_prefix('{').unwrap_or_default())
}
