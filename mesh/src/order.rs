//! Step 3, plan: what may be written now, such that no route ever leads to a version that proxies do not know yet. No client
//! required; the time comes in.
//!
//! ```text
//! a version comes:  known ─ settle ─► routed ─ settle ─► document      and, in the document, only while something is ready
//! a version goes:   document ─ drain ─► routed ─ drain ─► known
//! ```
//! Nothing says when proxies have an object. So each step waits until the step before was *seen* in the cluster for a while:
//! also after a restart, and whoever wrote it. What the last document already used needs no wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serin_config::ReleaseSplit;

use crate::home::{Reach, RoutingKey};

/// How long to wait between two steps.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Before something is used that was added.
    pub settle: Duration,
    /// Before something is removed that is no longer used.
    pub drain: Duration,
}

/// Since when each fact is known, by version.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    known: HeldSince,
    routed: HeldSince,
    unrouted: HeldSince,
    unserved: HeldSince,
    keyed: Option<Instant>,
    only_keyed: Option<Instant>,
}

#[derive(Clone, Debug, Default)]
struct HeldSince(BTreeMap<String, Instant>);

impl HeldSince {
    fn update<'a>(&mut self, holds: impl Iterator<Item = &'a String>, now: Instant) {
        let holds: BTreeSet<&String> = holds.collect();
        self.0.retain(|version, _| holds.contains(version));
        for version in holds {
            self.0.entry(version.clone()).or_insert(now);
        }
    }

    /// When a fact will have held for so long; `None` while it does not hold.
    fn due(&self, version: &str, wait: Duration) -> Option<Instant> {
        self.0.get(version).map(|since| *since + wait)
    }
}

/// What proxies may be sending requests to.
#[derive(Clone, Copy, Debug)]
pub enum Served<'a> {
    /// What this entry of the last document names; nothing where there is none.
    Entry(Option<&'a ReleaseSplit>),
    /// The last document cannot be read, so it may be any version that is routed.
    Unknown,
}

impl Served<'_> {
    /// The versions, where it is known.
    #[must_use]
    pub fn versions(self) -> BTreeSet<String> {
        match self {
            Self::Entry(entry) => entry.map(versions_of).unwrap_or_default(),
            Self::Unknown => BTreeSet::new(),
        }
    }

    /// Whether no proxy sends anything anywhere for the release.
    #[must_use]
    pub const fn is_nothing(self) -> bool {
        matches!(self, Self::Entry(None))
    }
}

/// What may be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Order {
    /// Versions to make known; nothing is left to do so where there are none.
    pub known: BTreeSet<String>,
    /// Versions to route to. Routes go when there are none, and stay as they are while stable is not among them.
    pub routes: BTreeSet<String>,
    /// Versions that requests may be sent to, as far as routes are concerned.
    pub routable: BTreeSet<String>,
    /// Versions that nothing leads to any more, for long enough.
    pub unserved: BTreeSet<String>,
    /// What entries send behind the version in the routing header; `None` where it has to wait.
    pub routing_key: Option<RoutingKey>,
    /// What routes take there.
    pub routing_keys: BTreeSet<RoutingKey>,
    /// When something that waits is due.
    pub requeue_at: Option<Instant>,
}

/// Decides what may be done now. `wanted` are the versions of the release, none when it leaves the mesh.
pub fn order(
    wanted: &BTreeSet<String>,
    reach: &Reach,
    served: Served<'_>,
    timers: &mut Timers,
    pace: Pace,
    now: Instant,
) -> Order {
    let Reach { known, routed, mentioned, .. } = reach;
    let named = served.versions();
    let all: BTreeSet<String> = [wanted, known, mentioned, &named].into_iter().flatten().cloned().collect();
    let serves = |version: &String| match served {
        Served::Entry(_) => named.contains(version),
        Served::Unknown => mentioned.contains(version) || routed.contains(version),
    };
    timers.known.update(known.iter(), now);
    timers.routed.update(routed.iter(), now);
    timers.unrouted.update(all.iter().filter(|version| !mentioned.contains(*version)), now);
    timers.unserved.update(all.iter().filter(|version| !serves(version)), now);

    let mut order = Order::default();
    let mut requeue_at: Option<Instant> = None;
    let mut past = |due: Option<Instant>| {
        requeue_at = requeue_at.into_iter().chain(due.filter(|due| *due > now)).min();
        due.is_some_and(|due| due <= now)
    };
    for version in all {
        let is_wanted = wanted.contains(&version);
        let is_known = known.contains(&version);
        let is_mentioned = mentioned.contains(&version);
        let settled = past(timers.known.due(&version, pace.settle));
        let unserved = past(timers.unserved.due(&version, pace.drain));
        let unrouted = !is_wanted && past(timers.unrouted.due(&version, pace.drain));
        let usable = is_wanted && is_known && routed.contains(&version);
        if usable && (serves(&version) || settled && past(timers.routed.due(&version, pace.settle))) {
            order.routable.insert(version.clone());
        }
        let is_needed = is_wanted || !unserved;
        if is_mentioned && is_known && is_needed || is_wanted && settled {
            order.routes.insert(version.clone());
        }
        if unserved {
            order.unserved.insert(version.clone());
        }
        if is_wanted || serves(&version) || is_mentioned || is_known && !unrouted {
            order.known.insert(version);
        }
    }
    let keys = keys(reach, served, timers, pace, now);
    let requeue_at = requeue_at.into_iter().chain(keys.requeue_at).min();
    // What no route asks for yet is not sent: routes may be an earlier Serin's.
    let routable = if keys.routing_key.is_some() { order.routable } else { BTreeSet::new() };
    Order { routing_key: keys.routing_key, routing_keys: keys.routing_keys, routable, requeue_at, ..order }
}

/// What of an order concerns keys in the routing header: routes learn of one before it is sent, and forget another one after that.
fn keys(reach: &Reach, served: Served<'_>, timers: &mut Timers, pace: Pace, now: Instant) -> Order {
    let key = &reach.key;
    let sent = match served {
        Served::Entry(entry) => entry.map(|entry| entry.routing_key.clone()),
        Served::Unknown => None,
    };
    let sends_another = sent.as_ref().is_some_and(|sent| sent != key) || matches!(served, Served::Unknown);
    timers.keyed = reach.keyed.then(|| timers.keyed.unwrap_or(now));
    timers.only_keyed = (!sends_another).then(|| timers.only_keyed.unwrap_or(now));
    let mut order = Order { routing_keys: std::iter::once(key.clone()).chain(sent.clone()).collect(), ..Order::default() };
    let settled = timers.keyed.map(|since| since + pace.settle);
    let drained = timers.only_keyed.map(|since| since + pace.drain);
    let is_past = |due: Option<Instant>| due.is_some_and(|due| due <= now);
    order.routing_key = if is_past(settled) { Some(key.clone()) } else { sent };
    if !reach.other_keys.is_empty() && !is_past(drained) {
        order.routing_keys.extend(reach.other_keys.iter().cloned());
    }
    let waits =
        [settled.filter(|_| order.routing_key.as_ref() != Some(key)), drained.filter(|_| !reach.other_keys.is_empty())];
    order.requeue_at = waits.into_iter().flatten().filter(|due| *due > now).min();
    order
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
