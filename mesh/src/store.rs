//! What the controller knows of the cluster: a copy of all objects of interest, kept up to date by watches.
//!
//! One task owns it, so that each pass sees one consistent state. What the API server answers to a write is put in at once:
//! the next pass does not act on what the write has just changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::Bound;
use std::sync::Arc;

use serin_release::ReleaseId;
use serin_release::domain::ClusterDomain;

use crate::few::Few;
use crate::key::Key;
use crate::names::matches_host;
use crate::resource::Resource;
use crate::{Content, Kind, Name, Object};

/// What a watch has seen.
#[derive(Debug)]
pub enum Event {
    /// A list begins: what it does not hold is gone.
    InitStart,
    /// An object of the list.
    InitItem(Object),
    /// The list is complete.
    InitDone,
    /// An object was made or changed.
    Applied(Object),
    /// An object is gone.
    Deleted(Object),
}

/// An object that is new, other than before, or gone.
#[derive(Clone, Debug)]
pub struct Change {
    /// As it is, or was last.
    pub object: Object,
    /// What it is found by now, and what it was found by before.
    pub keys: BTreeSet<Key>,
}

/// Says what an object is found by, beside its name.
pub type Keys = Box<dyn Fn(Kind, &Content) -> Vec<Key> + Send + Sync>;

/// A copy of the objects of a cluster.
pub struct Store {
    kinds: HashMap<Kind, Objects>,
    releases: BTreeMap<ReleaseId, Arc<Resource>>,
    /// Names are shared with `kinds`: most keys find one object.
    index: BTreeMap<Key, Few<Arc<Name>>>,
    keys: Keys,
    domain: ClusterDomain,
}

#[derive(Debug, Default)]
struct Objects {
    all: BTreeMap<Arc<Name>, Object>,
    /// What the list under way has brought so far.
    listed: Option<BTreeSet<Name>>,
    complete: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("kinds", &self.kinds).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty copy, whose objects are found by these keys too.
    #[must_use]
    pub fn new(keys: Keys, domain: ClusterDomain) -> Self {
        Self { kinds: HashMap::new(), releases: BTreeMap::new(), index: BTreeMap::new(), keys, domain }
    }

    /// Takes in what a watch has seen.
    pub fn apply(&mut self, kind: Kind, event: Event) -> Vec<Change> {
        let objects = self.kinds.entry(kind).or_default();
        match event {
            Event::InitStart => {
                objects.listed = Some(BTreeSet::new());
                Vec::new()
            }
            Event::InitItem(object) => {
                if let Some(listed) = &mut objects.listed {
                    listed.insert(object.name());
                }
                self.put(kind, object).into_iter().collect()
            }
            Event::InitDone => {
                objects.complete = true;
                let Some(listed) = objects.listed.take() else { return Vec::new() };
                let gone: Vec<Arc<Name>> = objects.all.keys().filter(|name| !listed.contains(&***name)).cloned().collect();
                gone.iter().filter_map(|name| self.forget(kind, name)).collect()
            }
            Event::Applied(object) => self.put(kind, object).into_iter().collect(),
            Event::Deleted(object) => self.forget(kind, &object.name()).into_iter().collect(),
        }
    }

    /// Takes in an object, such as the API server's answer to a write; `None` where it says nothing new.
    pub fn put(&mut self, kind: Kind, object: Object) -> Option<Change> {
        let objects = self.kinds.entry(kind).or_default();
        let name = object.name();
        let (name, before) = match objects.all.get_key_value(&name) {
            Some((name, before)) => (Arc::clone(name), Some(before.clone())),
            None => (Arc::new(name), None),
        };
        if before.as_ref().is_some_and(|known| revision(known) >= revision(&object) && revision(&object).is_some()) {
            return None;
        }
        objects.all.insert(Arc::clone(&name), object.clone());
        let changed = !before.as_ref().is_some_and(|before| same(before, &object));
        let old: BTreeSet<Key> = before.iter().filter(|_| changed).flat_map(|before| self.keys_of(kind, before)).collect();
        if kind == Kind::CanaryRelease {
            self.releases.insert(id_of(&name), Arc::new(Resource::read_in(&self.domain, &object)));
        }
        if !changed {
            return None;
        }
        let new: BTreeSet<Key> = self.keys_of(kind, &object).collect();
        for key in old.difference(&new) {
            self.unindex(key, &name);
        }
        for key in new.difference(&old) {
            self.index.entry(key.clone()).or_default().insert(Arc::clone(&name));
        }
        let mut keys: BTreeSet<Key> = old.into_iter().chain(new).collect();
        keys.insert(Key::Object(kind, Name::clone(&name)));
        Some(Change { object, keys })
    }

    /// Takes in that an object is gone.
    pub fn forget(&mut self, kind: Kind, name: &Name) -> Option<Change> {
        let object = self.kinds.get_mut(&kind)?.all.remove(name)?;
        let mut keys: BTreeSet<Key> = self.keys_of(kind, &object).collect();
        if kind == Kind::CanaryRelease {
            self.releases.remove(&id_of(name));
        }
        for key in &keys {
            self.unindex(key, name);
        }
        keys.insert(Key::Object(kind, name.clone()));
        Some(Change { object, keys })
    }

    fn keys_of(&self, kind: Kind, object: &Content) -> impl Iterator<Item = Key> + use<> {
        let claims = match kind {
            Kind::CanaryRelease => {
                self.releases.get(&id_of(&object.name())).map(|release| release.claims()).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        (self.keys)(kind, object).into_iter().chain(claims.into_iter().map(move |host| Key::Host(kind, host)))
    }

    fn unindex(&mut self, key: &Key, name: &Name) {
        if let Some(names) = self.index.get_mut(key) {
            names.remove(name);
            if names.is_empty() {
                self.index.remove(key);
            }
        }
    }

    /// Whether each kind was listed once.
    #[must_use]
    pub fn complete(&self) -> bool {
        Kind::ALL.iter().all(|kind| self.kinds.get(kind).is_some_and(|objects| objects.complete))
    }

    /// The kinds that were not listed yet.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let missing = |kind: &&Kind| !self.kinds.get(*kind).is_some_and(|objects| objects.complete);
        Kind::ALL.iter().filter(missing).map(|kind| kind.name()).collect()
    }

    /// An object by its name.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &Name) -> Option<&Object> {
        self.kinds.get(&kind)?.all.get(name)
    }

    /// All objects of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.kinds.get(&kind).into_iter().flat_map(|objects| objects.all.values())
    }

    /// The objects that are found by a key.
    pub fn found<'a>(&'a self, kind: Kind, key: &Key) -> impl Iterator<Item = &'a Object> + use<'a> {
        let names = self.index.get(key).into_iter().flat_map(Few::iter);
        names.filter_map(move |name| self.get(kind, name))
    }

    /// The objects that name a host, exactly or by a pattern.
    pub fn of_host(&self, kind: Kind, host: &str) -> Vec<&Object> {
        let exact = Key::Host(kind, host.to_owned());
        // `*` is before all characters that a host may have, so that the patterns stand together.
        let patterns = self
            .index
            .range((Bound::Included(Key::Host(kind, "*".to_owned())), Bound::Excluded(Key::Host(kind, "+".to_owned()))));
        let patterns =
            patterns.map(|(key, _)| key).filter(|key| matches!(key, Key::Host(_, pattern) if matches_host(pattern, host)));
        let names: BTreeSet<&Arc<Name>> =
            std::iter::once(&exact).chain(patterns).filter_map(|key| self.index.get(key)).flat_map(Few::iter).collect();
        names.into_iter().filter_map(|name| self.get(kind, name)).collect()
    }

    /// A release.
    #[must_use]
    pub fn release(&self, id: &ReleaseId) -> Option<&Arc<Resource>> {
        self.releases.get(id)
    }

    /// All releases, in the order of their names.
    pub fn releases(&self) -> impl ExactSizeIterator<Item = &Arc<Resource>> {
        self.releases.values()
    }
}

fn id_of(name: &Name) -> ReleaseId {
    ReleaseId::new(&*name.namespace, &*name.name)
}

/// Whether an object says what it said before, whatever its revision is: of a pod only the metadata is known, and most of its
/// changes are others.
fn same(before: &Content, after: &Content) -> bool {
    let (a, b) = (&before.metadata, &after.metadata);
    before.data == after.data
        && a.uid == b.uid
        && a.labels == b.labels
        && a.annotations == b.annotations
        && a.finalizers == b.finalizers
        && a.deleting == b.deleting
}

/// The resource version as a number: the API server promises an order within a kind since Kubernetes 1.35, and etcd's
/// revisions had it before.
fn revision(object: &Content) -> Option<u128> {
    object.metadata.resource_version.as_ref()?.parse().ok()
}
