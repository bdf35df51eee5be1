//! Nodes and edges, merged and in order.

use std::collections::BTreeMap;

use crate::verdict::Health;

/// What a node is; the later, the further to the right at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who calls: a workload, a gateway, clients.
    Caller,
    /// A service, or a release's host.
    Service,
    /// A version of a service.
    Version,
    /// What a version calls.
    Dependency,
    /// A pod or an address.
    Host,
}

impl Kind {
    /// Its class: `caller`, `service`, `version`, `dependency`, `host`.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Service => "service",
            Self::Version => "version",
            Self::Dependency => "dependency",
            Self::Host => "host",
        }
    }
}

/// A node. Fields are in the order by which equal ids are merged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its id, by which edges name it; it orders nodes.
    pub id: String,
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub label: String,
    /// A second line, such as a namespace; empty for none.
    pub sub_label: String,
    /// Its health.
    pub health: Health,
    /// Where a click leads; empty for nowhere.
    pub href: String,
}

/// An edge: who calls whom, with what is known of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Edge {
    /// The id of the caller.
    pub from: String,
    /// The id of who is called.
    pub to: String,
    /// Requests per second.
    pub rate: Option<f64>,
    /// The part of all requests to the caller's service, from 0 to 1.
    pub share: Option<f64>,
    /// The part without error, from 0 to 1.
    pub success: Option<f64>,
    /// The 99th percentile, as text: `≈ 184 ms (100 to 250 ms)`.
    pub p99: String,
    /// Its health.
    pub health: Health,
    /// What else is to be said, such as `no answer: UF`.
    pub note: String,
}

/// A graph: each id once, each pair of ids once, all in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    nodes: BTreeMap<String, Node>,
    edges: BTreeMap<(String, String), Edge>,
}

impl Graph {
    /// Merges nodes and edges.
    ///
    /// Nodes of one id become the smallest of them with the worst health. Edges of one pair become one: rates and shares are added, success is
    /// weighted by rate, health is the worst, notes are joined; a quantile cannot be merged, so different ones are all said. An end that has no
    /// node becomes one, a caller or a dependency, whose name is the id.
    #[must_use]
    pub fn new(mut nodes: Vec<Node>, mut edges: Vec<Edge>) -> Self {
        let mut graph = Self::default();
        nodes.sort();
        for node in nodes {
            let health = node.health;
            let kept = graph.nodes.entry(node.id.clone()).or_insert(node);
            kept.health = kept.health.max(health);
        }
        edges.sort_by(compare);
        for edge in edges {
            graph.end(&edge.from, Kind::Caller);
            graph.end(&edge.to, Kind::Dependency);
            let pair = (edge.from.clone(), edge.to.clone());
            match graph.edges.remove(&pair) {
                Some(first) => graph.edges.insert(pair, merged(&first, &edge)),
                None => graph.edges.insert(pair, edge),
            };
        }
        graph
    }

    /// The nodes, by id.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values()
    }

    /// The edges, by the ids of both ends.
    pub fn edges(&self) -> impl Iterator<Item = &Edge> {
        self.edges.values()
    }

    /// The node of an id.
    #[must_use]
    pub fn node(&self, id: &str) -> Option<&Node> {
        self.nodes.get(id)
    }

    fn end(&mut self, id: &str, kind: Kind) {
        if !self.nodes.contains_key(id) {
            let (id, label) = (id.to_owned(), id.to_owned());
            let node =
                Node { id: id.clone(), kind, label, sub_label: String::new(), health: Health::NoData, href: String::new() };
            self.nodes.insert(id, node);
        }
    }
}

/// A total order, so that sums of fractions come out the same however edges come in.
fn compare(a: &Edge, b: &Edge) -> std::cmp::Ordering {
    let number = |value: Option<f64>| value.map_or(f64::NEG_INFINITY, |value| value);
    let texts = |edge: &Edge| (edge.from.clone(), edge.to.clone(), edge.note.clone(), edge.p99.clone(), edge.health);
    texts(a)
        .cmp(&texts(b))
        .then(number(a.rate).total_cmp(&number(b.rate)))
        .then(number(a.share).total_cmp(&number(b.share)))
        .then(number(a.success).total_cmp(&number(b.success)))
}

fn merged(a: &Edge, b: &Edge) -> Edge {
    let sum = |a: Option<f64>, b: Option<f64>| a.or(b).map(|_| a.unwrap_or(0.0) + b.unwrap_or(0.0));
    let success = match (a.success, b.success) {
        (Some(one), Some(two)) => {
            let (by_one, by_two) = match (a.rate.unwrap_or(0.0), b.rate.unwrap_or(0.0)) {
                (one, two) if one + two > 0.0 => (one, two),
                _ => (1.0, 1.0),
            };
            Some((one * by_one + two * by_two) / (by_one + by_two))
        }
        (one, two) => one.or(two),
    };
    Edge {
        from: a.from.clone(),
        to: a.to.clone(),
        rate: sum(a.rate, b.rate),
        share: sum(a.share, b.share),
        success,
        p99: joined(&a.p99, &b.p99),
        health: a.health.max(b.health),
        note: joined(&a.note, &b.note),
    }
}

fn joined(a: &str, b: &str) -> String {
    match (a, b) {
        ("", text) | (text, "") => text.to_owned(),
        (a, b) if a.split("; ").any(|part| part == b) => a.to_owned(),
        (a, b) => format!("{a}; {b}"),
    }
}
