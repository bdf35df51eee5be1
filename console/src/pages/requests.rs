//! The last requests.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use crate::requests::{Filter, Request, Ring, version_of};
use crate::snapshot::Subject;

/// So many stand on a page.
const ROWS: usize = 200;

/// The page.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Requests {
    /// The release, as `NAMESPACE/NAME`; empty for all.
    pub release: String,
    /// What was looked for.
    pub filter: Filter,
    /// The newest, at most 200.
    pub rows: Vec<Shown>,
    /// How many the log had since the start.
    pub seen: u64,
    /// Why there are none; empty where there may be.
    pub hindrance: String,
}

/// A request as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The request.
    #[serde(flatten)]
    pub request: Request,
    /// The version that its user would get now, where that is another one.
    pub now: String,
    /// The query of the page that explains it.
    pub explain: String,
}

impl Requests {
    /// The page of a release, or of all.
    #[must_use]
    pub fn new(subject: Option<&Subject>, ring: &Ring, filter: Filter, hindrance: &str) -> Self {
        let services = subject.map(Subject::addresses).unwrap_or_default();
        let entry = subject.and_then(|subject| subject.entry.as_ref());
        let shown = |request: &Request| {
            let bucket = request.bucket().filter(|_| request.is_by_weight());
            let now = bucket.zip(entry).map(|(bucket, entry)| version_of(entry, bucket).to_owned());
            let now = now.filter(|now| *now != request.version).unwrap_or_default();
            Shown { request: request.clone(), now, explain: explain(request) }
        };
        let rows = ring.of(&services, &filter).take(ROWS).map(shown).collect();
        let release = subject.map(Subject::id).unwrap_or_default();
        Self { release, rows, seen: ring.seen, hindrance: hindrance.to_owned(), filter }
    }
}

impl Requests {
    /// The path of the page.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        match self.release.as_str() {
            "" => format!("{base}/requests"),
            release => format!("{base}/releases/{release}/requests"),
        }
    }

    /// The query of its filter.
    #[must_use]
    pub fn query(&self) -> String {
        let Filter { version, reason, status, q } = &self.filter;
        let fields = [("version", version), ("reason", reason), ("status", status), ("q", q)];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        fields.map(|(name, value)| format!("{name}={}", encoded(value))).collect::<Vec<_>>().join("&")
    }
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A link's query: no log has the cookies, so a person adds them.
fn explain(request: &Request) -> String {
    let destination = request.service().map(|(host, port)| format!("{host}:{port}")).unwrap_or_default();
    let fields = [("destination", destination.as_str()), ("method", &request.method), ("path", &request.path)];
    fields.map(|(name, value)| format!("{name}={}", encoded(value))).join("&")
}
