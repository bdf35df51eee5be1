//! One of each metric, for the reference.

use super::{Metrics, Verb};
use crate::cluster::apply::WriteError;
use serin_config::Weight;
use serin_mesh::Kind;
use serin_mesh::proxies::Counts;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{Phase, Status, VersionStatus};

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
    metrics.text()
}
