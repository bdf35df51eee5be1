//! The steps of a release over a simulated cluster: whatever happens in whatever order, a route never leads nowhere.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use serin_config::SplitDocument;
use serin_mesh::check::check;
use serin_mesh::documents::{Filter, Module};
use serin_mesh::home::istio::Istio;
use serin_mesh::home::{Home, store};
use serin_mesh::life::{Life, Surroundings, live};
use serin_mesh::names::{routing_key, routing_value};
use serin_mesh::order::{Pace, versions_of};
use serin_mesh::outcome::Outcome;
use serin_mesh::pass::{Memory, Pass, Settings};
use serin_mesh::proxies::Seen;
use serin_mesh::publication::Bounds;
use serin_mesh::publisher::Publisher;
use serin_mesh::reader::Reader;
use serin_mesh::reconcile::{build, plan};
use serin_mesh::references::dereference;
use serin_mesh::resource::Resource;
use serin_mesh::store::Store;
use serin_mesh::word::Word;
use serin_mesh::{Kind, Name, Object};
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::Status;
use serin_release::lifecycle::control::{Hold, HoldKind};

const SETTLE: Duration = Duration::from_millis(500);
const DRAIN: Duration = Duration::from_millis(3000);

fn bounds() -> Bounds {
    Bounds {
        controller: "serin-system".to_owned(),
        quota: 500_000,
        grace: Duration::from_secs(120),
        batch: Duration::from_secs(10),
    }
}

/// A cluster with one Service and one release, a controller, and a clock.
struct Cluster {
    store: Store,
    revision: u64,
    home: Istio,
    memory: Memory,
    publisher: Publisher,
    begun: Instant,
    now: Instant,
    settings: Settings,
    /// Since when each subset is there without a break.
    subsets: BTreeMap<String, Instant>,
    /// When a route, and when the document, led to each version last.
    routed: BTreeMap<String, Instant>,
    named: BTreeMap<String, Instant>,
    /// Since when routes take each value of the routing header, and when it was sent last.
    taken: BTreeMap<String, Instant>,
    sent: BTreeMap<String, Instant>,
}

fn publisher() -> Publisher {
    let module = Module { url: "file:///filter.wasm".to_owned(), sha256: None };
    Publisher::new(SplitDocument::new(Vec::new()), Filter { any: module, requests: None }, bounds())
}

impl Cluster {
    fn new() -> Self {
        let settings = Settings {
            document: SplitDocument::new(Vec::new()),
            pace: Pace { settle: SETTLE, drain: DRAIN },
            workloads: true,
        };
        let home = Istio { root_namespace: "istio-system".to_owned(), ..Istio::default() };
        let now = Instant::now();
        let mut cluster = Self {
            store: store(Arc::new(home.clone())),
            revision: 0,
            home,
            memory: Memory::default(),
            publisher: publisher(),
            begun: now,
            now,
            settings,
            subsets: BTreeMap::new(),
            routed: BTreeMap::new(),
            named: BTreeMap::new(),
            taken: BTreeMap::new(),
            sent: BTreeMap::new(),
        };
        for service in SERVICES {
            cluster.put(
                Kind::Service,
                json!({"metadata": {"name": service, "namespace": "shop"},
                    "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]}}),
            );
        }
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
        self.store.put(kind, Object::from_json(object));
    }

    fn ready(&mut self, versions: &[&str]) {
        let endpoints: Vec<Value> = versions
            .iter()
            .map(|version| json!({"addresses": ["10.0.0.1"], "conditions": {"ready": true}, "targetRef": {"kind": "Pod", "name": version}}))
            .collect();
        for service in SERVICES {
            let labels = json!({"kubernetes.io/service-name": service});
            let metadata = json!({"name": format!("{service}-1"), "namespace": "shop", "labels": labels});
            self.put(Kind::EndpointSlice, json!({"metadata": metadata, "endpoints": endpoints}));
        }
    }

    fn release(&mut self, spec: &Value) {
        let status = self.object(Kind::CanaryRelease, "reviews").map(|object| object["status"].clone()).unwrap_or_default();
        let metadata = json!({"name": "reviews", "namespace": "shop", "uid": "1", "finalizers": ["serin.dev/cleanup"]});
        self.put(Kind::CanaryRelease, json!({"metadata": metadata, "spec": spec, "status": status}));
    }

    /// What a person says, or takes back.
    fn control(&mut self, said: Option<&Value>) {
        let name = Name::new("shop", "reviews");
        match said {
            Some(spec) => self.put(
                Kind::CanaryControl,
                json!({"metadata": {"name": "reviews", "namespace": "shop", "generation": 1}, "spec": spec}),
            ),
            None => {
                self.store.forget(Kind::CanaryControl, &name);
            }
        }
    }

    fn word(&self) -> Word {
        Word::read(self.store.get(Kind::CanaryControl, &Name::new("shop", "reviews")))
    }

    fn delete(&mut self) {
        let Some(mut object) = self.object(Kind::CanaryRelease, "reviews") else { return };
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.put(Kind::CanaryRelease, object);
    }

    fn object(&self, kind: Kind, name: &str) -> Option<Value> {
        self.store.get(kind, &Name::new("shop", name)).map(|object| object.to_json())
    }

    /// What the document of the mesh says of the release.
    fn published(&self) -> Option<serin_config::ReleaseSplit> {
        let plugin = self.store.get(Kind::WasmPlugin, &Name::new("istio-system", "serin"))?;
        self.home.carried(plugin)?.unwrap().splits.into_iter().next()
    }

    /// An earlier version of Serin, which knew no keys, has written all that is there.
    fn written_by_an_earlier_version(&mut self) {
        if let Some(mut route) = self.object(Kind::VirtualService, "reviews-serin") {
            for http in route["spec"]["http"].as_array_mut().unwrap() {
                http.as_object_mut().unwrap().remove("headers");
                let version = http["name"].as_str().unwrap().strip_prefix("shop.reviews.").unwrap().to_owned();
                if !http["match"].is_null() {
                    http["match"] = json!([{"headers": {"x-serin-version": {"exact": version}}}]);
                }
            }
            self.put(Kind::VirtualService, route);
        }
        if let Some(mut published) = self.published() {
            published.routing_key = None;
            let mut plugin = self.store.get(Kind::WasmPlugin, &Name::new("istio-system", "serin")).unwrap().to_json();
            plugin["spec"]["pluginConfig"] = json!(SplitDocument::new(vec![published]));
            self.put(Kind::WasmPlugin, plugin);
        }
        self.restart();
        let now = self.now;
        self.taken = self.taken_now().into_iter().map(|value| (value, now)).collect();
        self.sent = self.sent_now().into_iter().map(|value| (value, now)).collect();
    }

    /// Another process begins with what the cluster holds.
    fn restart(&mut self) {
        self.memory = Memory::default();
        self.publisher = publisher();
        self.publisher.take_up(&self.store, &self.home);
    }

    /// The values of the routing header that lead to a version of their own: those that routes ask for, and all of the default one.
    fn taken_now(&self) -> BTreeSet<String> {
        let route = self.object(Kind::VirtualService, "reviews-serin").unwrap_or_default();
        let http = route["spec"]["http"].as_array().cloned().unwrap_or_default();
        let values = |http: &Value| -> Vec<String> {
            let version = http["name"].as_str().unwrap().strip_prefix("shop.reviews.").unwrap().to_owned();
            match http["match"].as_array() {
                Some(matches) => {
                    let values =
                        matches.iter().map(|one| one["headers"]["x-serin-version"]["exact"].as_str().unwrap().to_owned());
                    values.collect()
                }
                None => [None, routing_key("1")].iter().map(|key| routing_value(&version, key.as_deref())).collect(),
            }
        };
        http.iter().flat_map(values).collect()
    }

    /// The values that the document makes proxies send.
    fn sent_now(&self) -> BTreeSet<String> {
        let Some(published) = self.published() else { return BTreeSet::new() };
        let key = published.routing_key.as_deref();
        versions_of(&published).iter().map(|version| routing_value(version, key)).collect()
    }

    /// One pass; what it wants is done, unless `crash` lets only so many writes happen. Answers with the number of writes.
    fn pass(&mut self, crash: Option<usize>) -> usize {
        let id = ReleaseId::new("shop", "reviews");
        let Some(resource) = self.store.release(&id).cloned() else { return 0 };
        let references =
            dereference(&resource, &Reader::new(&self.store), &self.home, self.publisher.hosts(), "serin-system");
        let (entry, served) = (self.publisher.entry(&id), self.publisher.served(&id));
        let (settings, now) = (&self.settings, self.now);
        let time = Timestamp::UNIX_EPOCH + (self.now - self.begun);
        let (resource, life) = live(
            &resource,
            Surroundings { references: &references, entry, told: None, pending: self.publisher.is_pending(&id) },
            time,
        );
        let pass = Pass {
            resource: &resource,
            references: &references,
            life: &life,
            entry,
            served,
            settings,
            seen: Seen::default(),
            now,
        };
        let checked = check(&pass, &mut self.memory);
        let order = plan(&pass, &checked, &mut self.memory);
        let outcome = build(&pass, checked, &order);
        let writes = self.write(&id, &resource, &life, outcome, crash.unwrap_or(usize::MAX));
        if crash.is_some() {
            self.restart();
        }
        self.check();
        writes
    }

    fn write(&mut self, id: &ReleaseId, resource: &Resource, life: &Life, outcome: Outcome, most: usize) -> usize {
        let mut writes = 0;
        let mut may = || {
            writes += 1;
            writes <= most
        };
        let kept = life.kept(resource.status.clone());
        if let Outcome::Routed(routed) = &outcome
            && (resource.status.allocation != routed.allocation || resource.status != kept)
            && may()
        {
            let mut object = self.object(Kind::CanaryRelease, "reviews").unwrap();
            let status = Status { allocation: routed.allocation.clone(), ..kept };
            object["status"] = json!(status);
            self.put(Kind::CanaryRelease, object);
        }
        for wanted in outcome.writes().iter().flat_map(|writes| &writes.objects) {
            let found = self.store.get(wanted.kind, &Name::new("shop", &*wanted.name)).cloned();
            if !found.is_some_and(|found| wanted.is(&found)) && may() {
                self.put(wanted.kind, wanted.body.clone());
            }
        }
        for (kind, name) in outcome.writes().iter().flat_map(|writes| &writes.removals) {
            let name = Name::new("shop", &**name);
            if self.store.get(*kind, &name).is_some() && may() {
                self.store.forget(*kind, &name);
            }
        }
        let done = matches!(&outcome, Outcome::Leaves(leaves) if leaves.done);
        match outcome {
            Outcome::Routed(routed) => {
                let may_wait = life.goes_on_by_itself(resource);
                routed.entry.into_iter().for_each(|entry| match may_wait {
                    true => self.publisher.set_in_time(id, entry),
                    false => self.publisher.set(id, entry),
                });
            }
            Outcome::Moves(_) | Outcome::Leaves(_) => self.publisher.remove(id),
            Outcome::Refused(_) => {}
        }
        if self.publisher.is_due(self.now) {
            let publication = self.publisher.publication(&self.store, &self.home).unwrap();
            if publication.writes.iter().all(|_| may()) {
                for write in &publication.writes {
                    self.put(Kind::WasmPlugin, write.desired.body.clone());
                }
                self.publisher.wrote(publication, BTreeMap::new(), SETTLE, self.now);
            }
        }
        if done && may() {
            self.store.forget(Kind::CanaryRelease, &Name::new("shop", "reviews"));
        }
        writes.min(most)
    }

    /// The subsets, with the host that they are of.
    fn subsets_now(&self) -> BTreeSet<String> {
        let rule = self.object(Kind::DestinationRule, "reviews-serin").unwrap_or_default();
        let subsets = rule["spec"]["subsets"].as_array().into_iter().flatten();
        subsets.map(|subset| at(&rule["spec"]["host"], subset["name"].as_str().unwrap())).collect()
    }

    /// The versions that routes lead to, with the host that they are of.
    fn routes_now(&self) -> BTreeSet<String> {
        let route = self.object(Kind::VirtualService, "reviews-serin").unwrap_or_default();
        let http = route["spec"]["http"].as_array().cloned().unwrap_or_default();
        // While stable is stranded its route has no subset, and needs none.
        let version = |http: &Value| http["name"].as_str().unwrap().strip_prefix("shop.reviews.").unwrap().to_owned();
        http.iter().map(|http| at(&route["spec"]["hosts"][0], &version(http))).collect()
    }

    /// The versions that the document names, with the host that they are of.
    fn named_now(&self) -> BTreeSet<String> {
        let Some(published) = self.published() else { return BTreeSet::new() };
        let host = json!(published.hosts[0]);
        versions_of(&published).iter().map(|version| at(&host, version)).collect()
    }

    /// What must hold at any time.
    fn check(&mut self) {
        let (subsets, routes) = (self.subsets_now(), self.routes_now());
        let named = self.named_now();
        for (gone, last) in
            self.subsets.keys().filter(|subset| !subsets.contains(*subset)).map(|gone| (gone, self.routed.get(gone)))
        {
            assert!(last.is_none_or(|last| self.now >= *last + DRAIN), "the subset {gone} went too early");
        }
        for (gone, last) in
            self.routed.keys().filter(|route| !routes.contains(*route)).map(|gone| (gone, self.named.get(gone)))
        {
            assert!(last.is_none_or(|last| self.now >= *last + DRAIN), "the route to {gone} went too early");
        }
        self.subsets.retain(|subset, _| subsets.contains(subset));
        for subset in &subsets {
            self.subsets.entry(subset.clone()).or_insert(self.now);
        }
        for route in &routes {
            let since =
                self.subsets.get(route).unwrap_or_else(|| panic!("a route leads to {route}, the subsets are {subsets:?}"));
            assert!(self.now >= *since + SETTLE, "the subset of the route to {route} is too new");
        }
        for version in &named {
            assert!(routes.contains(version), "the document names {version}, the routes are {routes:?}");
        }
        let (taken, sent) = (self.taken_now(), self.sent_now());
        for (gone, last) in self.taken.keys().filter(|value| !taken.contains(*value)).map(|gone| (gone, self.sent.get(gone)))
        {
            assert!(last.is_none_or(|last| self.now >= *last + DRAIN), "routes forget {gone} too early");
        }
        self.taken.retain(|value, _| taken.contains(value));
        for value in taken {
            self.taken.entry(value).or_insert(self.now);
        }
        for value in &sent {
            let since = self.taken.get(value).unwrap_or_else(|| panic!("{value} is sent, and taken is {:?}", self.taken));
            assert!(self.sent.contains_key(value) || self.now >= *since + SETTLE, "{value} is sent too early");
        }
        self.sent.extend(sent.into_iter().map(|value| (value, self.now)));
        self.routed.extend(routes.into_iter().map(|version| (version, self.now)));
        self.named.extend(named.into_iter().map(|version| (version, self.now)));
    }
}

fn at(host: &Value, version: &str) -> String {
    format!("{version} of {}", host.as_str().unwrap())
}

#[derive(Clone, Debug)]
enum Event {
    Spec { service: usize, stable: usize, canaries: Vec<(usize, u32)>, takeover: Option<usize>, paused: bool, steps: usize },
    Ready(Vec<bool>),
    Wait(u64),
    Pass,
    Crash(usize),
    Delete,
    Upgrade,
    Control(Option<Value>),
}

fn control() -> impl Strategy<Value = Event> {
    let hold = prop_oneof![
        2 => prop::option::of(0..4_usize).prop_map(|version| json!({"kind": "Rollback", "version": version.map(|version| VERSIONS[version])})),
        1 => (0..4_usize).prop_map(|version| json!({"kind": "Takeover", "version": VERSIONS[version]})),
        1 => (0..4_usize, 0..30_000_u32).prop_map(|(version, buckets)| {
            let weight = serin_config::Weight::from_buckets(buckets).unwrap().to_string();
            json!({"kind": "Weights", "weights": {VERSIONS[version]: weight}})
        }),
    ];
    let said = (prop::option::weighted(0.8, hold), prop::bool::weighted(0.2))
        .prop_map(|(hold, paused)| Some(json!({"hold": hold, "paused": paused})));
    prop_oneof![2 => said, 1 => Just(None)].prop_map(Event::Control)
}

fn event() -> impl Strategy<Value = Event> {
    let spec = (
        prop_oneof![4 => Just(0_usize), 1 => Just(1)],
        0..4_usize,
        prop::collection::vec((0..4_usize, 0..30_000_u32), 0..4),
        prop::option::of(0..4_usize),
        prop::bool::weighted(0.1),
        prop_oneof![2 => Just(0_usize), 1 => 1..4_usize],
    )
        .prop_map(|(service, stable, canaries, takeover, paused, steps)| Event::Spec {
            service,
            stable,
            canaries,
            takeover,
            paused,
            steps,
        });
    prop_oneof![
        3 => spec,
        1 => prop::collection::vec(any::<bool>(), 4).prop_map(Event::Ready),
        4 => (0..4000_u64).prop_map(Event::Wait),
        6 => Just(Event::Pass),
        3 => (0..5_usize).prop_map(Event::Crash),
        1 => Just(Event::Delete),
        1 => Just(Event::Upgrade),
        2 => control(),
    ]
}

/// Two Services of the same pods.
const SERVICES: [&str; 2] = ["reviews", "ratings"];
const VERSIONS: [&str; 4] = ["v1", "v2", "v3", "v4"];

fn spec(service: usize, stable: usize, canaries: &[(usize, u32)], takeover: Option<usize>, paused: bool) -> Value {
    let mut seen = BTreeSet::from([stable]);
    let listed: Vec<Value> = canaries
        .iter()
        .filter(|(version, _)| seen.insert(*version))
        .map(|(version, buckets)| json!({"version": VERSIONS[*version], "weight": serin_config::Weight::from_buckets(*buckets).unwrap().to_string()}))
        .collect();
    let mut spec =
        json!({"service": SERVICES[service], "stable": {"version": VERSIONS[stable]}, "canaries": listed, "paused": paused});
    if let Some(takeover) = takeover.filter(|takeover| seen.contains(takeover)) {
        spec["takeover"] = json!(VERSIONS[takeover]);
    }
    spec
}

/// The spec with so many steps, in which each of its canaries grows.
fn with_steps(mut spec: Value, steps: usize) -> Value {
    let canaries = spec["canaries"].as_array().unwrap();
    let versions: Vec<String> = canaries.iter().map(|canary| canary["version"].as_str().unwrap().to_owned()).collect();
    let step = |step: usize| {
        let weights: BTreeMap<&String, String> =
            versions.iter().map(|version| (version, format!("{}%", 5 * step))).collect();
        json!({"weights": weights, "hold": "1s"})
    };
    if !versions.is_empty() && steps > 0 {
        spec["steps"] = (1..=steps).map(step).collect();
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
                Event::Spec { service, stable, canaries, takeover, paused, steps } if !deleted => {
                    cluster.release(&with_steps(spec(service, stable, &canaries, takeover, paused), steps));
                }
                Event::Spec { .. } => {}
                Event::Ready(ready) => {
                    let versions: Vec<&str> = VERSIONS.iter().zip(&ready).filter(|(_, ready)| **ready).map(|(version, _)| *version).collect();
                    cluster.ready(&versions);
                }
                Event::Wait(milliseconds) => cluster.now += Duration::from_millis(milliseconds),
                Event::Pass => { cluster.pass(None); }
                Event::Crash(writes) => { cluster.pass(Some(writes)); }
                Event::Control(said) => cluster.control(said.as_ref()),
                Event::Upgrade => cluster.written_by_an_earlier_version(),
                Event::Delete => {
                    cluster.delete();
                    deleted = cluster.object(Kind::CanaryRelease, "reviews").is_some();
                }
            }
        }
        // Left alone, with all pods ready, it comes to rest, and then writes nothing.
        cluster.ready(&VERSIONS);
        let mut quiet = 0;
        for _ in 0..40 {
            quiet = if cluster.pass(None) == 0 { quiet + 1 } else { 0 };
            cluster.now += Duration::from_secs(1);
        }
        prop_assert!(quiet > 5, "still writing");
        if deleted {
            prop_assert!(cluster.subsets_now().is_empty() && cluster.routes_now().is_empty() && cluster.published().is_none());
            prop_assert!(cluster.object(Kind::CanaryRelease, "reviews").is_none());
        } else if let Some(object) = cluster.object(Kind::CanaryRelease, "reviews") {
            let canaries = object["spec"]["canaries"].as_array().unwrap().iter();
            let mut wanted: BTreeSet<String> =
                canaries.chain([&object["spec"]["stable"]]).map(|version| version["version"].as_str().unwrap().to_owned()).collect();
            // A pause holds versions that the spec no longer has.
            let entry = cluster.publisher.entry(&ReleaseId::new("shop", "reviews"));
            wanted.extend(entry.into_iter().flat_map(|entry| versions_of(&entry.wanted)));
            let host = json!(format!("{}.shop.svc.cluster.local", object["spec"]["service"].as_str().unwrap()));
            let wanted: BTreeSet<String> = wanted.iter().map(|version| at(&host, version)).collect();
            prop_assert_eq!(cluster.subsets_now(), wanted.clone());
            prop_assert_eq!(cluster.routes_now(), wanted);
            // What a person says acts, of the versions that are there.
            let is_there = |version: &str| object["spec"]["canaries"].as_array().unwrap().iter().any(|canary| canary["version"] == version);
            let named = cluster.published().map(|published| versions_of(&published)).unwrap_or_default();
            match cluster.word().control.hold {
                Some(hold) if hold.kind == HoldKind::Rollback => {
                    let back = VERSIONS.iter().filter(|version| is_there(version) && hold.version.as_deref().is_none_or(|own| own == **version));
                    for version in back {
                        prop_assert!(!named.iter().any(|own| own == version), "{version} is rolled back, and {named:?} are served");
                    }
                }
                Some(Hold { kind: HoldKind::Takeover, version: Some(version), .. }) if is_there(&version) => {
                    prop_assert_eq!(cluster.published().and_then(|published| published.takeover), Some(version));
                }
                _ => {}
            }
            // Steps have come to their end, unless something holds them.
            let holds = object["spec"]["paused"] == true || !object["spec"]["takeover"].is_null();
            let word = cluster.word().control;
            if !object["spec"]["steps"].is_null() && !holds && word.hold.is_none() && !word.paused {
                prop_assert_eq!(&object["status"]["run"]["state"], "Completed");
            }
            // Nobody can ask for a version by its name.
            let stable = object["spec"]["stable"]["version"].as_str().unwrap();
            let stable = entry.map_or(stable, |entry| entry.wanted.stable.as_str());
            for value in cluster.taken_now().iter().chain(&cluster.sent_now()) {
                prop_assert!(value == stable || value.ends_with(&routing_key("1").unwrap()), "{value}");
            }
        }
    }
}
