//! What Prometheus gets of steps and analyses.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{HistoryEntry, Status};
use serin_release::lifecycle::run::What;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Release {
    namespace: String,
    release: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct State {
    namespace: String,
    release: String,
    state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Metric {
    namespace: String,
    release: String,
    version: String,
    metric: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct By {
    by: &'static str,
}

/// What is shown of a release, so that it can be taken away.
#[derive(Default)]
struct Shown {
    state: Option<State>,
    metrics: Vec<Metric>,
}

/// Steps and analyses of all releases.
#[derive(Default)]
pub(super) struct Runs {
    step: Family<Release, Gauge>,
    state: Family<State, Gauge>,
    evidence: Family<Metric, Gauge<f64, AtomicU64>>,
    needed: Family<Metric, Gauge<f64, AtomicU64>>,
    rollbacks: Family<By, Counter>,
    shown: Mutex<BTreeMap<ReleaseId, Shown>>,
}

impl Runs {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("run_step", "The step that a release is at, from 1", self.step.clone());
        registry.register("run_state", "1 for what the steps of a release do", self.state.clone());
        registry.register(
            "analysis_evidence",
            "Evidence that a canary is worse than stable since its step began, as a natural logarithm",
            self.evidence.clone(),
        );
        registry.register(
            "analysis_evidence_needed",
            "The evidence from which on a canary is rolled back",
            self.needed.clone(),
        );
        registry.register("rollbacks", "Rollbacks, by who did them", self.rollbacks.clone());
    }

    /// Shows a release as its status says; `None` for one that is gone.
    pub(super) fn release(&self, id: &ReleaseId, status: Option<&Status>) {
        let Ok(mut all) = self.shown.lock() else { return };
        let before = all.remove(id).unwrap_or_default();
        let (namespace, release) = (id.namespace.clone(), id.name.clone());
        let own = Release { namespace: namespace.clone(), release: release.clone() };
        let run = status.and_then(|status| status.run.as_ref());
        let state = run.map(|run| State {
            namespace: namespace.clone(),
            release: release.clone(),
            state: format!("{:?}", run.state),
        });
        if let Some(gone) = before.state.filter(|before| Some(before) != state.as_ref()) {
            self.state.remove(&gone);
        }
        match (run, &state) {
            (Some(run), Some(state)) => {
                self.step.get_or_create(&own).set(i64::from(run.step) + 1);
                self.state.get_or_create(state).set(1);
            }
            _ => {
                self.step.remove(&own);
            }
        }
        let told = status.and_then(|status| status.analysis.as_ref()).into_iter().flat_map(|analysis| &analysis.metrics);
        let mut metrics = Vec::new();
        for metric in told {
            let Some((evidence, needed)) = metric.evidence.zip(metric.needed) else { continue };
            let labels = Metric {
                namespace: namespace.clone(),
                release: release.clone(),
                version: metric.version.clone(),
                metric: metric.name.clone(),
            };
            self.evidence.get_or_create(&labels).set(evidence.into());
            self.needed.get_or_create(&labels).set(needed.into());
            metrics.push(labels);
        }
        for gone in before.metrics.iter().filter(|gone| !metrics.contains(gone)) {
            self.evidence.remove(gone);
            self.needed.remove(gone);
        }
        if state.is_some() || !metrics.is_empty() {
            all.insert(id.clone(), Shown { state, metrics });
        }
    }

    /// Counts what happened.
    pub(super) fn happened(&self, entries: impl Iterator<Item = impl std::borrow::Borrow<HistoryEntry>>) {
        for entry in entries {
            let entry = entry.borrow();
            if entry.what == What::RolledBack {
                let by = match entry.by.as_str() {
                    "analysis" => "analysis",
                    "schedule" => "schedule",
                    _ => "control",
                };
                self.rollbacks.get_or_create(&By { by }).inc();
            }
        }
    }

    /// Another controller reports them now.
    pub(super) fn clear(&self) {
        self.step.clear();
        self.state.clear();
        self.evidence.clear();
        self.needed.clear();
        if let Ok(mut shown) = self.shown.lock() {
            shown.clear();
        }
    }
}
