//! What became of a publication: who goes on from there, and when what failed is tried again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serin_release::ReleaseId;

use super::{Publisher, State};
use crate::conditions::Condition;
use crate::documents::Document;
use crate::entry::{Entries, Scope};
use crate::fit::Fit;
use crate::order::versions_of;
use crate::publication::{Failing, Publication};

impl Publisher {
    /// Takes in that a publication was written, but for scopes that failed; answers with the releases that go on from there: those
    /// whose requests now go elsewhere, after which routes may go, and those that were told of a trouble.
    pub fn wrote(
        &mut self,
        publication: Publication,
        failing: BTreeMap<Scope, Failing>,
        settle: Duration,
        now: Instant,
    ) -> BTreeSet<ReleaseId> {
        let Fit { mut entries, left_out, over_quota, shortened, clashes } = publication.documents.fit;
        self.scope_failures.retain(|scope, _| failing.contains_key(scope));
        self.failing = failing;
        // A release has moved once all of its proxies know.
        let stuck = |id: &&ReleaseId| self.scopes_of(id).any(|scope| self.failing.contains_key(scope));
        let stuck: BTreeSet<ReleaseId> = self.changed.iter().filter(stuck).cloned().collect();
        for id in &stuck {
            match self.published.get(id) {
                Some(before) => entries.insert(id.clone(), Arc::clone(before)),
                None => entries.remove(id),
            };
        }
        self.arrive(&publication.documents.scopes, &entries, now);
        // Where requests go, and what they ask routes for.
        let leads = |entries: &Entries, id: &ReleaseId| {
            entries.get(id).map(|entry| (versions_of(&entry.served), entry.served.routing_key.clone()))
        };
        let moved = |id: &&ReleaseId| leads(&entries, id) != leads(&self.published, id);
        let mut next: BTreeSet<ReleaseId> = self.changed.iter().filter(moved).cloned().collect();
        next.append(&mut self.told);
        // Their time counts from here.
        next.append(&mut self.batch.published(now));
        (self.published, self.lost, self.failures) = (entries, None, 0);
        self.last_failure = None;
        self.changed.clone().iter().for_each(|id| self.hold(id));
        (self.left_out, self.over_quota, self.shortened, self.clashes) = (left_out, over_quota, shortened, clashes);
        self.changed = std::mem::take(&mut self.changed).into_iter().filter(|id| self.differs(id)).collect();
        self.retreating.retain(|id| self.changed.contains(id));
        let held = publication.writes.iter().any(|write| write.other_module && !self.failing.contains_key(&write.scope));
        self.state = if held { State::Held { until: now + settle } } else { State::Idle };
        next
    }

    /// Says which documents are in force now, and for which releases they are not what they were.
    fn arrive(&mut self, scopes: &BTreeMap<Scope, Document>, entries: &Entries, now: Instant) {
        let mut current = self.proxies.current().clone();
        current.retain(|scope, _| scopes.contains_key(scope));
        let written = scopes.iter().filter(|(scope, _)| !self.failing.contains_key(scope));
        current.extend(written.filter_map(|(scope, document)| Some((scope.clone(), document.checksum?))));
        let same = |id: &ReleaseId| match (entries.get(id), self.published.get(id)) {
            (Some(now), Some(before)) => now.same_for_proxies(before),
            (now, before) => now.is_none() && before.is_none(),
        };
        let changed = self.changed.iter().filter(|id| !same(id)).map(|id| (id, entries.contains_key(id)));
        self.proxies.published(current, changed, now);
    }

    /// Takes in that a publication could not be made or written; the answer is the number of failures in a row.
    pub const fn failed(&mut self) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Says when a publication that failed is tried again; answers with the releases that were told something else of it.
    pub fn retry(&mut self, condition: Condition, retry_at: Instant) -> BTreeSet<ReleaseId> {
        let differs = self.last_failure.as_ref().is_some_and(|last| *last != condition);
        self.last_failure = Some(condition.clone());
        self.state = State::Failing { retry_at, condition };
        if differs { std::mem::take(&mut self.told) } else { BTreeSet::new() }
    }

    /// How often in a row a scope has failed, this time included.
    pub fn failed_scope(&mut self, scope: &Scope) -> u32 {
        let failures = self.scope_failures.entry(scope.clone()).or_insert(0);
        *failures += 1;
        *failures
    }
}
