//! A graph as the rows of a table, for who does not see the picture, and in words for it.

use serde::Serialize;

use crate::graph::model::{Edge, Graph};
use crate::number::{percent, short};

/// An edge in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The name of the caller.
    pub from: String,
    /// The name of who is called.
    pub to: String,
    /// `14.3 rps`, or `no data`.
    pub rate: String,
    /// `30 %`, or nothing where shares mean nothing.
    pub share: String,
    /// `99.1 %`, or `no data`.
    pub success: String,
    /// `24.9 ms`, or `no data`.
    pub p99: String,
    /// `healthy`, `degraded`, `failing` or `no data`.
    pub health: String,
    /// What else is to be said.
    pub note: String,
}

/// The edges of a graph in words, in its order, which is that of the ids.
#[must_use]
pub fn rows(graph: &Graph) -> Vec<Row> {
    let name = |id: &str| graph.node(id).map_or(id, |node| &node.label).to_owned();
    let none = || "no data".to_owned();
    let row = |edge: &Edge| Row {
        from: name(&edge.from),
        to: name(&edge.to),
        rate: finite(edge.rate).map_or_else(none, |rate| format!("{} rps", short(rate))),
        share: finite(edge.share).map(percent).unwrap_or_default(),
        success: finite(edge.success).map_or_else(none, percent),
        p99: if edge.p99.is_empty() { none() } else { edge.p99.clone() },
        health: edge.health.to_string(),
        note: edge.note.clone(),
    };
    graph.edges().map(row).collect()
}

fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

impl Row {
    /// All of it in one line, as shown when the edge is pointed at.
    #[must_use]
    pub fn sentence(&self) -> String {
        let share = if self.share.is_empty() { String::new() } else { format!(", share {}", self.share) };
        let note = if self.note.is_empty() { String::new() } else { format!("; {}", self.note) };
        let Self { from, to, rate, success, p99, health, .. } = self;
        format!("{from} to {to}: {rate}{share}, success {success}, p99 {p99}, {health}{note}")
    }

    /// The lines beside the edge: what is known.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let known = |text: &str| (!text.is_empty() && text != "no data").then(|| text.to_owned());
        let joined = |parts: [Option<String>; 2]| parts.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let health = known(&self.health).filter(|health| health != "healthy");
        let lines = [
            joined([known(&self.rate), known(&self.share).map(|share| format!("share {share}"))]),
            joined([known(&self.success).map(|success| format!("{success} ok")), health]),
            known(&self.p99).map(|p99| format!("p99 {p99}")).unwrap_or_default(),
            self.note.clone(),
        ];
        let lines: Vec<String> = lines.into_iter().filter(|line| !line.is_empty()).collect();
        if lines.is_empty() { vec!["no data".to_owned()] } else { lines }
    }
}
