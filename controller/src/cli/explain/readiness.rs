//! Which canaries get nothing at the moment, by what a controller wrote into the status of their releases.

use std::collections::{BTreeMap, BTreeSet};

use serin_config::ReleaseSplit;
use serin_release::api::v1alpha1::CanaryRelease;

use super::note::Note;

/// The canaries of each release that have no ready endpoint, so that stable serves what would go to them.
pub(super) fn waiting(releases: &[CanaryRelease]) -> BTreeMap<String, BTreeSet<String>> {
    let all = releases.iter().filter_map(|release| {
        let versions = &release.status.as_ref()?.versions;
        // Stable comes first, and nothing takes its place.
        let canaries = versions.iter().skip(1).filter(|version| version.ready == 0 && version.share.buckets() == 0);
        let names: BTreeSet<String> = canaries.map(|version| version.version.clone()).collect();
        (!names.is_empty()).then(|| (release.id(), names))
    });
    all.collect()
}

/// Leads to stable what leads to one of these versions.
pub(super) fn lead_to_stable(split: &mut ReleaseSplit, waiting: &BTreeSet<String>) {
    let stable = split.stable.clone();
    let runs = split.rules.iter_mut().filter_map(|rule| rule.buckets.as_mut()).chain([&mut split.buckets]).flatten();
    runs.map(|(version, _)| version).for_each(|version| to_stable(version, &stable, waiting));
    split.rules.iter_mut().filter_map(|rule| rule.version.as_mut()).for_each(|version| to_stable(version, &stable, waiting));
    split.takeover = split.takeover.take().filter(|version| !waiting.contains(version));
}

fn to_stable(version: &mut String, stable: &str, waiting: &BTreeSet<String>) {
    if waiting.contains(version) {
        stable.clone_into(version);
    }
}

/// The same for people and tools.
pub(super) fn note(waiting: &BTreeSet<String>) -> Note {
    Note::NotReady { versions: waiting.iter().cloned().collect() }
}
