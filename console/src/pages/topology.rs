//! Who calls whom: clients, services, versions, and what answers for them.

use jiff::Timestamp;
use serde::Serialize;

use super::list::age;
use crate::chart::Caption;
use crate::figures::{Figures, ReleaseFigures, Served};
use crate::graph::{Edge, Graph, Kind, Node, Row, layout, rows, svg};
use crate::snapshot::{Endpoint, Service, Subject};
use crate::verdict::{Health, Thresholds, health};

/// The page.
#[derive(Clone, Debug, Serialize)]
pub struct Topology {
    /// The release, as `NAMESPACE/NAME`; empty for all.
    pub release: String,
    /// The picture.
    #[serde(skip)]
    pub picture: String,
    /// The same as rows.
    pub rows: Vec<Row>,
    /// How old the figures are and where they come from, or why there are none.
    pub figures: String,
    /// Whether they are too old to be believed.
    pub stale: bool,
}

/// Who calls where only one proxy stands in front of all.
const CLIENTS: &str = "clients";

impl Topology {
    /// The topology of these releases; `release` names the only one.
    #[must_use]
    pub fn new(subjects: &[&Subject], release: &str, figures: &Figures, base: &str, now: Timestamp) -> Self {
        let (mut nodes, mut edges) = (Vec::new(), Vec::new());
        let empty = ReleaseFigures::default();
        for subject in subjects {
            let own = figures.releases.get(&subject.id()).unwrap_or(&empty);
            for service in &subject.services {
                let part = Part { subject, service, figures: own, seconds: f64::from(figures.window), base };
                part.add(&mut nodes, &mut edges);
            }
        }
        let graph = Graph::new(nodes, edges);
        let rows = rows(&graph);
        let desc = rows.iter().map(Row::sentence).collect::<Vec<_>>().join(". ");
        let caption = Caption { id: "topology", title: "Who calls whom", desc: &desc };
        let picture = svg(&graph, &layout(&graph), &caption);
        let (figures, stale) = age(figures, now);
        Self { release: release.to_owned(), picture, rows, figures, stale }
    }

    /// The path of the page.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        match self.release.as_str() {
            "" => format!("{base}/topology"),
            release => format!("{base}/releases/{release}/topology"),
        }
    }
}

/// A service of a release.
struct Part<'a> {
    subject: &'a Subject,
    service: &'a Service,
    figures: &'a ReleaseFigures,
    seconds: f64,
    base: &'a str,
}

impl Part<'_> {
    fn add(&self, nodes: &mut Vec<Node>, edges: &mut Vec<Edge>) {
        let Self { subject, service, .. } = self;
        let host = format!("{}:{}", service.host, service.port);
        let node = |id: &str, kind, label: &str, sub_label: &str| Node {
            id: id.to_owned(),
            kind,
            label: label.to_owned(),
            sub_label: sub_label.to_owned(),
            health: Health::NoData,
            href: String::new(),
        };
        nodes.push(node(CLIENTS, Kind::Caller, CLIENTS, ""));
        let (name, rest) = service.host.split_once('.').unwrap_or((&service.host, ""));
        let href = format!("{}/releases/{}", self.base, subject.id());
        nodes.push(Node { href: href.clone(), ..node(&host, Kind::Service, name, rest) });
        let all: u64 = subject.versions().into_iter().map(|version| self.figures.decided_for(version)).sum();
        edges.push(Edge { rate: self.rate(all), ..edge(CLIENTS, &host) });
        for version in subject.versions().into_iter().filter(|version| service.versions.contains_key(*version)) {
            let id = format!("{host} {version}");
            let decided = self.figures.decided_for(version);
            let served = self.figures.served.get(version);
            let health = self.health(version, served);
            nodes.push(Node { health, href: href.clone(), ..node(&id, Kind::Version, version, name) });
            let share = (all > 0).then(|| decided as f64 / all as f64);
            let elsewhere = served.map_or(0, |served| served.elsewhere);
            let note = if elsewhere > 0 { format!("{elsewhere} answered by another version") } else { String::new() };
            let p99 = served.and_then(|served| served.quantile(0.99)).map(|range| range.to_string()).unwrap_or_default();
            let success = served.and_then(Served::success);
            edges.push(Edge { rate: self.rate(decided), share, success, p99, health, note, ..edge(&host, &id) });
            for endpoint in service.versions.get(version).into_iter().flatten() {
                let endpoint = &self.figures.now(version, endpoint);
                nodes.push(Node { health: of(endpoint), ..node(&endpoint.name, Kind::Host, &endpoint.name, "") });
                let note = if endpoint.ready == Some(false) { "not ready".to_owned() } else { String::new() };
                edges.push(Edge { health: of(endpoint), note, ..edge(&id, &endpoint.name) });
            }
        }
    }

    fn rate(&self, requests: u64) -> Option<f64> {
        (self.seconds > 0.0).then(|| requests as f64 / self.seconds)
    }

    fn health(&self, version: &str, served: Option<&Served>) -> Health {
        let stable = self.subject.release.spec.stable.version.as_str();
        let beside = self.figures.served.get(stable).filter(|_| version != stable).map(Served::counts);
        served.map_or(Health::NoData, |served| health(served.counts(), beside, &Thresholds::default()).health)
    }
}

fn edge(from: &str, to: &str) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), ..Edge::default() }
}

fn of(endpoint: &Endpoint) -> Health {
    match endpoint.ready {
        Some(true) => Health::Healthy,
        Some(false) => Health::Failing,
        None => Health::NoData,
    }
}
