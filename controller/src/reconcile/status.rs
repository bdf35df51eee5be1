//! Step 7, status: what a release's outcome looks like to its owner. No client required.

use super::Outcome;
use super::conditions::{ACCEPTED, Condition, PROGRAMMED, READY, TAKEN_OVER};
use super::references::References;
use super::resource::Resource;
use crate::api::v1alpha1::{Phase, Status, StatusCondition, VersionStatus};
use serin_config::{BUCKETS, ReleaseSplit, Weight};

/// The status after a pass. `served` is what is published of the release; `trouble` is what kept Serin from publishing it.
#[must_use]
pub fn status(
    resource: &Resource,
    references: &References,
    outcome: &Outcome,
    served: Option<&ReleaseSplit>,
    trouble: Option<&Condition>,
    now: &str,
) -> Status {
    let before = &resource.status;
    let mut conditions = before.conditions.clone();
    let accepted = Condition::accepted(outcome.refusal.as_ref());
    let refused = !accepted.holds();
    let others = outcome.conditions.iter().map(|condition| match (condition, trouble) {
        (condition, Some(trouble)) if condition.kind() == PROGRAMMED => trouble,
        _ => condition,
    });
    if !resource.deleting {
        for condition in std::iter::once(&accepted).chain(others) {
            put(&mut conditions, condition.at(&before.conditions, resource.generation, now));
        }
    }
    let order = [ACCEPTED, READY, PROGRAMMED, TAKEN_OVER];
    conditions.sort_by_key(|condition| order.iter().position(|kind| condition.kind == *kind));
    let versions = match served {
        Some(served) => shares(served, resource, references),
        None => Vec::new(),
    };
    let stable = served.map(|served| served.stable.as_str());
    let canaries = versions.iter().filter(|version| Some(version.version.as_str()) != stable);
    let canaries: Vec<String> = canaries.map(|version| format!("{}={}", version.version, version.share)).collect();
    Status {
        observed_generation: Some(resource.generation),
        phase: Some(phase(resource, refused, &conditions)),
        canaries: canaries.join(", "),
        versions,
        allocation: outcome.allocation.clone(),
        conditions,
    }
}

fn put(conditions: &mut Vec<StatusCondition>, condition: StatusCondition) {
    match conditions.iter_mut().find(|known| known.kind == condition.kind) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

fn phase(resource: &Resource, refused: bool, conditions: &[StatusCondition]) -> Phase {
    let find = |kind: &str| conditions.iter().find(|condition| condition.kind == kind);
    let holds = |kind: &str| find(kind).is_some_and(|condition| condition.status == "True");
    let reason = find(TAKEN_OVER).map(|condition| condition.reason.as_str());
    if resource.deleting {
        return Phase::Deleting;
    }
    match (refused, reason) {
        (true, _) => Phase::Refused,
        _ if !holds(PROGRAMMED) => Phase::Progressing,
        (_, Some("TakenOver")) => Phase::TakenOver,
        (_, Some("RolledBack")) => Phase::RolledBack,
        _ if !holds(READY) => Phase::Progressing,
        _ if resource.parsed.as_ref().is_ok_and(|release| release.spec.paused) => Phase::Paused,
        _ => Phase::Active,
    }
}

/// The share of each version of the requests that no rule takes, stable first.
fn shares(served: &ReleaseSplit, resource: &Resource, references: &References) -> Vec<VersionStatus> {
    let mut order = vec![served.stable.clone()];
    let canaries = resource.parsed.iter().flat_map(|release| release.spec.canaries.iter().map(|canary| &canary.version));
    for version in canaries.chain(super::plan::versions_of(served).iter()) {
        if !order.contains(version) {
            order.push(version.clone());
        }
    }
    let canaries: u32 =
        served.buckets.iter().filter(|(version, _)| *version != served.stable).map(|(_, buckets)| buckets).sum();
    let share = |version: &String| match &served.takeover {
        Some(takeover) => {
            if takeover == version {
                BUCKETS
            } else {
                0
            }
        }
        None if *version == served.stable => BUCKETS.saturating_sub(canaries),
        None => served.buckets.iter().filter(|(of, _)| of == version).map(|(_, buckets)| buckets).sum(),
    };
    let status = |version: &String| VersionStatus {
        version: version.clone(),
        share: Weight::from_buckets(share(version)).unwrap_or_default(),
        ready: references.ready.get(version).copied().unwrap_or(0),
    };
    order.iter().map(status).collect()
}
