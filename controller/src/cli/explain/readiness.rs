//! What canaries do not get at the moment, by what a controller wrote into the status of their releases.

use std::collections::BTreeMap;

use serin_config::Weight;
use serin_release::api::v1alpha1::{Canary, CanaryRelease, Replicas};
use serin_release::served::Limits;

use super::note::{Note, Partial};

/// What the canaries of each release do not get: those without their pods nothing, others less than their weight while pods are missing.
pub(super) fn limits(releases: &[CanaryRelease]) -> BTreeMap<String, Limits> {
    let all = releases.iter().filter_map(|release| Some((release.id(), of(release)?)));
    all.filter(|(_, limits)| !limits.is_empty()).collect()
}

fn of(release: &CanaryRelease) -> Option<Limits> {
    let mut limits = Limits::default();
    // Stable comes first, and nothing takes its place.
    for status in release.status.as_ref()?.versions.iter().skip(1) {
        let Some(canary) = release.spec.canaries.iter().find(|canary| canary.version == status.version) else { continue };
        let wanted = if release.spec.takeover.as_ref() == Some(&canary.version) { Weight::ALL } else { canary.weight };
        let has_its_pods = status.ready >= canary.min_ready.unwrap_or(1).max(1);
        if !has_its_pods && status.share.buckets() == 0 {
            limits.waiting.insert(canary.version.clone());
        } else if follows_its_pods(canary) && status.share < wanted {
            limits.most.insert(canary.version.clone(), status.share.buckets());
        }
    }
    Some(limits)
}

fn follows_its_pods(canary: &Canary) -> bool {
    canary.workload.as_ref().is_some_and(|workload| workload.replicas == Some(Replicas::Share))
}

/// The same for people and tools.
pub(super) fn notes(limits: &Limits) -> impl Iterator<Item = Note> {
    let waiting =
        (!limits.waiting.is_empty()).then(|| Note::NotReady { versions: limits.waiting.iter().cloned().collect() });
    let share = |buckets: &u32| Weight::from_buckets(*buckets).unwrap_or_default();
    let partial: Vec<Partial> =
        limits.most.iter().map(|(version, most)| Partial { version: version.clone(), share: share(most) }).collect();
    waiting.into_iter().chain((!partial.is_empty()).then_some(Note::PodsMissing { versions: partial }))
}
