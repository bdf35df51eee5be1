//! The list of releases.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serin_release::api::v1alpha1::Phase;

use crate::figures::{Figures, ReleaseFigures};
use crate::number;
use crate::shown;
use crate::snapshot::{Snapshot, Subject};

/// So many releases stand on a page.
pub const ROWS: usize = 200;

/// What a person wants to see of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// A namespace; empty for all.
    pub ns: String,
    /// A part of a name, a service or a version.
    pub q: String,
    /// A phase; empty for all.
    pub phase: String,
    /// `name`, `phase` or `since`; else what needs attention comes first.
    pub sort: String,
    /// The page, from 1.
    pub page: usize,
}

impl Filter {
    /// The query of the page with this filter.
    #[must_use]
    pub fn query(&self) -> String {
        self.on_page(self.page)
    }

    /// The query of another page of the list.
    #[must_use]
    pub fn on_page(&self, page: usize) -> String {
        let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let fields = [("ns", &self.ns), ("q", &self.q), ("phase", &self.phase), ("sort", &self.sort)];
        let fields = fields.into_iter().filter(|(_, value)| !value.is_empty());
        let fields = fields.map(|(name, value)| format!("{name}={}", encoded(value)));
        fields.chain([format!("page={page}")]).collect::<Vec<_>>().join("&")
    }
}

/// The list.
#[derive(Clone, Debug, Serialize)]
pub struct List {
    /// What was asked for.
    pub filter: Filter,
    /// How many there are without the filter.
    pub all: usize,
    /// How many the filter leaves.
    pub found: usize,
    /// How many pages these are, at least 1.
    pub pages: usize,
    /// Those of this page.
    pub rows: Vec<Row>,
    /// The namespaces that there are.
    pub namespaces: Vec<String>,
    /// How old the figures are and where they come from, or why there are none.
    pub figures: String,
    /// Whether the figures are too old to be believed.
    pub stale: bool,
}

/// A release in the list.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Its phase.
    pub phase: String,
    /// Why, or what comes next.
    pub why: String,
    /// Whether a person should look at it.
    pub attention: bool,
    /// Its versions, stable first.
    pub versions: Vec<Cell>,
    /// Such as `2 of 4`; empty without steps.
    pub step: String,
    /// When something happened last (RFC 3339); empty where nothing did.
    pub since: String,
    /// The same for people.
    pub ago: String,
}

/// A version in the list. A figure that nobody has is empty.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Cell {
    /// The version.
    pub version: String,
    /// The share that it shall have.
    pub intended: String,
    /// The part of what was decided by weight.
    pub decided: String,
    /// Requests that its upstreams served a second.
    pub rate: String,
    /// The part that did not fail.
    pub success: String,
    /// The time under which 99 % stayed.
    pub p99: String,
}

impl List {
    /// The list of a snapshot.
    #[must_use]
    pub fn new(snapshot: &Snapshot, figures: &Figures, filter: Filter, now: Timestamp) -> Self {
        let all = snapshot.releases.len();
        let mut namespaces: Vec<String> =
            snapshot.releases.values().map(|subject| subject.release.metadata.namespace.clone()).collect();
        namespaces.dedup();
        let found = snapshot.releases.values().filter(|subject| matches(subject, &filter));
        let mut rows: Vec<Row> = found.map(|subject| Row::new(subject, figures, now)).collect();
        match filter.sort.as_str() {
            "name" => {}
            "phase" => rows.sort_by(|a, b| a.phase.cmp(&b.phase)),
            "since" => rows.sort_by(|a, b| b.since.cmp(&a.since)),
            _ => rows.sort_by_key(|row| Reverse(row.attention)),
        }
        let found = rows.len();
        let pages = found.div_ceil(ROWS).max(1);
        let page = filter.page.clamp(1, pages);
        let rows = rows.into_iter().skip((page - 1) * ROWS).take(ROWS).collect();
        let (figures, stale) = age(figures, now);
        Self { filter: Filter { page, ..filter }, all, found, pages, rows, namespaces, figures, stale }
    }

    /// Its pages: their numbers, their queries, and whether it is this one.
    #[must_use]
    pub fn links(&self) -> Vec<(usize, String, bool)> {
        (1..=self.pages).map(|page| (page, self.filter.on_page(page), page == self.filter.page)).collect()
    }
}

/// How old figures are, and whether that is too old.
#[must_use]
pub fn age(figures: &Figures, now: Timestamp) -> (String, bool) {
    let Figures { source, at, window, problem, .. } = figures;
    let Some(at) = at else {
        let why = problem.clone().unwrap_or_else(|| "nothing was read yet".to_owned());
        return (format!("No figures: {why}."), true);
    };
    let age = now.as_second().saturating_sub(at.as_second());
    let (old, window) = (figures.old(now).is_some(), shown::seconds(i64::from(*window)));
    let problem = problem.as_ref().filter(|_| old).map(|problem| format!(": {problem}")).unwrap_or_default();
    match old {
        true => (format!("The figures are {} old{problem}.", shown::seconds(age)), true),
        false => (format!("Figures of the last {window}, from {source}."), false),
    }
}

fn matches(subject: &Subject, filter: &Filter) -> bool {
    let release = &subject.release;
    let text = filter.q.to_ascii_lowercase();
    let has = |own: &str| own.to_ascii_lowercase().contains(&text);
    let is_named = has(&release.id()) || has(&release.spec.service) || subject.versions().into_iter().any(has);
    let is_there = filter.ns.is_empty() || filter.ns == release.metadata.namespace;
    let phase = release.status.as_ref().and_then(|status| status.phase);
    let is_so = filter.phase.is_empty() || phase.is_some_and(|phase| phase.name() == filter.phase);
    is_named && is_there && is_so
}

/// Whether a person should look at a release in this phase.
#[must_use]
pub fn needs_attention(phase: Option<Phase>) -> bool {
    matches!(phase, None | Some(Phase::AwaitingApproval | Phase::Refused | Phase::RolledBack | Phase::Progressing))
}

impl Row {
    fn new(subject: &Subject, figures: &Figures, now: Timestamp) -> Self {
        let (release, status) = (&subject.release, subject.status());
        let empty = ReleaseFigures::default();
        let own = figures.releases.get(&release.id());
        let since = status.history.first().map(|entry| entry.at.clone()).unwrap_or_default();
        let steps = release.spec.steps.len();
        let step = status.run.as_ref().filter(|_| steps > 0);
        let at = step.map(|run| usize::try_from(run.step).unwrap_or(steps).saturating_add(1).min(steps));
        let next = status.run.as_ref().map(|run| run.next.clone()).unwrap_or_default();
        Self {
            namespace: release.metadata.namespace.clone(),
            name: release.metadata.name.clone(),
            service: release.spec.service.clone(),
            phase: status.phase.map_or("Unknown", Phase::name).to_owned(),
            why: status.message.clone().unwrap_or(next),
            attention: needs_attention(status.phase),
            versions: cells(subject, own.unwrap_or(&empty), f64::from(figures.window)),
            step: at.map(|at| format!("{at} of {steps}")).unwrap_or_default(),
            ago: if since.is_empty() { String::new() } else { shown::ago(&since, now) },
            since,
        }
    }
}

/// The versions of a release with their figures over so many seconds.
fn cells(subject: &Subject, figures: &ReleaseFigures, seconds: f64) -> Vec<Cell> {
    let intended: BTreeMap<_, _> = subject.intended();
    let all = figures.all_by_weight();
    let cell = |version: &str| {
        let served = figures.served.get(version).filter(|_| seconds > 0.0);
        let decided = figures.by_weight(version) as f64;
        Cell {
            version: version.to_owned(),
            intended: intended.get(version).map_or_else(|| "0%".to_owned(), ToString::to_string),
            decided: if all > 0 { number::percent(decided / all as f64) } else { String::new() },
            rate: served.map(|served| shown::rate(served.requests as f64 / seconds)).unwrap_or_default(),
            success: served.and_then(|served| served.success()).map(number::percent).unwrap_or_default(),
            p99: served.and_then(|served| served.quantile(0.99)).map(|range| range.to_string()).unwrap_or_default(),
        }
    };
    subject.versions().into_iter().map(cell).collect()
}
