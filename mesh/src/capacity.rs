//! Capacity: pods before people. What versions may be given now, by the pods that they have. No client required.
//!
//! With `replicas: share` a canary has as many of stable's pods as its share of the requests, and its share grows only as far as its
//! ready pods can carry it. With `autoscale: copy` it is the same with the least number of pods that stable's autoscaler keeps. What has grown stays while stable is only scaled; it shrinks when pods of the canary are lost.

use std::collections::{BTreeMap, BTreeSet};

use serin_config::{BUCKETS, ReleaseSplit, Weight};
use serin_release::api::v1alpha1::{Canary, Replicas};
use serin_release::served::Limits;

use crate::check::Accepted;
use crate::deployments::{autoscaler_of, least as least_of, size};
use crate::entry::{Entry, buckets_of};
use crate::order::{Served, versions_of};
use crate::pass::Pass;
use crate::workload;

/// What the versions of a release can be given now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    /// What they cannot be given.
    pub limits: Limits,
    /// The number of pods that carry all requests, for each canary whose pods follow its share.
    all: BTreeMap<String, u32>,
}

/// The pods of a share: as many of all as the share is, rounded up, at least one.
#[must_use]
pub fn pods(all: u32, buckets: u32) -> u32 {
    let pods = (u64::from(all) * u64::from(buckets)).div_ceil(u64::from(BUCKETS));
    u32::try_from(pods).unwrap_or(u32::MAX).max(1)
}

/// The buckets that so many pods of all can carry; all of them where nobody knows how many carry everything.
fn carried(all: u32, ready: u32) -> u32 {
    let buckets = (u64::from(BUCKETS) * u64::from(ready)).checked_div(u64::from(all)).unwrap_or(u64::from(BUCKETS));
    u32::try_from(buckets).unwrap_or(u32::MAX).min(BUCKETS)
}

/// The number of pods that carry all requests, where a canary's pods follow its share; 0 where nobody knows it.
fn all(pass: &Pass<'_>, accepted: &Accepted<'_>, canary: &Canary) -> Option<u32> {
    let (workload, stable) = (canary.workload.as_ref()?, accepted.stable_deployment.as_ref());
    if workload.copies_autoscaler() {
        let autoscaler = stable.and_then(|stable| autoscaler_of(&pass.references.autoscalers, stable));
        return Some(autoscaler.map_or(0, least_of));
    }
    (workload.replicas == Some(Replicas::Share)).then(|| stable.map_or(0, size))
}

/// The buckets of a version in the weights of a split: all of them while it has taken over.
fn weight(split: &ReleaseSplit, version: &str) -> u32 {
    if split.takeover.as_deref() == Some(version) {
        return BUCKETS;
    }
    buckets_of(split, version)
}

/// The number of pods for a canary of `replicas: share`, whose clone has `now`.
///
/// Pods come before people and go after them, so the larger of the wanted share and the served one counts. Nothing says what load
/// stable's pods stand for while they have none, so a canary that has taken over keeps what it has.
pub(crate) fn replicas(wanted: &ReleaseSplit, served: Served<'_>, version: &str, all: u32, now: Option<u32>) -> u32 {
    let served = match served {
        Served::Entry(entry) => entry,
        Served::Unknown => return now.unwrap_or(0).max(pods(all, weight(wanted, version))),
    };
    let is_everything = served.is_some_and(|split| split.takeover.as_deref() == Some(version));
    let served = served.map_or(0, |split| weight(split, version));
    let pods = pods(all, weight(wanted, version).max(served));
    if is_everything { pods.max(now.unwrap_or(0)) } else { pods }
}

impl Capacity {
    /// What the versions of a release can be given: those that routes lead to and that have their pods. `stable` is its Deployment.
    #[must_use]
    pub fn of(pass: &Pass<'_>, accepted: &Accepted<'_>, routable: &BTreeSet<String>) -> Self {
        let canaries = &accepted.release.spec.canaries;
        let ready = |version: &str| pass.references.ready.get(version).copied().unwrap_or(0);
        let canary = |version: &str| canaries.iter().find(|canary| canary.version == version);
        let least = |version: &str| canary(version).and_then(|canary| canary.min_ready).unwrap_or(1).max(1);
        let banned = &accepted.release.banned;
        let none = |version: &str| {
            let own = canary(version).and_then(|canary| canary.workload.as_ref());
            own.is_some_and(|own| own.replicas == Some(Replicas::Count(0)))
        };
        let waits = |version: &String| {
            banned.contains(version) || none(version) || !routable.contains(version) || ready(version) < least(version)
        };
        let waiting = versions_of(&accepted.compiled.wanted).into_iter().filter(waits).collect();
        let all = canaries.iter().filter_map(|canary| Some((canary.version.clone(), all(pass, accepted, canary)?)));
        let all: BTreeMap<String, u32> = all.collect();
        let most = all.iter().map(|(version, all)| {
            let ready = ready(version);
            (version.clone(), carried(*all, ready).max(kept(pass, version, ready)))
        });
        let most = most.filter(|(_, most)| *most < BUCKETS).collect();
        Self { limits: Limits { waiting, most }, all }
    }

    /// What canaries lack of the pods that their weights need, in words.
    #[must_use]
    pub fn lacking(&self, pass: &Pass<'_>, accepted: &Accepted<'_>) -> Vec<String> {
        let canaries = accepted.release.spec.canaries.iter();
        canaries.filter_map(|canary| self.lacks(pass, canary, &accepted.compiled.wanted)).collect()
    }

    fn lacks(&self, pass: &Pass<'_>, canary: &Canary, wanted: &ReleaseSplit) -> Option<String> {
        let version = &canary.version;
        let ready = pass.references.ready.get(version).copied().filter(|ready| *ready > 0)?;
        let says = if let Some(least) = canary.min_ready.filter(|least| ready < *least) {
            format!("{version} has {ready} of the {least} ready pods that `minReady` asks for, so it gets nobody")
        } else {
            let (asked, most) = (weight(wanted, version), *self.limits.most.get(version)?);
            let pods = pods(*self.all.get(version)?, asked);
            let share = |buckets| Weight::from_buckets(buckets).unwrap_or(Weight::ALL);
            match wanted.takeover {
                _ if asked <= most => return None,
                Some(_) => {
                    format!("{version} has {ready} of the {pods} ready pods that its takeover needs, so it waits for them")
                }
                None => format!(
                    "{version} has {ready} of the {pods} ready pods that {} of the requests need, so it gets {}",
                    share(asked),
                    share(most)
                ),
            }
        };
        let state = workload::state(pass.references, version).map_or_else(String::new, |state| format!(" ({state})"));
        Some(says + &state)
    }
}

/// The buckets that a version keeps, whatever stable's pods are: those that it has, unless it lost pods since.
fn kept(pass: &Pass<'_>, version: &str, ready: u32) -> u32 {
    let before = pass.resource.status.versions.iter().find(|status| status.version == version);
    let lost = before.is_some_and(|before| ready < before.ready);
    let has = |entry: &Entry| weight(&entry.served, version);
    let takes_over = pass.entry.is_some_and(|entry| entry.served.takeover.as_deref() == Some(version));
    // Who moved everybody to it has perhaps nothing left to move them back to.
    if lost && !takes_over { 0 } else { pass.entry.map_or(0, has) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn split(buckets: &Value, takeover: &Value) -> ReleaseSplit {
        serde_json::from_value(
            json!({"release": "a/b", "hosts": ["h"], "stable": "v1", "buckets": buckets, "takeover": takeover}),
        )
        .unwrap()
    }

    #[test]
    fn pods_of_a_share_are_rounded_up_and_carry_it() {
        for (all, buckets, wanted) in
            [(4, 30_000, 2), (4, 25_000, 1), (4, 25_001, 2), (4, 0, 1), (4, BUCKETS, 4), (0, 50_000, 1), (3, 33_334, 2)]
        {
            assert_eq!(pods(all, buckets), wanted, "{all} {buckets}");
            assert!(carried(all, wanted) >= buckets, "{all} {buckets}");
        }
        assert_eq!((carried(4, 1), carried(3, 1), carried(0, 0), carried(2, 9)), (25_000, 33_333, BUCKETS, BUCKETS));
    }

    #[test]
    fn pods_come_before_people_and_go_after_them() {
        let none = Value::Null;
        let of = |wanted: &ReleaseSplit, served: &ReleaseSplit, all, now| {
            replicas(wanted, Served::Entry(Some(served)), "v2", all, now)
        };
        let (small, large) = (split(&json!([["v2", 10_000]]), &none), split(&json!([["v2", 50_000]]), &none));
        let everything = split(&json!([["v2", 10_000]]), &json!("v2"));
        assert_eq!(
            (of(&small, &small, 10, Some(1)), of(&large, &small, 10, Some(1)), of(&small, &large, 10, Some(5))),
            (1, 5, 5)
        );
        assert_eq!((of(&everything, &small, 10, Some(1)), of(&small, &everything, 10, Some(10))), (10, 10));
        // Stable may be scaled down once it gets nothing.
        assert_eq!(of(&everything, &everything, 0, Some(10)), 10);
        assert_eq!(replicas(&small, Served::Entry(None), "v2", 10, None), 1);
        assert_eq!(replicas(&small, Served::Unknown, "v2", 10, Some(7)), 7);
    }
}
