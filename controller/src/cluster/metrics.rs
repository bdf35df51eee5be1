//! What Prometheus gets.

pub(crate) mod each;
mod runs;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::cluster::apply::WriteError;
use runs::Runs;
use serin_mesh::Kind;
use serin_mesh::proxies::Counts;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{Phase, Status};

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Makes or changes an object.
    Apply,
    /// Deletes one.
    Delete,
    /// Writes the status of a release.
    Status,
    /// Adds or removes a finalizer.
    Finalizer,
    /// Takes labels off an object that stays.
    Disown,
}

impl Verb {
    /// Its label.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::Delete => "delete",
            Self::Status => "status",
            Self::Finalizer => "finalizer",
            Self::Disown => "disown",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: &'static str,
    verb: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShareLabels {
    namespace: String,
    release: String,
    version: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabel {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DocumentLabel {
    document: &'static str,
}

/// All metrics; a copy speaks of the same.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

/// Registers what is told of what is around the controller.
fn register_surroundings(
    registry: &mut Registry,
    another: &Gauge,
    reachable: &Gauge,
    sources: &Family<SourceLabel, Gauge>,
    proxies: &Family<DocumentLabel, Gauge>,
) {
    registry.register(
        "another_controller",
        "1 while the controller of another namespace writes to the mesh, so that this one writes nothing",
        another.clone(),
    );
    registry.register(
        "filter_reachable",
        "0 while the leader does not get the filter at the url that proxies are told of",
        reachable.clone(),
    );
    registry.register("metric_source_up", "1 while the leader gets answers from a metric source", sources.clone());
    registry.register(
        "proxies",
        "Proxies that metric sources know, by the split document that decides there",
        proxies.clone(),
    );
}

/// What is shown of a release: its phase, and its versions.
type Shown = (Option<Phase>, Vec<String>);

struct Families {
    registry: Registry,
    reconciles: Family<OutcomeLabel, Counter>,
    writes: Family<WriteLabels, Counter>,
    watch_errors: Family<KindLabel, Counter>,
    queue: Gauge,
    leader: Gauge,
    document: Gauge,
    unreadable: Gauge,
    another: Gauge,
    reachable: Gauge,
    sources: Family<SourceLabel, Gauge>,
    proxies: Family<DocumentLabel, Gauge>,
    releases: Family<PhaseLabel, Gauge>,
    shares: Family<ShareLabels, Gauge<f64, AtomicU64>>,
    round: Histogram,
    runs: Runs,
    /// What the two families above say of each release, so that one is changed without the others.
    shown: Mutex<BTreeMap<ReleaseId, Shown>>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics that nothing was counted in yet.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("serin");
        let (reconciles, writes, watch_errors) = (Family::default(), Family::default(), Family::default());
        let (queue, leader, document) = (Gauge::default(), Gauge::default(), Gauge::default());
        let (unreadable, another, reachable) = (Gauge::default(), Gauge::default(), Gauge::default());
        reachable.set(1);
        let (sources, proxies) = (Family::default(), Family::default());
        let (releases, shares) = (Family::default(), Family::default());
        // From a millisecond to half a minute.
        let round = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        registry.register("reconciles", "Passes over a release, by what came of them", reconciles.clone());
        registry.register("writes", "Writes to the API server, by kind, verb and result", writes.clone());
        registry.register("watch_errors", "Watches that failed and were begun again", watch_errors.clone());
        registry.register("queue_length", "Releases that wait for a pass", queue.clone());
        registry.register("leader", "1 while this controller leads", leader.clone());
        registry.register_with_unit("document", "Size of the split document of the mesh", Unit::Bytes, document.clone());
        registry.register(
            "document_unreadable",
            "1 while the mesh has a split document that this controller cannot read, so that it publishes nothing",
            unreadable.clone(),
        );
        register_surroundings(&mut registry, &another, &reachable, &sources, &proxies);
        registry.register("releases", "Releases by phase", releases.clone());
        registry.register(
            "intended_share_ratio",
            "Share of the requests without a rule that a version is meant to get",
            shares.clone(),
        );
        registry.register_with_unit(
            "round_duration",
            "Time of a round of passes, with its writes",
            Unit::Seconds,
            round.clone(),
        );
        let runs = Runs::default();
        runs.register(&mut registry);
        Self(Arc::new(Families {
            registry,
            runs,
            reconciles,
            writes,
            watch_errors,
            queue,
            leader,
            document,
            unreadable,
            another,
            sources,
            proxies,
            reachable,
            releases,
            shares,
            round,
            shown: Mutex::default(),
        }))
    }

    /// The text that Prometheus reads.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = text::encode(&mut text, &self.0.registry);
        text
    }

    pub(crate) fn watch_error(&self, kind: Kind) {
        self.0.watch_errors.get_or_create(&KindLabel { kind: kind.name() }).inc();
    }

    pub(crate) fn wrote(&self, kind: Kind, verb: Verb, error: Option<&WriteError>) {
        let result = match error {
            None => "ok",
            Some(WriteError::NotLeader) => "not-leader",
            Some(WriteError::Conflict(_)) => "conflict",
            Some(WriteError::Failed { .. }) => "error",
        };
        self.0.writes.get_or_create(&WriteLabels { kind: kind.name(), verb: verb.name(), result }).inc();
    }

    pub(crate) fn reconciled(&self, outcome: &'static str) {
        self.0.reconciles.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(crate) fn round(&self, seconds: f64, queue: usize) {
        self.0.round.observe(seconds);
        self.0.queue.set(i64::try_from(queue).unwrap_or(i64::MAX));
    }

    pub(crate) fn leader(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
        if !leads {
            // Another controller reports them now.
            self.0.unreadable.set(0);
            self.0.another.set(0);
            self.0.releases.clear();
            self.0.shares.clear();
            self.0.runs.clear();
            if let Ok(mut shown) = self.0.shown.lock() {
                shown.clear();
            }
        }
    }

    pub(crate) fn document(&self, bytes: usize) {
        self.0.document.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    pub(crate) fn document_unreadable(&self, unreadable: bool) {
        self.0.unreadable.set(i64::from(unreadable));
    }

    pub(crate) fn another_controller(&self, another: bool) {
        self.0.another.set(i64::from(another));
    }

    pub(crate) fn metric_source(&self, source: &str, answers: bool) {
        self.0.sources.get_or_create(&SourceLabel { source: source.to_owned() }).set(i64::from(answers));
    }

    pub(crate) fn proxies(&self, counts: Counts) {
        let Counts { current, earlier, unknown } = counts;
        for (document, proxies) in [("current", current), ("earlier", earlier), ("unknown", unknown)] {
            self.0.proxies.get_or_create(&DocumentLabel { document }).set(i64::try_from(proxies).unwrap_or(i64::MAX));
        }
    }

    pub(crate) fn filter_reachable(&self, reachable: bool) {
        self.0.reachable.set(i64::from(reachable));
    }

    /// Counts what happened to a release between two statuses.
    pub(crate) fn happened(&self, before: &Status, after: &Status) {
        self.0.runs.happened(after.happened_since(before));
    }

    /// Shows a release as its status says; `None` for one that is gone.
    pub(crate) fn release(&self, id: &ReleaseId, status: Option<&Status>) {
        self.0.runs.release(id, status);
        let Ok(mut shown) = self.0.shown.lock() else { return };
        let (phase, versions) = shown.remove(id).unwrap_or_default();
        let label = |phase: Phase| PhaseLabel { phase: phase.name() };
        let labels = |version: &str| ShareLabels {
            namespace: id.namespace.clone(),
            release: id.name.clone(),
            version: version.to_owned(),
        };
        let now = status.and_then(|status| status.phase);
        if phase != now {
            phase.map(|phase| self.0.releases.get_or_create(&label(phase)).dec());
            now.map(|phase| self.0.releases.get_or_create(&label(phase)).inc());
        }
        let of_now: Vec<_> = status.iter().flat_map(|status| &status.versions).collect();
        for gone in versions.iter().filter(|version| of_now.iter().all(|now| now.version != **version)) {
            self.0.shares.remove(&labels(gone));
        }
        for version in &of_now {
            let share = f64::from(version.share.buckets()) / f64::from(serin_config::BUCKETS);
            self.0.shares.get_or_create(&labels(&version.version)).set(share);
        }
        if status.is_some() {
            shown.insert(id.clone(), (now, of_now.into_iter().map(|version| version.version.clone()).collect()));
        }
    }
}

#[cfg(test)]
mod tests {
    use serin_config::Weight;
    use serin_release::api::v1alpha1::VersionStatus;

    use super::*;

    fn status(phase: Phase, versions: &[&str]) -> Status {
        let version = |name: &&str| VersionStatus { version: (*name).to_owned(), share: Weight::default(), ready: 1 };
        Status { phase: Some(phase), versions: versions.iter().map(version).collect(), ..Status::default() }
    }

    #[test]
    fn a_change_of_one_release_hides_no_other() {
        const B: [&str; 3] = [
            "serin_releases{phase=\"Paused\"} 1\n",
            "serin_intended_share_ratio{namespace=\"shop\",release=\"b\",version=\"v1\"} 0.0\n",
            "serin_intended_share_ratio{namespace=\"shop\",release=\"b\",version=\"v2\"} 0.0\n",
        ];
        let metrics = Metrics::new();
        let [a, b] = ["a", "b"].map(|name| ReleaseId::new("shop", name));
        metrics.release(&b, Some(&status(Phase::Paused, &["v1", "v2"])));
        let changes = [Some(status(Phase::Active, &["v1", "v2"])), Some(status(Phase::Progressing, &["v1", "v3"])), None];
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                for change in changes.iter().cycle().take(3000) {
                    metrics.release(&a, change.as_ref());
                }
            });
            let mut last = false;
            while !last {
                last = writer.is_finished();
                let text = metrics.text();
                assert!(B.iter().all(|series| text.contains(series)), "{text}");
            }
        });
        assert!(!metrics.text().contains("release=\"a\""), "{}", metrics.text());
    }
}
