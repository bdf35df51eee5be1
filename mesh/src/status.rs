//! Step 7, status: what a release's outcome looks like to its owner. No client required.

use crate::conditions::{Condition, ConditionType, Reason};
use crate::deployments::{size, version_of};
use crate::entry::buckets_of;
use crate::order::Served;
use crate::outcome::Outcome;
use crate::pass::Pass;
use crate::progress;
use crate::references::References;
use crate::resource::Resource;
use serin_config::{BUCKETS, ReleaseSplit, Weight};
use serin_release::api::v1alpha1::{Cleanup, Phase, Status, StatusCondition, VersionStatus};

/// The status after a pass. `trouble` is what kept Serin from writing or publishing what the pass came to.
#[must_use]
pub fn status(pass: &Pass<'_>, outcome: &Outcome, trouble: Option<&Condition>, now: &str) -> Status {
    let resource = pass.resource;
    let before = &resource.status;
    let mut conditions = before.conditions.clone();
    if trouble.is_none() {
        // A pass that has nothing to say of the routes does not say that this is over.
        conditions.retain(|condition| Reason::of(condition) != Some(Reason::DocumentUnreadable));
    }
    if !resource.leaves() {
        if let Some(overridden) = pass.life.overridden(&before.conditions) {
            put(&mut conditions, overridden.at(&before.conditions, resource.generation, now));
        }
        match outcome {
            Outcome::Refused(refusal) => {
                let stalled = Condition::new(Reason::Stalled, refusal.condition().message);
                put(&mut conditions, stalled.at(&before.conditions, resource.generation, now));
            }
            _ => conditions.retain(|condition| condition.kind != ConditionType::Stalled.name()),
        }
        match pass.life.healthy() {
            Some(healthy) => put(&mut conditions, healthy.at(&before.conditions, resource.generation, now)),
            None => conditions.retain(|condition| condition.kind != ConditionType::Healthy.name()),
        }
        for condition in of_outcome(pass, outcome, trouble) {
            put(&mut conditions, condition.at(&before.conditions, resource.generation, now));
        }
    }
    // Those of other versions come first.
    conditions.sort_by_key(|condition| ConditionType::parse(&condition.kind));
    let bad = first_bad(&conditions).filter(|_| !resource.leaves());
    let (versions, canaries) = match pass.served {
        Served::Entry(served) => shares(served, resource, pass.references),
        // What proxies do is not known, so what was said of it last stays.
        Served::Unknown => (before.versions.clone(), before.canaries.clone()),
    };
    pass.life.kept(Status {
        observed_generation: Some(resource.generation),
        phase: Some(phase(pass, &conditions)),
        reason: bad.map(|condition| condition.reason.clone()),
        message: bad.map(|condition| condition.message.clone()),
        canaries,
        retired: retired(before, &versions, pass),
        versions,
        allocation: match outcome {
            Outcome::Routed(routed) => routed.allocation.clone(),
            Outcome::Refused(_) | Outcome::Moves(_) | Outcome::Leaves(_) => before.allocation.clone(),
        },
        conditions,
        ..Status::default()
    })
}

/// The conditions that an outcome has something to say of.
fn of_outcome(pass: &Pass<'_>, outcome: &Outcome, trouble: Option<&Condition>) -> Vec<Condition> {
    let release = pass.resource.parsed.as_ref().ok();
    let taken_over = match pass.served {
        Served::Entry(published) => release.map(|release| progress::taken_over(release, published)),
        // Who gets what is not known.
        Served::Unknown => None,
    };
    let accepted = || Condition::new(Reason::Accepted, "the spec is valid and the host is free");
    match outcome {
        Outcome::Refused(refusal) => {
            // Of a refused release nothing is written, so nothing else can keep it from that. What acts of it does so still.
            let unreadable = trouble.filter(|trouble| trouble.reason == Reason::DocumentUnreadable).cloned();
            let taken_over = taken_over.filter(|_| !pass.served.is_nothing());
            std::iter::once(refusal.condition()).chain(unreadable).chain(taken_over).collect()
        }
        Outcome::Routed(routed) => {
            let [ready, programmed] = progress::conditions(pass, routed);
            let programmed = trouble.cloned().unwrap_or(programmed);
            [accepted(), ready, programmed].into_iter().chain(taken_over).collect()
        }
        Outcome::Moves(_) => {
            let message = "the release moves to another host: what leads to its versions at the host before goes first, so that nobody is left \
                           without an answer";
            let moves = trouble.cloned().unwrap_or_else(|| Condition::new(Reason::Pending, message));
            [accepted(), moves].into_iter().chain(taken_over).collect()
        }
        Outcome::Leaves(_) => Vec::new(),
    }
}

fn put(conditions: &mut Vec<StatusCondition>, condition: StatusCondition) {
    match conditions.iter_mut().find(|known| known.kind == condition.kind) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
}

/// The first condition that does not hold and should: that nobody has taken over is no fault.
fn first_bad(conditions: &[StatusCondition]) -> Option<&StatusCondition> {
    let mut reasons = conditions.iter().filter_map(|condition| Some((condition, Reason::of(condition)?)));
    let bad = reasons.find(|(_, reason)| {
        let waits = matches!(
            reason,
            Reason::TakeoverNotReady | Reason::TakeoverPending | Reason::ControlVoid | Reason::ControlInvalid
        );
        let quiet = matches!(reason.kind(), ConditionType::TakenOver | ConditionType::Overridden);
        !reason.holds() && (!quiet || waits) && *reason != Reason::Undecided
    });
    bad.map(|(condition, _)| condition)
}

fn phase(pass: &Pass<'_>, conditions: &[StatusCondition]) -> Phase {
    let resource = pass.resource;
    if resource.leaves() {
        return Phase::Deleting;
    }
    let holds = |kind| Reason::among(conditions, kind).is_some_and(Reason::holds);
    if !holds(ConditionType::Accepted) {
        return Phase::Refused;
    }
    if !holds(ConditionType::Programmed) {
        return Phase::Progressing;
    }
    match Reason::among(conditions, ConditionType::TakenOver) {
        Some(Reason::TakenOver) => Phase::TakenOver,
        Some(Reason::RolledBack) => Phase::RolledBack,
        _ if is_rolled_back(resource) => Phase::RolledBack,
        _ if !holds(ConditionType::Ready) => Phase::Progressing,
        _ if resource.parsed.as_ref().is_ok_and(|release| release.spec.paused) => Phase::Paused,
        _ => pass.life.run.as_ref().map_or(Phase::Active, |run| Phase::of_run(run.state)),
    }
}

/// The versions that were stable and whose pods shall go, until they have: the one before joins them when another one is published.
fn retired(before: &Status, versions: &[VersionStatus], pass: &Pass<'_>) -> Vec<String> {
    let Some(release) =
        pass.resource.parsed.as_ref().ok().filter(|release| release.spec.cleanup.is_some_and(Cleanup::retires))
    else {
        return Vec::new();
    };
    let spec = &release.spec;
    let is_named =
        |version: &str| version == spec.stable.version || spec.canaries.iter().any(|canary| canary.version == version);
    let has_pods = |version: &str| {
        let mut deployments = pass.references.deployments.values();
        deployments.any(|deployment| version_of(deployment) == Some(version) && size(deployment) > 0)
    };
    let stable = |versions: &[VersionStatus]| versions.first().map(|first| first.version.clone());
    let replaced = stable(&before.versions).filter(|was| stable(versions).is_some_and(|is| is != *was));
    let mut retired = before.retired.clone();
    retired.extend(replaced.filter(|was| !before.retired.contains(was)));
    retired.retain(|version| !is_named(version) && has_pods(version));
    retired
}

/// Whether each canary has been rolled back.
fn is_rolled_back(resource: &Resource) -> bool {
    let release = resource.parsed.as_ref().ok().filter(|release| !release.banned.is_empty());
    release.is_some_and(|release| release.spec.canaries.iter().all(|canary| release.banned.contains(&canary.version)))
}

/// The share of each version of the requests that no rule takes, stable first; and the canaries' in one line.
fn shares(served: Option<&ReleaseSplit>, resource: &Resource, references: &References) -> (Vec<VersionStatus>, String) {
    let Some(served) = served else { return (Vec::new(), String::new()) };
    let mut order = vec![served.stable.clone()];
    let canaries = resource.parsed.iter().flat_map(|release| release.spec.canaries.iter().map(|canary| &canary.version));
    for version in canaries.chain(crate::order::versions_of(served).iter()) {
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
        None => buckets_of(served, version),
    };
    let status = |version: &String| VersionStatus {
        version: version.clone(),
        share: Weight::from_buckets(share(version)).unwrap_or_default(),
        ready: references.ready.get(version).copied().unwrap_or(0),
    };
    let versions: Vec<VersionStatus> = order.iter().map(status).collect();
    let canaries = versions.iter().skip(1).map(|version| format!("{}={}", version.version, version.share));
    let canaries = canaries.collect::<Vec<_>>().join(", ");
    (versions, canaries)
}
