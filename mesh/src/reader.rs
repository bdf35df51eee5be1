//! Reads of the copy that are written down, so that a change concerns exactly the releases that had read what changed.
//!
//! What a change costs then grows with the releases that it concerns, and not with those that there are.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use serin_release::ReleaseId;

use crate::few::Few;
use crate::key::Key;
use crate::names::matches_host;
use crate::resource::Resource;
use crate::store::Store;
use crate::{Kind, Name, Object};

/// Reads for one release.
#[derive(Debug)]
pub struct Reader<'a> {
    store: &'a Store,
    keys: RefCell<BTreeSet<Key>>,
}

impl<'a> Reader<'a> {
    /// A reader of a copy that has read nothing yet.
    #[must_use]
    pub fn new(store: &'a Store) -> Self {
        Self { store, keys: RefCell::default() }
    }

    /// An object by its name.
    #[must_use]
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&'a Object> {
        let name = Name::new(namespace, name);
        let found = self.store.get(kind, &name);
        self.note(Key::Object(kind, name));
        found
    }

    /// Objects of a namespace that have a label, or make pods that have it.
    pub fn labelled(
        &self,
        kind: Kind,
        namespace: &str,
        label: &str,
        value: &str,
    ) -> impl Iterator<Item = &'a Object> + use<'a> {
        let key = Key::label(kind, namespace, label, value);
        let found = self.store.found(kind, &key);
        self.note(key);
        found
    }

    /// Objects of any namespace that name a host, exactly or by a pattern.
    #[must_use]
    pub fn of_host(&self, kind: Kind, host: &str) -> Vec<&'a Object> {
        let found = self.store.of_host(kind, host);
        self.note(Key::Host(kind, host.to_owned()));
        found
    }

    /// Objects of a kind, of any namespace, that point at an object.
    pub fn pointing_at(&self, kind: Kind, at: Kind, name: Name) -> impl Iterator<Item = &'a Object> + use<'a> {
        let key = Key::Target(kind, at, name);
        let found = self.store.found(kind, &key);
        self.note(key);
        found
    }

    /// The releases that want to route a host.
    pub fn claimants(&self, host: &str) -> impl Iterator<Item = &'a Arc<Resource>> + use<'a> {
        let store = self.store;
        let key = Key::Host(Kind::CanaryRelease, host.to_owned());
        let found = store.found(Kind::CanaryRelease, &key);
        self.note(key);
        found.filter_map(|object| store.release(&ReleaseId::new(&*object.metadata.namespace, &*object.metadata.name)))
    }

    fn note(&self, key: Key) {
        self.keys.borrow_mut().insert(key);
    }

    /// What was read.
    #[must_use]
    pub fn into_keys(self) -> BTreeSet<Key> {
        self.keys.into_inner()
    }
}

/// Which release has read what.
#[derive(Debug, Default)]
pub struct Readers {
    /// Keys and releases are shared by the two maps: most keys are read for one release.
    by_key: BTreeMap<Arc<Key>, Few<Arc<ReleaseId>>>,
    by_release: BTreeMap<Arc<ReleaseId>, Box<[Arc<Key>]>>,
}

impl Readers {
    /// Takes in what a release has read last; what it read before counts no longer.
    pub fn record(&mut self, id: &ReleaseId, keys: BTreeSet<Key>) {
        let (id, before) = self.by_release.remove_entry(id).unwrap_or_else(|| (Arc::new(id.clone()), Box::default()));
        for key in before.iter().filter(|key| !keys.contains(&***key)) {
            self.remove(key, &id);
        }
        // Both are in the order of the keys.
        let mut known = before.iter().peekable();
        let mut now = Vec::with_capacity(keys.len());
        for key in keys {
            while known.next_if(|known| ***known < key).is_some() {}
            let key = match known.next_if(|known| ***known == key) {
                Some(known) => Arc::clone(known),
                None => {
                    let key = Arc::new(key);
                    self.by_key.entry(Arc::clone(&key)).or_default().insert(Arc::clone(&id));
                    key
                }
            };
            now.push(key);
        }
        if !now.is_empty() {
            self.by_release.insert(id, now.into_boxed_slice());
        }
    }

    /// Forgets what a release has read.
    pub fn forget(&mut self, id: &ReleaseId) {
        self.record(id, BTreeSet::new());
    }

    fn remove(&mut self, key: &Arc<Key>, id: &ReleaseId) {
        if let Some(readers) = self.by_key.get_mut(key) {
            readers.remove(id);
            if readers.is_empty() {
                self.by_key.remove(key);
            }
        }
    }

    /// The releases that have read one of these keys.
    #[must_use]
    pub fn of(&self, keys: &BTreeSet<Key>) -> BTreeSet<ReleaseId> {
        keys.iter().flat_map(|key| self.of_key(key)).map(|id| ReleaseId::clone(id)).collect()
    }

    fn of_key<'a>(&'a self, key: &'a Key) -> Vec<&'a Arc<ReleaseId>> {
        let exact = self.by_key.get(key).into_iter().flat_map(Few::iter);
        match key {
            // Whoever has read a host that the pattern covers.
            Key::Host(kind, pattern) if pattern.starts_with('*') => {
                let hosts =
                    self.by_key.range::<Key, _>((Bound::Included(&Key::Host(*kind, String::new())), Bound::Unbounded));
                let hosts = hosts.map_while(|(key, readers)| match &**key {
                    Key::Host(of, host) if of == kind => Some((host, readers)),
                    _ => None,
                });
                hosts.filter(|(host, _)| matches_host(pattern, host)).flat_map(|(_, readers)| readers.iter()).collect()
            }
            _ => exact.collect(),
        }
    }
}
