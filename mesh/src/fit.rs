//! What documents have room for: one release cannot take another one's place, or its host. No client required.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serin_config::ReleaseSplit;
use serin_release::ReleaseId;

use crate::entry::{Entries, Entry, Scope};

/// A document may have so many bytes of JSON; each proxy holds it, once for each of its workers.
pub const DOCUMENT_LIMIT: usize = 10_000_000;

/// How many bytes of JSON there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For a document.
    pub document: usize,
    /// For the releases of one namespace in it, so that no tenant takes the room of all.
    pub namespace: usize,
}

/// What documents hold of what is wanted.
#[derive(Debug, Default)]
pub struct Fit {
    /// The entries.
    pub entries: Entries,
    /// Releases without room for their change: an earlier state of theirs stays, or nothing.
    pub left_out: BTreeSet<ReleaseId>,
    /// Those of them whose namespace has no more room, though the document has.
    pub over_quota: BTreeSet<ReleaseId>,
    /// Releases without room whose stable gets everything: their entry says that alone.
    pub shortened: BTreeSet<ReleaseId>,
    /// Releases that want a host which another one has in the documents.
    pub clashes: BTreeMap<ReleaseId, ReleaseId>,
}

/// Chooses what documents hold. What is published has its place; a change that does not fit stays out, and so nobody loses what is
/// there. A takeover of stable always fits.
#[must_use]
pub fn fit(wanted: &Entries, published: &Entries, limits: Limits) -> Fit {
    let mut room = Room::new(limits, published.iter().filter(|(id, _)| wanted.contains_key(*id)));
    let mut fit = Fit::default();
    let is_same = |id: &ReleaseId, entry: &Entry| published.get(id).is_some_and(|before| before.same_for_proxies(entry));
    let (same, changed): (Vec<_>, Vec<_>) = wanted.iter().partition(|(id, entry)| is_same(id, entry));
    let (known, new): (Vec<_>, Vec<_>) = changed.into_iter().partition(|(id, _)| published.contains_key(*id));
    for (id, entry) in same.into_iter().chain(known).chain(new) {
        let before = published.get(id);
        let placed = match room.take(id, entry, before) {
            Ok(()) => Some(Arc::clone(entry)),
            Err(refused) => fit.refused(id, entry, before, refused, &mut room),
        };
        if let Some(entry) = placed {
            fit.entries.insert(id.clone(), entry);
        }
    }
    fit
}

impl Fit {
    /// What documents hold of a release whose change they cannot hold.
    fn refused<'a>(
        &mut self,
        id: &'a ReleaseId,
        entry: &'a Arc<Entry>,
        before: Option<&'a Arc<Entry>>,
        refused: Refused,
        room: &mut Room<'a>,
    ) -> Option<Arc<Entry>> {
        match refused {
            Refused::Host(other) => {
                self.clashes.insert(id.clone(), other);
            }
            Refused::Room | Refused::Quota if entry.served.takeover.as_ref() == Some(&entry.served.stable) => {
                if matches!(refused, Refused::Quota) {
                    self.over_quota.insert(id.clone());
                }
                room.hosts_of(id, &entry.served);
                self.shortened.insert(id.clone());
                return Some(Arc::new(shortened(entry)));
            }
            Refused::Room => drop(self.left_out.insert(id.clone())),
            Refused::Quota => {
                self.left_out.insert(id.clone());
                self.over_quota.insert(id.clone());
            }
        }
        // Its hosts may be somebody else's by now.
        let before = before.filter(|before| room.holder(id, &before.served).is_none())?;
        room.hosts_of(id, &before.served);
        Some(Arc::clone(before))
    }
}

/// The entry of a release whose stable gets everything, without what decides nothing then.
fn shortened(entry: &Entry) -> Entry {
    let served = ReleaseSplit { rules: Vec::new(), buckets: Vec::new(), ..entry.served.clone() };
    Entry { served, automata: BTreeMap::new(), ..entry.clone() }
}

/// Why an entry has no place.
enum Refused {
    /// Another release has the host.
    Host(ReleaseId),
    /// A document would be too large.
    Room,
    /// Its namespace would have too much of one.
    Quota,
}

/// The bytes of each scope's document, and who has which host and ports in them; no ports are all.
struct Room<'a> {
    limits: Limits,
    sizes: BTreeMap<&'a Scope, usize>,
    namespaces: BTreeMap<(&'a Scope, &'a str), usize>,
    hosts: BTreeMap<&'a str, Vec<(&'a [u16], &'a ReleaseId)>>,
}

impl<'a> Room<'a> {
    fn new(limits: Limits, published: impl Iterator<Item = (&'a ReleaseId, &'a Arc<Entry>)>) -> Self {
        let mut room = Self { limits, sizes: BTreeMap::new(), namespaces: BTreeMap::new(), hosts: BTreeMap::new() };
        for (id, entry) in published {
            room.add(id, entry);
        }
        room
    }

    fn add(&mut self, id: &'a ReleaseId, entry: &'a Entry) {
        let size = size_of(entry);
        for scope in &entry.scopes {
            *self.sizes.entry(scope).or_default() += size;
            *self.namespaces.entry((scope, &id.namespace)).or_default() += size;
        }
    }

    fn subtract(&mut self, id: &'a ReleaseId, entry: &'a Entry) {
        let size = size_of(entry);
        for scope in &entry.scopes {
            let sums = [self.sizes.get_mut(scope), self.namespaces.get_mut(&(scope, &*id.namespace))];
            sums.into_iter().flatten().for_each(|sum| *sum = sum.saturating_sub(size));
        }
    }

    /// Whether documents are larger than they may be by an entry.
    fn excess(&self, id: &ReleaseId, entry: &Entry) -> Option<Refused> {
        let is_over = |sum: Option<&usize>, limit: usize| sum.is_some_and(|sum| *sum > limit);
        entry.scopes.iter().find_map(|scope| {
            let quota = is_over(self.namespaces.get(&(scope, &*id.namespace)), self.limits.namespace);
            let room = is_over(self.sizes.get(scope), self.limits.document);
            if quota { Some(Refused::Quota) } else { room.then_some(Refused::Room) }
        })
    }

    /// Gives an entry its place, and takes back that of the one before.
    fn take(&mut self, id: &'a ReleaseId, entry: &'a Entry, before: Option<&'a Arc<Entry>>) -> Result<(), Refused> {
        if let Some(other) = self.holder(id, &entry.served) {
            return Err(Refused::Host(other.clone()));
        }
        if !before.is_some_and(|before| before.same_for_proxies(entry)) {
            if let Some(before) = before {
                self.subtract(id, before);
            }
            self.add(id, entry);
            if let Some(refused) = self.excess(id, entry) {
                self.subtract(id, entry);
                if let Some(before) = before {
                    self.add(id, before);
                }
                return Err(refused);
            }
        }
        self.hosts_of(id, &entry.served);
        Ok(())
    }

    /// The release that has a host and port of an entry.
    fn holder(&self, id: &ReleaseId, split: &ReleaseSplit) -> Option<&'a ReleaseId> {
        let meets = |ports: &[u16]| {
            ports.is_empty() || split.ports.is_empty() || ports.iter().any(|port| split.ports.contains(port))
        };
        let held = split.hosts.iter().filter_map(|host| self.hosts.get(host.as_str())).flatten();
        held.into_iter().find(|(ports, holder)| *holder != id && meets(ports)).map(|(_, holder)| *holder)
    }

    fn hosts_of(&mut self, id: &'a ReleaseId, split: &'a ReleaseSplit) {
        for host in &split.hosts {
            self.hosts.entry(host).or_default().push((&split.ports, id));
        }
    }
}

fn size_of(entry: &Entry) -> usize {
    let split = serde_json::to_string(&entry.served).map_or(0, |text| text.len() + 1);
    // A key of a map is in the list of managed fields once more.
    let automata = entry.automata.iter().map(|(pattern, automaton)| 2 * pattern.len() + automaton.len() + 16);
    split + automata.sum::<usize>()
}
