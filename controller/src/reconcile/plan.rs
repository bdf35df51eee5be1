//! Step 3, plan: what may be written now, such that no route ever points at a subset that istiod does not know yet. No client
//! required; the time comes in.
//!
//! ```text
//! a version comes:  subset ─ settle ─► route ─ settle ─► document      and, in the document, only while something is ready
//! a version goes:   document ─ drain ─► route ─ drain ─► subset
//! ```
//! Nothing says when istiod has read an object. So each step waits until the step before was *seen* in the cluster for a while:
//! also after a restart, and whoever wrote it. What the last document already used needs no wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serin_config::ReleaseSplit;

use super::build::subset_name;
use super::hosts::is_foreign;
use super::references::{References, list};
use crate::cluster::world::Object;

/// How long to wait between two steps.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before something is used that was added.
    pub settle: Duration,
    /// Before something is removed that is no longer used.
    pub drain: Duration,
}

/// Since when each fact is known, by subset.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    rule: Since,
    route: Since,
    unrouted: Since,
    unserved: Since,
}

#[derive(Clone, Debug, Default)]
struct Since(BTreeMap<String, Instant>);

impl Since {
    fn update<'a>(&mut self, holds: impl Iterator<Item = &'a String>, now: Instant) {
        let holds: BTreeSet<&String> = holds.collect();
        self.0.retain(|name, _| holds.contains(name));
        for name in holds {
            self.0.entry(name.clone()).or_insert(now);
        }
    }

    /// Whether a fact holds for so long; if not yet, `wake` learns when it will.
    fn settled(&self, name: &str, wait: Duration, now: Instant, wake: &mut Option<Instant>) -> bool {
        let Some(since) = self.0.get(name) else { return false };
        let due = *since + wait;
        if due > now {
            *wake = Some(wake.map_or(due, |wake| wake.min(due)));
        }
        due <= now
    }
}

/// What a release wants of the mesh.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The versions; none when it is being deleted.
    pub versions: BTreeSet<String>,
    /// Whether Serin writes the route.
    pub routed: bool,
    /// Whether there is a route for gateways too.
    pub gateways: bool,
}

/// What may be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Subsets of the DestinationRule; it goes when there are none.
    pub subsets: BTreeSet<String>,
    /// Versions of the routes; they go when there are none, and stay as they are when stable's is not among them.
    pub routes: BTreeSet<String>,
    /// Versions that requests may be sent to, as far as routes are concerned.
    pub routable: BTreeSet<String>,
    /// Versions that nothing leads to any more, for long enough.
    pub unserved: BTreeSet<String>,
    /// When something that waits is due.
    pub wake: Option<Instant>,
}

/// Decides what may be done now. `served` is the entry of the last document.
pub fn plan(
    wish: &Wish,
    references: &References,
    served: Option<&ReleaseSplit>,
    ledger: &mut Ledger,
    pace: Pace,
    now: Instant,
) -> Plan {
    let observed = Observed::new(references, served, &wish.versions);
    let routes: Vec<&BTreeSet<String>> = match (wish.routed, wish.gateways) {
        (false, _) => vec![&observed.rule],
        (true, false) => vec![&observed.mesh],
        (true, true) => vec![&observed.mesh, &observed.gateway],
    };
    let routed = |subset: &String| routes.iter().all(|route| route.contains(subset));
    let mentioned = |subset: &String| observed.mesh.contains(subset) || observed.gateway.contains(subset);
    ledger.rule.update(observed.rule.iter(), now);
    ledger.route.update(observed.all.keys().filter(|subset| routed(subset)), now);
    ledger.unrouted.update(observed.all.keys().filter(|subset| !mentioned(subset)), now);
    ledger.unserved.update(observed.all.keys().filter(|subset| !observed.served.contains(*subset)), now);

    let mut plan = Plan::default();
    for (subset, version) in &observed.all {
        let wanted = wish.versions.contains(version);
        let serves = observed.served.contains(subset);
        let known = ledger.rule.settled(subset, pace.settle, now, &mut plan.wake);
        let unserved = !wanted && ledger.unserved.settled(subset, pace.drain, now, &mut plan.wake);
        if unserved {
            plan.unserved.insert(version.clone());
        }
        let keeps_route = mentioned(subset) && observed.rule.contains(subset);
        if keeps_route && !unserved || wanted && known {
            plan.routes.insert(version.clone());
        }
        if wanted
            || serves
            || mentioned(subset)
            || !ledger.unrouted.settled(subset, pace.drain, now, &mut plan.wake) && observed.rule.contains(subset)
        {
            plan.subsets.insert(version.clone());
        }
        let usable = observed.rule.contains(subset) && routed(subset);
        if wanted && usable && (serves || known && ledger.route.settled(subset, pace.settle, now, &mut plan.wake)) {
            plan.routable.insert(version.clone());
        }
    }
    plan
}

/// What is there now, by subset.
struct Observed {
    rule: BTreeSet<String>,
    mesh: BTreeSet<String>,
    gateway: BTreeSet<String>,
    served: BTreeSet<String>,
    /// All subsets that are there or wanted, with their versions.
    all: BTreeMap<String, String>,
}

impl Observed {
    fn new(references: &References, served: Option<&ReleaseSplit>, wanted: &BTreeSet<String>) -> Self {
        let rule = references.destination_rule.as_ref().filter(|rule| !is_foreign(rule));
        let subsets = rule.into_iter().flat_map(|rule| list(rule, "/spec/subsets")).filter_map(|subset| {
            Some((subset.get("name")?.as_str()?.to_owned(), subset.pointer("/labels/version")?.as_str()?.to_owned()))
        });
        let mut all: BTreeMap<String, String> = subsets.collect();
        let rule = all.keys().cloned().collect();
        let mut versions: BTreeSet<String> = served.map(versions_of).unwrap_or_default();
        let served = versions.iter().map(|version| subset_name(version)).collect();
        versions.extend(wanted.iter().cloned());
        all.extend(versions.into_iter().map(|version| (subset_name(&version), version)));
        let (mesh, gateway) = (routed_subsets(&references.mesh_route), routed_subsets(&references.gateway_route));
        Self { rule, mesh, gateway, served, all }
    }
}

/// The subsets that a route of ours points at.
fn routed_subsets(route: &Option<Object>) -> BTreeSet<String> {
    let ours = route.as_ref().filter(|route| !is_foreign(route));
    let http = ours.into_iter().flat_map(|route| list(route, "/spec/http"));
    let destinations = http.flat_map(|http| http.get("route").and_then(serde_json::Value::as_array).into_iter().flatten());
    destinations.filter_map(|route| Some(route.pointer("/destination/subset")?.as_str()?.to_owned())).collect()
}

/// All versions that an entry of the document can send a request to.
#[must_use]
pub fn versions_of(split: &ReleaseSplit) -> BTreeSet<String> {
    let runs = |runs: &[(String, u32)]| runs.iter().map(|(version, _)| version.clone()).collect::<Vec<_>>();
    let rules = split
        .rules
        .iter()
        .flat_map(|rule| rule.version.iter().cloned().chain(rule.buckets.iter().flat_map(|buckets| runs(buckets))));
    let versions =
        std::iter::once(split.stable.clone()).chain(runs(&split.buckets)).chain(rules).chain(split.takeover.clone());
    versions.collect()
}

/// The entry as it may be served: what would lead to a version that cannot take requests leads to stable. The rules keep their
/// places, so that nobody falls through to another one.
#[must_use]
pub fn servable(split: &ReleaseSplit, usable: &BTreeSet<String>) -> ReleaseSplit {
    let stable = &split.stable;
    let or_stable = |version: &String| if usable.contains(version) { version.clone() } else { stable.clone() };
    let runs = |runs: &Vec<(String, u32)>| {
        let mut result: Vec<(String, u32)> = Vec::with_capacity(runs.len());
        for (version, buckets) in runs {
            let version = or_stable(version);
            match result.last_mut() {
                Some((last, sum)) if *last == version => *sum += buckets,
                _ => result.push((version, *buckets)),
            }
        }
        if result.last().is_some_and(|(version, _)| version == stable) {
            result.pop();
        }
        result
    };
    let mut served = split.clone();
    served.buckets = runs(&split.buckets);
    for rule in &mut served.rules {
        rule.version = rule.version.as_ref().map(or_stable);
        rule.buckets = rule.buckets.as_ref().map(runs);
    }
    served.takeover = split.takeover.clone().filter(|version| usable.contains(version) || version == stable);
    served
}
