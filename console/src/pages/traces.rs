//! Traces: a list, and one of them down to who served.

use serde::Serialize;

use crate::chart::{Caption, Span as Bar, waterfall};
use crate::number;
use crate::trace::{Filter, Summary, Trace, Traces};

/// So many traces stand on a page.
const ROWS: usize = 100;

/// The list.
#[derive(Clone, Debug, Serialize)]
pub struct List {
    /// What was looked for, as the form has it.
    pub asked: Asked,
    /// The newest.
    pub rows: Vec<Row>,
    /// How many are kept.
    pub kept: usize,
    /// Why there are none; empty where there may be.
    pub hindrance: String,
}

/// What somebody looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Asked {
    /// A host or a service.
    pub service: String,
    /// A version.
    pub version: String,
    /// A reason, such as `weight`.
    pub reason: String,
    /// `2`, `4` or `5`.
    pub status: String,
    /// The least time that it took, in milliseconds.
    pub min: String,
}

/// A trace in the list.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The trace.
    #[serde(flatten)]
    pub summary: Summary,
    /// When it began (RFC 3339).
    pub at: String,
    /// How long it took, for people.
    pub took: String,
}

/// One trace.
#[derive(Clone, Debug, Serialize)]
pub struct One {
    /// Its id.
    pub id: String,
    /// When it began (RFC 3339).
    pub at: String,
    /// How long it took, for people.
    pub took: String,
    /// Its spans as a picture.
    #[serde(skip)]
    pub picture: String,
    /// Its spans in order.
    pub spans: Vec<Span>,
    /// How many spans were too many to be kept.
    pub dropped: usize,
    /// The id of the request that began it.
    pub request: String,
}

/// A span of a trace.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// How many spans it is within.
    pub depth: usize,
    /// What it is.
    pub name: String,
    /// Who reported it.
    pub service: String,
    /// How long it took, for people.
    pub took: String,
    /// Whether it failed.
    pub error: bool,
    /// Its tags, by name.
    pub tags: Vec<(String, String)>,
}

impl Asked {
    /// The filter; a number that is none asks for nothing.
    fn filter(&self) -> Filter {
        let field = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Filter {
            service: field(&self.service),
            version: field(&self.version),
            reason: field(&self.reason),
            status: self.status.parse().ok(),
            min_duration: self.min.parse::<u64>().map_or(0, |milliseconds| milliseconds.saturating_mul(1000)),
            limit: Some(ROWS),
        }
    }
}

fn took(micros: u64) -> String {
    number::milliseconds(micros as f64 / 1000.0)
}

/// A time in microseconds since 1970 (RFC 3339).
fn at(micros: u64) -> String {
    let at = i64::try_from(micros).ok().and_then(|micros| jiff::Timestamp::from_microsecond(micros).ok());
    at.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()).unwrap_or_default()
}

impl List {
    /// The traces that are kept.
    #[must_use]
    pub fn new(traces: &Traces, asked: Asked, hindrance: &str) -> Self {
        let row = |summary: Summary| Row { at: at(summary.start), took: took(summary.duration), summary };
        let rows = traces.list(&asked.filter()).into_iter().map(row).collect();
        Self { asked, rows, kept: traces.len(), hindrance: hindrance.to_owned() }
    }
}

impl One {
    /// A trace.
    #[must_use]
    pub fn new(trace: &Trace) -> Self {
        let flat = trace.flat();
        let names: Vec<String> = flat.iter().map(|(_, span)| format!("{} {}", span.service, span.name)).collect();
        let bars = flat.iter().zip(&names).map(|((depth, span), name)| Bar {
            label: name,
            depth: *depth,
            start: span.start,
            duration: span.duration,
            error: span.error,
        });
        let desc = format!("{} spans in {}", flat.len(), took(trace.duration));
        let caption = Caption { id: "trace", title: "Spans of the trace", desc: &desc };
        let spans = flat.iter().map(|(depth, span)| Span {
            depth: *depth,
            name: span.name.clone(),
            service: span.service.clone(),
            took: took(span.duration),
            error: span.error,
            tags: span.tags.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        });
        Self {
            id: trace.id.clone(),
            at: at(trace.start),
            took: took(trace.duration),
            picture: waterfall(&caption, &bars.collect::<Vec<_>>()),
            spans: spans.collect(),
            dropped: trace.dropped,
            request: flat.iter().find_map(|(_, span)| span.tag("guid:x-request-id")).unwrap_or_default().to_owned(),
        }
    }
}
