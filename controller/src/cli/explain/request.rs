//! A request as it was asked for, and what a client would have sent by itself.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;

use serin_config::{Destination, Split};

use crate::standalone::edge::Header;

/// So many destinations are listed where one has to be chosen.
const LISTED: usize = 5;

/// A request as it was asked for, defaults not yet filled in.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) destination: Option<String>,
    pub(crate) headers: Vec<Header>,
    pub(crate) source: Option<IpAddr>,
    /// The line of a batch: equal lines are other visits.
    pub(crate) number: u64,
}

/// A file has several releases, or none, and the request does not say where it goes.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Unclear {
    releases: usize,
    /// The destinations of some.
    listed: Vec<String>,
}

impl Asked {
    /// Fills in the destination, which is the only release's or else the authority, and the method, path and authority that a client would send; `host` is the authority.
    pub(super) fn fill(mut self, split: &Split) -> Result<(String, Vec<Header>), Unclear> {
        for (name, _) in &mut self.headers {
            name.make_ascii_lowercase();
        }
        let has = |headers: &[Header], name: &str| headers.iter().any(|(key, _)| key == name);
        let host = if has(&self.headers, ":authority") { "" } else { "host" };
        for (name, _) in &mut self.headers {
            if name == host {
                ":authority".clone_into(name);
            }
        }
        self.headers.retain(|(name, _)| name != "host");
        let mut releases = split.releases();
        let authority = self.headers.iter().find(|(name, _)| name == ":authority");
        let destination = match (self.destination, releases.next(), releases.next(), authority) {
            (Some(destination), ..) => destination,
            (None, Some(only), None, _) => only.authority(),
            (None, .., Some((_, authority))) => String::from_utf8_lossy(authority).into_owned(),
            (None, .., None) => {
                let listed = split.releases().take(LISTED).map(serin_config::Release::authority).collect();
                return Err(Unclear { releases: split.len(), listed });
            }
        };
        let defaults = [(":method", "GET"), (":path", "/"), (":authority", destination.as_str())];
        let missing = defaults.into_iter().filter(|(name, _)| !has(&self.headers, name));
        let mut all: Vec<Header> = missing.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
        all.append(&mut self.headers);
        Ok((destination, all))
    }

    /// A request id in the form of a UUID, made from the request: the same for the same line.
    pub(super) fn made_up_id(&self) -> String {
        let half = |half: u8| {
            let mut hasher = DefaultHasher::new();
            (half, self.number, &self.destination, &self.headers, &self.source).hash(&mut hasher);
            hasher.finish()
        };
        let digits = format!("{:016x}{:016x}", half(0), half(1));
        let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-8{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

impl Unclear {
    /// For a person who can say `--destination`.
    pub(super) fn on_the_command_line(&self) -> String {
        self.text(|destination| format!("--destination {destination}"))
    }

    /// For a person with a form.
    pub(super) fn in_a_form(&self) -> String {
        self.text(|destination| format!("the destination `{destination}`"))
    }

    /// For a line of a batch.
    pub(in crate::cli) fn in_a_batch(&self) -> String {
        self.text(|destination| format!("`\"destination\": \"{destination}\"`"))
    }

    fn text(&self, written: impl Fn(&str) -> String) -> String {
        match self.listed.as_slice() {
            [] => format!("the file has no release; write one, or {}", written("HOST:PORT")),
            listed => {
                let choices: Vec<String> = listed.iter().map(|listed| written(listed)).collect();
                let more = if self.releases > listed.len() { ", ..." } else { "" };
                format!("the file has {} releases; choose one: {}{more}", self.releases, choices.join(", or "))
            }
        }
    }
}

/// Reads `NAME: VALUE`; a pseudo-header begins with the colon.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let at = text.char_indices().find(|&(at, letter)| at > 0 && letter == ':').map(|(at, _)| at);
    let (name, value) =
        at.and_then(|at| text.split_at_checked(at)).ok_or("write `NAME: VALUE`, such as `cookie: user=ann`")?;
    Ok((name.trim().to_owned(), value.strip_prefix(':').unwrap_or(value).trim().to_owned()))
}

/// Checks a path and query.
pub(super) fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') { Ok(text.to_owned()) } else { Err(format!("a path begins with `/`; write `/{text}`")) }
}

/// Checks a destination.
pub(super) fn destination(text: &str) -> Result<String, String> {
    let host = text.split_once("://").map_or(text, |(_, rest)| rest);
    let host = host.split(['/', '?', '#']).next().unwrap_or_default();
    let Destination { host: name, port } = Destination::parse(host);
    let numbers =
        host.rsplit_once(':').map(|(_, port)| port).filter(|port| port.bytes().all(|digit| digit.is_ascii_digit()));
    match (numbers, port) {
        (Some(number), None) if !number.is_empty() && !host.starts_with('[') => {
            Err(format!("{number} is not a port; use 1 to 65535"))
        }
        _ if name.is_empty() => Err("write HOST:PORT, such as `reviews.bookinfo.svc.cluster.local:9080`".to_owned()),
        _ if host != text => Err(format!("a destination has no scheme and no path; write `{host}`")),
        _ => Ok(text.to_owned()),
    }
}
