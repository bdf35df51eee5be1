//! The steps of a release over a simulated cluster: whatever happens in whatever order, a route never leads nowhere.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use serin_config::{ReleaseSplit, SplitDocument};
use serin_controller::cluster::kind::Kind;
use serin_controller::cluster::world::World;
use serin_controller::reconcile::plan::{Pace, versions_of};
use serin_controller::reconcile::publish::{DOCUMENT_LIMIT, Entry, Filter, Module, Scope, documents};
use serin_controller::reconcile::references::{Shared, dereference};
use serin_controller::reconcile::resource::Resource;
use serin_controller::reconcile::{Change, Memory, Outcome, Settings, pass};

const SETTLE: Duration = Duration::from_millis(500);
const DRAIN: Duration = Duration::from_millis(3000);

/// A cluster with one Service and one release, and a clock.
struct Cluster {
    world: World,
    revision: u64,
    memory: Memory,
    published: Option<ReleaseSplit>,
    now: Instant,
    settings: Settings,
    /// Since when each subset is there without a break.
    subsets: BTreeMap<String, Instant>,
}

impl Cluster {
    fn new() -> Self {
        let settings = Settings { document: SplitDocument::new(Vec::new()), pace: Pace { settle: SETTLE, drain: DRAIN } };
        let mut cluster = Self {
            world: World::default(),
            revision: 0,
            memory: Memory::default(),
            published: None,
            now: Instant::now(),
            settings,
            subsets: BTreeMap::new(),
        };
        cluster.put(
            Kind::Service,
            json!({"metadata": {"name": "reviews", "namespace": "shop"},
                "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]}}),
        );
        for version in ["v1", "v2", "v3", "v4"] {
            let labels = json!({"app": "reviews", "version": version});
            cluster.put(Kind::Pod, json!({"metadata": {"name": version, "namespace": "shop", "labels": labels}}));
        }
        cluster.ready(&["v1", "v2", "v3", "v4"]);
        cluster
    }

    fn put(&mut self, kind: Kind, mut object: Value) {
        self.revision += 1;
        object["apiVersion"] = json!(kind.api_version());
        object["kind"] = json!(kind.name());
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.world.put(kind, serde_json::from_value(object).unwrap());
    }

    fn ready(&mut self, versions: &[&str]) {
        let endpoints: Vec<Value> = versions
            .iter()
            .map(|version| json!({"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": version}}))
            .collect();
        self.put(
            Kind::EndpointSlice,
            json!({"metadata": {"name": "reviews-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "reviews"}}, "endpoints": endpoints}),
        );
    }

    fn release(&mut self, spec: &Value) {
        let status = self.object(Kind::CanaryRelease, "reviews").map(|object| object["status"].clone()).unwrap_or_default();
        let metadata = json!({"name": "reviews", "namespace": "shop", "uid": "1", "finalizers": ["serin.dev/cleanup"]});
        self.put(Kind::CanaryRelease, json!({"metadata": metadata, "spec": spec, "status": status}));
    }

    fn delete(&mut self) {
        let Some(mut object) = self.object(Kind::CanaryRelease, "reviews") else { return };
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.put(Kind::CanaryRelease, object);
    }

    fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        self.world.get(kind, "shop", name).map(|object| serde_json::to_value(&**object).unwrap())
    }

    /// One pass; what it wants is done, unless `crash` lets only so many writes happen. Answers with the number of writes.
    fn pass(&mut self, crash: Option<usize>) -> usize {
        let Some(object) = self.world.get(Kind::CanaryRelease, "shop", "reviews").cloned() else { return 0 };
        let resource = Resource::read(&object);
        let references = dereference(&resource, &self.world, &Shared::new(&self.world, &[&resource]));
        let outcome = pass(&resource, &references, &mut self.memory, self.published.as_ref(), &self.settings, self.now);
        let writes = self.write(&resource, outcome, crash.unwrap_or(usize::MAX));
        if crash.is_some() {
            // Another process begins with what the cluster holds.
            let entry = self.published.clone().map(|served| Entry {
                allocation: Default::default(),
                wanted: served.clone(),
                served,
                automata: BTreeMap::new(),
                waypoint: None,
            });
            self.memory = Memory { ledger: Default::default(), entry };
        }
        self.check();
        writes
    }

    fn write(&mut self, resource: &Resource, outcome: Outcome, most: usize) -> usize {
        let mut writes = 0;
        let mut may = || {
            writes += 1;
            writes <= most
        };
        if resource.status.allocation != outcome.allocation && may() {
            let mut object = self.object(Kind::CanaryRelease, "reviews").unwrap();
            object["status"] = json!({"allocation": outcome.allocation});
            self.put(Kind::CanaryRelease, object);
        }
        for wanted in outcome.objects {
            let found = self.world.get(wanted.kind, "shop", &wanted.name).cloned();
            if !found.is_some_and(|found| wanted.is(&found)) && may() {
                self.put(wanted.kind, wanted.body);
            }
        }
        for (kind, name) in outcome.removals {
            if self.world.get(kind, "shop", &name).is_some() && may() {
                self.world.forget(kind, "shop", &name);
            }
        }
        match outcome.change {
            Change::Keep => {}
            Change::Set(entry) => {
                if self.published.as_ref() != Some(&entry.served) && may() {
                    self.published = Some(entry.served.clone());
                }
                self.memory.entry = Some(*entry);
            }
            Change::Remove => {
                if self.published.is_some() && may() {
                    self.published = None;
                }
                self.memory.entry = None;
            }
        }
        if outcome.finalizer == Some(false) && may() {
            self.world.forget(Kind::CanaryRelease, "shop", "reviews");
        }
        writes.min(most)
    }

    fn subsets_now(&self) -> BTreeSet<String> {
        let rule = self.object(Kind::DestinationRule, "reviews-serin").unwrap_or_default();
        rule["spec"]["subsets"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|subset| subset["name"].as_str().unwrap().to_owned())
            .collect()
    }

    fn routes_now(&self) -> BTreeSet<String> {
        let route = self.object(Kind::VirtualService, "reviews-serin").unwrap_or_default();
        let http = route["spec"]["http"].as_array().cloned().unwrap_or_default();
        http.iter().map(|http| http["route"][0]["destination"]["subset"].as_str().unwrap().to_owned()).collect()
    }

    /// What must hold at any time.
    fn check(&mut self) {
        let (subsets, routes) = (self.subsets_now(), self.routes_now());
        self.subsets.retain(|subset, _| subsets.contains(subset));
        for subset in &subsets {
            self.subsets.entry(subset.clone()).or_insert(self.now);
        }
        for route in &routes {
            let since =
                self.subsets.get(route).unwrap_or_else(|| panic!("a route leads to {route}, the subsets are {subsets:?}"));
            assert!(self.now >= *since + SETTLE, "the subset of the route to {route} is too new");
        }
        if let Some(published) = &self.published {
            for version in versions_of(published) {
                assert!(routes.contains(&version), "the document names {version}, the routes are {routes:?}");
            }
        }
    }
}

#[derive(Clone, Debug)]
enum Event {
    Spec { stable: usize, canaries: Vec<(usize, u32)>, takeover: Option<usize>, paused: bool },
    Ready(Vec<bool>),
    Wait(u64),
    Pass,
    Crash(usize),
    Delete,
}

fn event() -> impl Strategy<Value = Event> {
    let spec = (
        0..4_usize,
        prop::collection::vec((0..4_usize, 0..30_000_u32), 0..4),
        prop::option::of(0..4_usize),
        prop::bool::weighted(0.1),
    )
        .prop_map(|(stable, canaries, takeover, paused)| Event::Spec { stable, canaries, takeover, paused });
    prop_oneof![
        3 => spec,
        1 => prop::collection::vec(any::<bool>(), 4).prop_map(Event::Ready),
        4 => (0..4000_u64).prop_map(Event::Wait),
        6 => Just(Event::Pass),
        3 => (0..5_usize).prop_map(Event::Crash),
        1 => Just(Event::Delete),
    ]
}

const VERSIONS: [&str; 4] = ["v1", "v2", "v3", "v4"];

fn spec(stable: usize, canaries: &[(usize, u32)], takeover: Option<usize>, paused: bool) -> Value {
    let mut seen = BTreeSet::from([stable]);
    let listed: Vec<Value> = canaries
        .iter()
        .filter(|(version, _)| seen.insert(*version))
        .map(|(version, buckets)| json!({"version": VERSIONS[*version], "weight": serin_config::Weight::from_buckets(*buckets).unwrap().to_string()}))
        .collect();
    let mut spec =
        json!({"service": "reviews", "stable": {"version": VERSIONS[stable]}, "canaries": listed, "paused": paused});
    if let Some(takeover) = takeover.filter(|takeover| seen.contains(takeover)) {
        spec["takeover"] = json!(VERSIONS[takeover]);
    }
    spec
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn no_route_leads_nowhere_whatever_happens(events in prop::collection::vec(event(), 1..60)) {
        let mut cluster = Cluster::new();
        let mut deleted = false;
        for event in events {
            match event {
                Event::Spec { stable, canaries, takeover, paused } if !deleted => cluster.release(&spec(stable, &canaries, takeover, paused)),
                Event::Spec { .. } => {}
                Event::Ready(ready) => {
                    let versions: Vec<&str> = VERSIONS.iter().zip(&ready).filter(|(_, ready)| **ready).map(|(version, _)| *version).collect();
                    cluster.ready(&versions);
                }
                Event::Wait(milliseconds) => cluster.now += Duration::from_millis(milliseconds),
                Event::Pass => { cluster.pass(None); }
                Event::Crash(writes) => { cluster.pass(Some(writes)); }
                Event::Delete => {
                    cluster.delete();
                    deleted = cluster.world.get(Kind::CanaryRelease, "shop", "reviews").is_some();
                }
            }
        }
        // Left alone it comes to rest, and then writes nothing.
        let mut quiet = 0;
        for _ in 0..40 {
            quiet = if cluster.pass(None) == 0 { quiet + 1 } else { 0 };
            cluster.now += Duration::from_secs(1);
        }
        prop_assert!(quiet > 5, "still writing");
        if deleted {
            prop_assert!(cluster.subsets_now().is_empty() && cluster.routes_now().is_empty() && cluster.published.is_none());
            prop_assert!(cluster.world.get(Kind::CanaryRelease, "shop", "reviews").is_none());
        } else if let Some(object) = cluster.object(Kind::CanaryRelease, "reviews") {
            let canaries = object["spec"]["canaries"].as_array().unwrap().iter();
            let mut wanted: BTreeSet<String> =
                canaries.chain([&object["spec"]["stable"]]).map(|version| version["version"].as_str().unwrap().to_owned()).collect();
            // A pause holds versions that the spec no longer has.
            wanted.extend(cluster.memory.entry.iter().flat_map(|entry| versions_of(&entry.wanted)));
            prop_assert_eq!(cluster.subsets_now(), wanted.clone());
            prop_assert_eq!(cluster.routes_now(), wanted);
        }
    }
}

fn entry(release: &str, rules: usize) -> Entry {
    let rule = |number: usize| json!({"name": format!("r{number}"), "when": [{"header": {"name": "x", "exact": "y".repeat(1000)}}], "version": "v2"});
    let rules: Vec<Value> = (0..rules).map(rule).collect();
    let split: ReleaseSplit = serde_json::from_value(
        json!({"release": release, "hosts": [release.replace('/', ".")], "stable": "v1", "rules": rules}),
    )
    .unwrap();
    Entry { allocation: Default::default(), wanted: split.clone(), served: split, automata: BTreeMap::new(), waypoint: None }
}

#[test]
fn what_does_not_fit_stays_out_and_nobody_loses_a_place() {
    let settings = SplitDocument::new(Vec::new());
    let of = |list: &[(&str, usize)]| -> BTreeMap<String, Entry> {
        list.iter().map(|(id, rules)| ((*id).to_owned(), entry(id, *rules))).collect()
    };
    let before = of(&[("a/small", 1), ("b/large", 500), ("c/other", 300)]);
    let first = documents(&before, &BTreeMap::new(), &settings).unwrap();
    assert_eq!(first.left_out, BTreeSet::new());
    // One grows, one is new: neither fits, and what was there stays as it was.
    let wanted = of(&[("a/new", 250), ("a/small", 1), ("b/large", 800), ("c/other", 300)]);
    let second = documents(&wanted, &first.entries, &settings).unwrap();
    assert_eq!(second.left_out, BTreeSet::from(["a/new".to_owned(), "b/large".to_owned()]));
    assert_eq!(second.entries, before);
    assert!(second.scopes[&Scope::Mesh].to_json().len() <= DOCUMENT_LIMIT);
    // Another one shrinks: now the growth fits.
    let wanted = of(&[("a/small", 1), ("b/large", 800), ("c/other", 1)]);
    let third = documents(&wanted, &second.entries, &settings).unwrap();
    let left_out = if third.left_out.is_empty() { third } else { documents(&wanted, &third.entries, &settings).unwrap() };
    assert_eq!((left_out.left_out, left_out.entries), (BTreeSet::new(), wanted));
}

#[test]
fn only_a_scope_that_issues_cookies_needs_the_module_for_them() {
    let settings = SplitDocument::new(Vec::new());
    let mut issuing = entry("a/issuing", 1);
    issuing.served.sticky = serde_json::from_value(json!({"by": [], "otherwise": {"issueCookie": {"name": "id"}}})).unwrap();
    let mut behind = entry("b/behind", 1);
    behind.waypoint = Some(("b".to_owned(), "waypoint".to_owned()));
    let waypoint = Scope::Waypoint("b".to_owned(), "waypoint".to_owned());
    let wanted = BTreeMap::from([("a/issuing".to_owned(), issuing), ("b/behind".to_owned(), behind)]);
    let documents = documents(&wanted, &BTreeMap::new(), &settings).unwrap();
    assert!(documents.scopes.contains_key(&waypoint));
    assert_eq!(documents.issuing, BTreeSet::from([Scope::Mesh]));

    let module = |url: &str| Module { url: url.to_owned(), sha256: None };
    let filter = Filter { any: module("any"), requests: Some(module("requests")) };
    let chosen = |issues: bool, url: Option<&str>| filter.module(issues, url).url.as_str();
    assert_eq!([None, Some("requests"), Some("earlier")].map(|url| chosen(false, url)), ["requests"; 3]);
    assert_eq!([None, Some("requests"), Some("earlier"), Some("any")].map(|url| chosen(true, url)), ["any"; 4]);
    // One change is enough for a version.
    assert_eq!(chosen(false, Some("any")), "any");
    let elsewhere = Filter { requests: None, ..filter.clone() };
    assert_eq!(elsewhere.module(false, None).url, "any");
}
