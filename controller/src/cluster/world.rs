//! What the controller knows of the cluster: a copy of all objects of interest, kept up to date by watches.
//!
//! One task owns it, so that each pass sees one consistent state. What the API server answers to a write is put in at once:
//! the next pass does not act on what the write has just changed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use kube::api::DynamicObject;

use super::kind::Kind;

/// An object of the API server; which fields it has depends on its kind.
pub type Object = Arc<DynamicObject>;

/// The name of an object within its kind: namespace (empty for kinds without) and name.
pub type Name = (String, String);

/// What a watch has seen.
#[derive(Debug)]
pub enum Seen {
    /// A list begins: what it does not hold is gone.
    Begin,
    /// An object of the list.
    Listed(DynamicObject),
    /// The list is complete.
    Listing,
    /// An object was made or changed.
    Changed(DynamicObject),
    /// An object is gone.
    Gone(DynamicObject),
}

/// The copy.
#[derive(Debug, Default)]
pub struct World {
    kinds: HashMap<Kind, Objects>,
}

#[derive(Debug, Default)]
struct Objects {
    all: BTreeMap<Name, Object>,
    /// The names of a list under way.
    listed: Option<BTreeSet<Name>>,
    complete: bool,
}

impl World {
    /// Takes in what a watch has seen; answers with the objects that are new, other than before, or gone.
    pub fn see(&mut self, kind: Kind, seen: Seen) -> Vec<Object> {
        let objects = self.kinds.entry(kind).or_default();
        match seen {
            Seen::Begin => {
                objects.listed = Some(BTreeSet::new());
                Vec::new()
            }
            Seen::Listed(object) => {
                if let Some(listed) = &mut objects.listed {
                    listed.insert(name_of(&object));
                }
                objects.put(object)
            }
            Seen::Listing => {
                objects.complete = true;
                let Some(listed) = objects.listed.take() else { return Vec::new() };
                let gone: Vec<Name> = objects.all.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                gone.iter().filter_map(|name| objects.all.remove(name)).collect()
            }
            Seen::Changed(object) => objects.put(object),
            Seen::Gone(object) => {
                objects.all.remove(&name_of(&object));
                vec![Arc::new(object)]
            }
        }
    }

    /// Takes in what the API server answered to a write.
    pub fn put(&mut self, kind: Kind, object: DynamicObject) {
        self.kinds.entry(kind).or_default().put(object);
    }

    /// Takes in that an object was deleted for good.
    pub fn forget(&mut self, kind: Kind, namespace: &str, name: &str) {
        self.kinds.entry(kind).or_default().all.remove(&(namespace.to_owned(), name.to_owned()));
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
    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<&Object> {
        self.kinds.get(&kind)?.all.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// All objects of a kind.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = &Object> {
        self.kinds.get(&kind).into_iter().flat_map(|objects| objects.all.values())
    }

    /// All objects of a kind in a namespace.
    pub fn within<'a>(&'a self, kind: Kind, namespace: &'a str) -> impl Iterator<Item = &'a Object> {
        let from = Bound::Included((namespace.to_owned(), String::new()));
        let objects = self.kinds.get(&kind).into_iter();
        objects
            .flat_map(move |objects| objects.all.range((from.clone(), Bound::Unbounded)))
            .take_while(move |((of, _), _)| of == namespace)
            .map(|(_, object)| object)
    }
}

impl Objects {
    fn put(&mut self, mut object: DynamicObject) -> Vec<Object> {
        // Nobody asks who wrote which field, and it is half of the memory.
        object.metadata.managed_fields = None;
        let name = name_of(&object);
        if self.all.get(&name).is_some_and(|known| revision(known) >= revision(&object) && revision(&object).is_some()) {
            return Vec::new();
        }
        let object = Arc::new(object);
        match self.all.insert(name, Arc::clone(&object)) {
            Some(before) if same(&before, &object) => Vec::new(),
            _ => vec![object],
        }
    }
}

/// Whether an object says what it said before, whatever its revision is: of a pod only the metadata is known, and most of its
/// changes are others.
fn same(before: &DynamicObject, after: &DynamicObject) -> bool {
    let (a, b) = (&before.metadata, &after.metadata);
    before.data == after.data
        && a.uid == b.uid
        && a.labels == b.labels
        && a.annotations == b.annotations
        && a.finalizers == b.finalizers
        && a.deletion_timestamp == b.deletion_timestamp
}

/// The resource version as a number: the API server promises an order within a kind since Kubernetes 1.35, and etcd's
/// revisions had it before.
fn revision(object: &DynamicObject) -> Option<u128> {
    object.metadata.resource_version.as_ref()?.parse().ok()
}

/// The name of an object within its kind.
#[must_use]
pub fn name_of(object: &DynamicObject) -> Name {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(namespace: &str, name: &str, version: &str) -> DynamicObject {
        let data = serde_json::json!({"at": version});
        let mut object = DynamicObject::new(name, &Kind::Service.resource()).within(namespace).data(data);
        object.metadata.resource_version = Some(version.to_owned());
        object
    }

    fn names(world: &World) -> Vec<String> {
        world.all(Kind::Service).map(|object| object.metadata.name.clone().unwrap()).collect()
    }

    #[test]
    fn what_a_new_list_does_not_hold_is_gone() {
        let mut world = World::default();
        world.see(Kind::Service, Seen::Begin);
        world.see(Kind::Service, Seen::Listed(object("a", "x", "1")));
        world.see(Kind::Service, Seen::Listed(object("a", "y", "2")));
        assert!(world.see(Kind::Service, Seen::Listing).is_empty());
        world.see(Kind::Service, Seen::Begin);
        assert!(world.see(Kind::Service, Seen::Listed(object("a", "y", "2"))).is_empty());
        assert_eq!(world.see(Kind::Service, Seen::Listing).len(), 1);
        assert_eq!(names(&world), ["y"]);
    }

    #[test]
    fn what_is_older_than_the_answer_to_a_write_is_ignored() {
        let mut world = World::default();
        world.put(Kind::Service, object("a", "x", "7"));
        assert!(world.see(Kind::Service, Seen::Changed(object("a", "x", "6"))).is_empty());
        assert!(world.see(Kind::Service, Seen::Changed(object("a", "x", "7"))).is_empty());
        assert_eq!(world.see(Kind::Service, Seen::Changed(object("a", "x", "10"))).len(), 1);
    }

    #[test]
    fn a_namespace_holds_its_own_objects() {
        let mut world = World::default();
        for (namespace, name) in [("a", "x"), ("aa", "y"), ("a", "z"), ("b", "w")] {
            world.put(Kind::Service, object(namespace, name, "1"));
        }
        let within: Vec<_> = world.within(Kind::Service, "a").map(|object| name_of(object).1).collect();
        assert_eq!(within, ["x", "z"]);
    }
}
