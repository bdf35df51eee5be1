//! One of each metric, for the reference.

use super::{Metrics, Verb};
use crate::cluster::apply::WriteError;
use serin_config::Weight;
use serin_mesh::Kind;
use serin_mesh::proxies::Counts;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{HistoryEntry, Phase, Status, VersionStatus};
use serin_release::lifecycle::run::{Run, RunState, What};
use serin_release::lifecycle::verdict::Verdict;
use serin_release::lifecycle::verdict::status::{AnalysisStatus, MetricStatus};

/// What Prometheus reads where everything was counted, with all values of labels that have few.
pub(crate) fn text() -> String {
    let metrics = Metrics::new();
    let object = || "VirtualService bookinfo/reviews-serin".to_owned();
    let failed = WriteError::Failed { object: object(), cause: String::new() };
    let results = [None, Some(WriteError::NotLeader), Some(WriteError::Conflict(object())), Some(failed)];
    for verb in [Verb::Apply, Verb::Delete, Verb::Status, Verb::Finalizer, Verb::Disown] {
        results.iter().for_each(|result| metrics.wrote(Kind::VirtualService, verb, result.as_ref()));
    }
    metrics.watch_error(Kind::VirtualService);
    ["accepted", "refused", "deleting"].iter().for_each(|outcome| metrics.reconciled(outcome));
    metrics.round(0.001, 1);
    metrics.leader(true);
    metrics.document(1);
    metrics.document_unreadable(false);
    metrics.another_controller(false);
    metrics.filter_reachable(true);
    metrics.metric_source("main", true);
    metrics.proxies(Counts::default());
    let versions = vec![VersionStatus { version: "v2".to_owned(), share: Weight::default(), ready: 1 }];
    for phase in Phase::ALL {
        let status = Status { phase: Some(phase), versions: versions.clone(), ..Status::default() };
        metrics.release(&ReleaseId::new("bookinfo", phase.name()), Some(&status));
    }
    metrics.release(&ReleaseId::new("bookinfo", "reviews"), Some(&stepped()));
    metrics.happened(&Status::default(), &stepped());
    metrics.text()
}

/// A status with steps, an analysis and a rollback.
fn stepped() -> Status {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let run = Run {
        id: String::new(),
        versions: String::new(),
        attempt: 0,
        step: 0,
        reached: true,
        counted: 0,
        total: 0,
        waited: 0,
        seen: at,
        state: RunState::Holding,
        next: String::new(),
        failed: Vec::new(),
        measured: None,
        from: std::collections::BTreeMap::new(),
    };
    let metric = MetricStatus {
        name: "failures".to_owned(),
        version: "v2".to_owned(),
        evidence: 0.5.try_into().ok(),
        needed: 7.6.try_into().ok(),
        ..MetricStatus::default()
    };
    let metrics = vec![metric];
    let analysis = AnalysisStatus { verdict: Verdict::Undecided, at, run: String::new(), step: 0, began: at, t: 0, metrics };
    let by = |by: &str| HistoryEntry {
        at: by.to_owned(),
        what: What::RolledBack,
        from: String::new(),
        to: String::new(),
        by: by.to_owned(),
        because: String::new(),
    };
    let history = ["analysis", "control bob", "schedule"].map(by).to_vec();
    Status { run: Some(run), analysis: Some(analysis), history, ..Status::default() }
}
