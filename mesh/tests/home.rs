//! Another home: whatever writes the objects, the order, deletion, documents and the status are the same.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use serin_config::SplitDocument;
use serin_mesh::check::check;
use serin_mesh::conditions::{Condition, Reason};
use serin_mesh::desired::Desired;
use serin_mesh::documents::{Filter, Module};
use serin_mesh::entry::Scope;
use serin_mesh::home::{Home, Owned, Plan, Reach, Role, Site, store};
use serin_mesh::key::Key;
use serin_mesh::life::Life;
use serin_mesh::order::Pace;
use serin_mesh::outcome::Outcome;
use serin_mesh::pass::{Memory, Pass, Settings};
use serin_mesh::proxies::Seen;
use serin_mesh::publication::{Bounds, Reachability};
use serin_mesh::publisher::Publisher;
use serin_mesh::reader::Reader;
use serin_mesh::reconcile::{build, plan};
use serin_mesh::references::dereference;
use serin_mesh::refusal::Refusal;
use serin_mesh::resource::Resource;
use serin_mesh::status::status;
use serin_mesh::store::Store;
use serin_mesh::{Content, Kind, Name, Object};
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::CanaryRelease;

fn bounds() -> Bounds {
    Bounds {
        controller: "serin-system".to_owned(),
        quota: 500_000,
        grace: Duration::from_secs(120),
        batch: Duration::from_secs(10),
    }
}

/// A home of two objects of one kind: `NAME-pools` lists the versions that are known, `NAME-table` those that are routed.
#[derive(Debug)]
struct Tables;

#[derive(Debug)]
struct Table {
    pools: Option<Object>,
    table: Option<Object>,
}

const KIND: Kind = Kind::VirtualService;

fn object(id: &ReleaseId, suffix: &str, versions: &BTreeSet<String>) -> Desired {
    let content = Map::from_iter([("spec".to_owned(), json!({"versions": versions}))]);
    Desired::new(KIND, &id.namespace, &format!("{}-{suffix}", id.name), &id.name, content)
}

fn listed(object: Option<&Object>) -> BTreeSet<String> {
    object.into_iter().flat_map(|object| object.strings("/spec/versions")).map(str::to_owned).collect()
}

impl Home for Tables {
    fn keys(&self, _: Kind, _: &Content) -> Vec<Key> {
        Vec::new()
    }

    fn observe(&self, release: &Resource, _: Option<&Object>, reader: &Reader<'_>) -> Box<dyn Site> {
        let found =
            |suffix: &str| reader.get(KIND, &release.id.namespace, &format!("{}-{suffix}", release.id.name)).cloned();
        Box::new(Table { pools: found("pools"), table: found("table") })
    }

    fn carrier(&self) -> Kind {
        Kind::WasmPlugin
    }

    fn carrier_name(&self, _: &Scope) -> Name {
        Name::new("proxies", "document")
    }

    fn scope_of(&self, carrier: &Object) -> Option<Scope> {
        (carrier.name() == self.carrier_name(&Scope::Mesh)).then_some(Scope::Mesh)
    }

    fn fetch<'a>(&self, _: &'a Object) -> Option<&'a str> {
        None
    }

    fn carry(&self, scope: &Scope, document: &str, _: &Module, _: Option<&str>) -> Desired {
        let name = self.carrier_name(scope);
        let content = Map::from_iter([("text".to_owned(), document.into())]);
        Desired::new(self.carrier(), &name.namespace, &name.name, "all", content)
    }

    fn module_url<'a>(&self, _: &'a Object) -> Option<&'a str> {
        None
    }

    fn carried(&self, carrier: &Object) -> Option<Result<SplitDocument, String>> {
        Some(SplitDocument::parse(carrier.text("/text")?.as_bytes()).map_err(|error| error.to_string()))
    }
}

impl Site for Table {
    fn has_host(&self) -> bool {
        true
    }

    fn selector(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn endpoints(&self) -> BTreeMap<String, u32> {
        BTreeMap::from([("v1".to_owned(), 2), ("v2".to_owned(), 1)])
    }

    fn scopes(&self) -> BTreeSet<Scope> {
        BTreeSet::from([Scope::Mesh])
    }

    fn check(&self, _: &CanaryRelease, _: &str) -> Result<(), Refusal> {
        Ok(())
    }

    fn reach(&self, _: &BTreeSet<String>, _: &str) -> Reach {
        let routed = listed(self.table.as_ref());
        Reach { known: listed(self.pools.as_ref()), mentioned: routed.clone(), routed, keyed: true, ..Reach::default() }
    }

    fn desired(&self, plan: &Plan<'_>) -> Vec<Desired> {
        let id = &plan.resource.id;
        let table = plan.routes.contains(plan.stable).then(|| object(id, "table", plan.routes));
        std::iter::once(object(id, "pools", plan.known)).chain(table).collect()
    }

    fn surplus(&self, _: &Plan<'_>) -> Vec<(Kind, String)> {
        Vec::new()
    }

    fn owned(&self) -> Vec<Owned> {
        let objects = [(&self.pools, Role::Knows), (&self.table, Role::Routes)];
        let there = objects.into_iter().filter_map(|(found, role)| Some((found.as_ref()?, role)));
        there.map(|(found, role)| Owned { kind: KIND, name: found.metadata.name.clone(), role }).collect()
    }

    fn gap(&self, versions: &[&str], _: &str) -> Option<Condition> {
        (versions.len() > 2).then(|| Condition::new(Reason::NotRouted, "a table holds two versions"))
    }
}

struct World {
    store: Store,
    memory: Memory,
    publisher: Publisher,
    settings: Settings,
    now: Instant,
    revision: u64,
    /// What was written, in order.
    log: Vec<String>,
}

impl World {
    fn new() -> Self {
        let document = SplitDocument::new(Vec::new());
        let module = Module { url: "any".to_owned(), sha256: None };
        let second = Duration::from_secs(1);
        let mut publisher = Publisher::new(document.clone(), Filter { any: module, requests: None }, bounds());
        publisher.filter_is(Reachability::Reachable);
        Self {
            store: store(Arc::new(Tables)),
            memory: Memory::default(),
            publisher,
            settings: Settings { document, pace: Pace { settle: second, drain: second }, workloads: true },
            now: Instant::now(),
            revision: 0,
            log: Vec::new(),
        }
    }

    fn put(&mut self, kind: Kind, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.store.put(kind, Object::from_json(object));
    }

    fn release(&mut self, canaries: &[&str], deleting: bool) {
        let canaries: Vec<Value> = canaries.iter().map(|version| json!({"version": version, "weight": "10%"})).collect();
        let mut metadata = json!({"namespace": "shop", "name": "reviews", "finalizers": ["serin.dev/cleanup"]});
        if deleting {
            metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        }
        let spec = json!({"service": "reviews.example.com", "stable": {"version": "v1"}, "canaries": canaries});
        self.put(Kind::CanaryRelease, json!({"metadata": metadata, "spec": spec}));
    }

    /// A pass, with its writes; the answer says the conditions that do not hold, or whether the release is done.
    fn pass(&mut self) -> String {
        let id = ReleaseId::new("shop", "reviews");
        let resource = Arc::clone(self.store.release(&id).unwrap());
        let references = dereference(&resource, &Reader::new(&self.store), &Tables, self.publisher.hosts(), "serin-system");
        let (entry, served) = (self.publisher.entry(&id), self.publisher.served(&id));
        let (settings, now) = (&self.settings, self.now);
        let pass = Pass {
            resource: &resource,
            references: &references,
            life: &Life::default(),
            entry,
            served,
            settings,
            seen: Seen::default(),
            now,
        };
        let checked = check(&pass, &mut self.memory);
        let order = plan(&pass, &checked, &mut self.memory);
        let outcome = build(&pass, checked, &order);
        let writes = outcome.writes().cloned().unwrap();
        for desired in &writes.objects {
            let found = self.store.get(desired.kind, &Name::new("shop", &*desired.name));
            if !found.is_some_and(|found| desired.is(found)) {
                self.log.push(format!("{} {}", desired.name, desired.body["spec"]["versions"]));
                self.put(desired.kind, desired.body.clone());
            }
        }
        for (kind, name) in &writes.removals {
            self.log.push(format!("{name} goes"));
            self.store.forget(*kind, &Name::new("shop", &**name));
        }
        let done = matches!(&outcome, Outcome::Leaves(leaves) if leaves.done);
        match &outcome {
            Outcome::Routed(routed) => routed.entry.iter().for_each(|entry| self.publisher.set(&id, Arc::clone(entry))),
            _ => self.publisher.remove(&id),
        }
        if self.publisher.is_due(self.now) {
            let publication = self.publisher.publication(&self.store, &Tables).unwrap();
            for write in publication.writes.clone() {
                let splits = Tables.carried(&Object::from_json(write.desired.body.clone())).unwrap().unwrap().splits;
                let versions = splits.iter().map(|split| format!("{} {:?}", split.stable, split.buckets));
                self.log.push(format!("document {}", versions.collect::<Vec<_>>().join("; ")));
                self.put(Kind::WasmPlugin, write.desired.body);
            }
            self.publisher.wrote(publication, BTreeMap::new(), Duration::ZERO, self.now);
        }
        let (entry, served) = (self.publisher.entry(&id), self.publisher.served(&id));
        let pass = Pass {
            resource: &resource,
            references: &references,
            life: &Life::default(),
            entry,
            served,
            settings: &self.settings,
            seen: Seen::default(),
            now: self.now,
        };
        let status = status(&pass, &outcome, None, "now");
        self.now += Duration::from_secs(1);
        let missing =
            status.conditions.iter().filter(|condition| condition.status == "False" && condition.kind != "TakenOver");
        let missing: Vec<&str> = missing.map(|condition| condition.reason.as_str()).collect();
        if done { "done".to_owned() } else { missing.join(" ") }
    }

    fn passes(&mut self, count: usize) -> (Vec<String>, Vec<String>) {
        let said = (0..count).map(|_| self.pass()).collect();
        (said, std::mem::take(&mut self.log))
    }
}

#[test]
fn another_home_is_served_in_the_same_order() {
    let mut world = World::new();
    world.release(&["v2"], false);
    let (said, log) = world.passes(6);
    assert_eq!(said, ["Pending", "Pending", "Pending", "Pending", "", ""]);
    let expected =
        [r#"reviews-pools ["v1","v2"]"#, "document ", r#"reviews-table ["v1","v2"]"#, r#"document v1 [("v2", 10000)]"#];
    assert_eq!(log, expected);

    // What the home says that the owner has to do comes before what is on its way.
    world.release(&["v2", "v3"], false);
    assert_eq!(world.pass(), "CanaryNotReady NotRouted");
    world.log.clear();
    world.release(&[], true);
    let (said, log) = world.passes(6);
    assert_eq!(said.last().map(String::as_str), Some("done"), "{said:?}");
    assert_eq!(log, ["document ", "reviews-table goes", "reviews-pools goes"]);
}
