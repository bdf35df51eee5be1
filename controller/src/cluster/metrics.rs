//! What Prometheus gets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use super::kind::Kind;
use crate::api::v1alpha1::{Phase, Status};
use crate::reconcile::apply::WriteError;

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
    phase: String,
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

/// All metrics; a copy speaks of the same.
#[derive(Clone)]
pub struct Metrics(Arc<Families>);

struct Families {
    registry: Registry,
    reconciles: Family<OutcomeLabel, Counter>,
    writes: Family<WriteLabels, Counter>,
    watch_errors: Family<KindLabel, Counter>,
    queue: Gauge,
    leader: Gauge,
    document: Gauge,
    releases: Family<PhaseLabel, Gauge>,
    shares: Family<ShareLabels, Gauge<f64, AtomicU64>>,
    round: Histogram,
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
        let (queue, leader, document, releases, shares) =
            (Gauge::default(), Gauge::default(), Gauge::default(), Family::default(), Family::default());
        // From a millisecond to half a minute.
        let round = Histogram::new(exponential_buckets(0.001, 2.0, 16));
        registry.register("reconciles", "Passes over a release, by what came of them", reconciles.clone());
        registry.register("writes", "Writes to the API server, by kind, verb and result", writes.clone());
        registry.register("watch_errors", "Watches that failed and were begun again", watch_errors.clone());
        registry.register("queue_length", "Releases that wait for a pass", queue.clone());
        registry.register("leader", "1 while this controller leads", leader.clone());
        registry.register_with_unit("document", "Size of the split document of the mesh", Unit::Bytes, document.clone());
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
        Self(Arc::new(Families {
            registry,
            reconciles,
            writes,
            watch_errors,
            queue,
            leader,
            document,
            releases,
            shares,
            round,
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
            // Another controller tells of them now.
            self.0.releases.clear();
            self.0.shares.clear();
        }
    }

    pub(crate) fn document(&self, bytes: usize) {
        self.0.document.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }

    /// Tells of all releases anew.
    pub(crate) fn releases<'a>(&self, all: impl Iterator<Item = (&'a str, &'a str, &'a Status)>) {
        let mut phases: BTreeMap<Phase, i64> = BTreeMap::new();
        self.0.shares.clear();
        for (namespace, release, status) in all {
            if let Some(phase) = status.phase {
                *phases.entry(phase).or_default() += 1;
            }
            for version in &status.versions {
                let labels = ShareLabels {
                    namespace: namespace.to_owned(),
                    release: release.to_owned(),
                    version: version.version.clone(),
                };
                self.0
                    .shares
                    .get_or_create(&labels)
                    .set(f64::from(version.share.buckets()) / f64::from(serin_config::BUCKETS));
            }
        }
        self.0.releases.clear();
        for (phase, count) in phases {
            self.0.releases.get_or_create(&PhaseLabel { phase: format!("{phase:?}") }).set(count);
        }
    }
}
