//! When documents are written, and what a leader does that cannot read the one of the leader before.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::{ReleaseSplit, SplitDocument};
use serin_mesh::conditions::{Condition, Reason};
use serin_mesh::documents::{Filter, Module};
use serin_mesh::entry::{Entry, Scope};
use serin_mesh::home::istio::Istio;
use serin_mesh::home::{Home, store};
use serin_mesh::order::Served;
use serin_mesh::publication::Failing;
use serin_mesh::publication::{Bounds, Reachability};
use serin_mesh::publisher::Publisher;
use serin_mesh::store::Store;
use serin_mesh::{Kind, Name, Object};
use serin_release::ReleaseId;

const SETTLE: Duration = Duration::from_millis(500);

fn bounds() -> Bounds {
    Bounds {
        controller: "serin-system".to_owned(),
        quota: 500_000,
        grace: Duration::from_secs(120),
        batch: Duration::from_secs(10),
    }
}

struct Mesh {
    store: Store,
    home: Istio,
    publisher: Publisher,
    now: Instant,
    revision: u64,
    /// Scopes that the API server does not let anybody write.
    refused: BTreeSet<Scope>,
    /// The releases that were told something else of the last publication that failed.
    told_otherwise: BTreeSet<ReleaseId>,
}

fn publisher() -> Publisher {
    let module = |url: &str| Module { url: url.to_owned(), sha256: None };
    Publisher::new(
        SplitDocument::new(Vec::new()),
        Filter { any: module("any"), requests: Some(module("requests")) },
        bounds(),
    )
}

fn id(name: &str) -> ReleaseId {
    ReleaseId::new("shop", name)
}

fn entry(name: &str, canary: u32, sticky: &Value) -> Arc<Entry> {
    let split: ReleaseSplit = serde_json::from_value(
        json!({"release": format!("shop/{name}"), "hosts": [name], "stable": "v1", "buckets": [["v2", canary]], "sticky": sticky}),
    )
    .unwrap();
    let scopes = BTreeSet::from([Scope::Mesh]);
    Arc::new(Entry {
        allocation: Default::default(),
        wanted: split.clone(),
        served: split,
        automata: BTreeMap::new(),
        scopes,
    })
}

fn by_cookie() -> Value {
    json!({"by": [{"cookie": "user"}]})
}

impl Mesh {
    fn new() -> Self {
        let home = Istio { root_namespace: "istio-system".to_owned(), ..Istio::default() };
        let store = store(Arc::new(home.clone()));
        let mut publisher = publisher();
        publisher.filter_is(Reachability::Reachable);
        Self {
            store,
            home,
            publisher,
            now: Instant::now(),
            revision: 0,
            refused: BTreeSet::new(),
            told_otherwise: BTreeSet::new(),
        }
    }

    fn put(&mut self, kind: Kind, mut object: Value) {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        self.store.put(kind, Object::from_json(object));
    }

    fn release(&mut self, name: &str) {
        let spec = json!({"service": name, "stable": {"version": "v1"}, "canaries": []});
        self.put(Kind::CanaryRelease, json!({"metadata": {"namespace": "shop", "name": name}, "spec": spec}));
    }

    fn set(&mut self, name: &str, canary: u32) {
        self.publisher.set(&id(name), entry(name, canary, &by_cookie()));
    }

    /// Publishes if something is due; the answer is the number of writes and the releases that go on.
    fn publish(&mut self) -> Option<Result<(usize, Vec<String>), Condition>> {
        if !self.publisher.is_due(self.now) {
            return None;
        }
        let publication = match self.publisher.publication(&self.store, &self.home) {
            Ok(publication) => publication,
            Err(condition) => {
                let failures = self.publisher.failed();
                self.told_otherwise = self.publisher.retry(condition.clone(), self.now + SETTLE * failures);
                return Some(Err(condition));
            }
        };
        let (count, mut failing) = (publication.writes.len(), BTreeMap::new());
        for write in &publication.writes {
            if self.refused.contains(&write.scope) {
                let retry_at = self.now + SETTLE * self.publisher.failed_scope(&write.scope);
                failing.insert(write.scope.clone(), Failing { cause: "no such namespace".to_owned(), retry_at });
            } else {
                self.put(Kind::WasmPlugin, write.desired.body.clone());
            }
        }
        let next = self.publisher.wrote(publication, failing, SETTLE, self.now);
        Some(Ok((count, next.into_iter().map(|id| id.name).collect())))
    }

    fn plugin(&self) -> Value {
        self.store.get(Kind::WasmPlugin, &Name::new("istio-system", "serin")).unwrap().to_json()
    }

    /// The plugin with another document.
    fn plugin_with(&self, edit: impl FnOnce(&mut Value)) -> Value {
        let mut plugin = self.plugin();
        let text = &mut plugin["spec"]["pluginConfig"]["document"];
        let mut document: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        edit(&mut document);
        *text = document.to_string().into();
        plugin
    }

    fn published(&self) -> Vec<String> {
        let plugin = Object::from_json(self.plugin());
        self.home.carried(&plugin).unwrap().unwrap().splits.into_iter().map(|split| split.release).collect()
    }

    /// Another leader begins, with what the mesh holds.
    fn another_leader(&mut self) -> Vec<String> {
        self.publisher = publisher();
        self.publisher.filter_is(Reachability::Reachable);
        self.publisher.take_up(&self.store, &self.home).into_iter().map(|id| id.to_string()).collect()
    }
}

fn written(count: usize, next: &[&str]) -> Option<Result<(usize, Vec<String>), Condition>> {
    Some(Ok((count, next.iter().map(|name| (*name).to_owned()).collect())))
}

#[test]
fn what_steps_do_by_themselves_shares_a_document_and_what_people_do_waits_for_nothing() {
    let mut mesh = Mesh::new();
    ["a", "b", "c"].iter().for_each(|name| mesh.set(name, 1000));
    assert_eq!(mesh.publish(), written(1, &["a", "b", "c"]));
    let step =
        |mesh: &mut Mesh, name: &str, canary| mesh.publisher.set_in_time(&id(name), entry(name, canary, &by_cookie()));
    // The first one waits for nobody, and is told of it.
    step(&mut mesh, "a", 2000);
    assert_eq!((mesh.publish(), mesh.publisher.requeue_at()), (written(1, &["a"]), None));
    let first = mesh.now;
    // Those of the next ten seconds share one.
    mesh.now += Duration::from_secs(1);
    step(&mut mesh, "a", 3000);
    step(&mut mesh, "b", 2000);
    let is_pending = |mesh: &Mesh| ["a", "b", "c"].map(|name| mesh.publisher.is_pending(&id(name)));
    assert_eq!((mesh.publish(), is_pending(&mesh)), (None, [true, true, false]));
    let due = first + Duration::from_secs(10);
    assert_eq!(mesh.publisher.requeue_at(), Some(due));
    // Who says it again takes nothing back.
    mesh.set("b", 2000);
    assert_eq!(mesh.publish(), None);
    mesh.now = due;
    assert_eq!((mesh.publish(), is_pending(&mesh)), (written(1, &["a", "b"]), [false, false, false]));
    // A person's change goes at once, and takes along what waits.
    step(&mut mesh, "a", 4000);
    assert_eq!(mesh.publish(), None);
    mesh.set("c", 5000);
    assert_eq!(mesh.publish(), written(1, &["a"]));
    // So does a person's change of what waits, and a rollback.
    step(&mut mesh, "a", 5000);
    mesh.set("a", 6000);
    assert_eq!(mesh.publish(), written(1, &[]));
    step(&mut mesh, "b", 3000);
    mesh.publisher.retreat(&id("b"), Some(entry("b", 500, &by_cookie())));
    assert_eq!((mesh.publish(), mesh.publisher.requeue_at()), (written(1, &[]), None));
}

#[test]
fn a_document_is_written_when_something_in_it_changes() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    assert_eq!(mesh.publish(), written(1, &["a"]));
    assert_eq!(mesh.publish(), None);
    // Requests go to the same versions as before, so no route has to go.
    mesh.set("a", 6000);
    mesh.set("b", 1000);
    assert_eq!(mesh.publish(), written(1, &["b"]));
    mesh.set("a", 6000);
    assert_eq!(mesh.publish(), None);
    // They ask for another route, and the one of before may go.
    let keyed = || {
        let mut entry = Entry::clone(&entry("a", 6000, &by_cookie()));
        entry.served.routing_key = Some("key".to_owned());
        Arc::new(entry)
    };
    mesh.publisher.set(&id("a"), keyed());
    assert_eq!(mesh.publish(), written(1, &["a"]));
    mesh.set("a", 6000);
    assert_eq!(mesh.publish(), written(1, &["a"]));
    // A change that was taken back before it was written.
    mesh.set("a", 7000);
    mesh.set("a", 6000);
    assert_eq!(mesh.publish(), None);
    mesh.publisher.remove(&id("a"));
    assert_eq!((mesh.publish(), mesh.published()), (written(1, &["a"]), vec!["shop/b".to_owned()]));
    // What somebody else does to the carrier is looked at, and repaired.
    let mut plugin = mesh.plugin();
    mesh.publisher.carrier_changed();
    assert_eq!(mesh.publish(), written(0, &[]));
    plugin["spec"]["url"] = json!("mine");
    mesh.put(Kind::WasmPlugin, plugin);
    mesh.publisher.carrier_changed();
    assert_eq!((mesh.publish(), mesh.plugin()["spec"]["url"].clone()), (written(1, &[]), json!("requests")));
}

#[test]
fn another_module_holds_the_next_document_until_proxies_have_it() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    assert_eq!(mesh.publish(), written(1, &["a"]));
    let issuing = json!({"by": [{"cookie": "id"}], "otherwise": {"issueCookie": {"name": "id"}}});
    mesh.publisher.set(&id("a"), entry("a", 5000, &issuing));
    assert_eq!((mesh.publish(), mesh.plugin()["spec"]["url"].clone()), (written(1, &[]), json!("any")));
    mesh.set("b", 1000);
    assert_eq!((mesh.publish(), mesh.publisher.requeue_at()), (None, Some(mesh.now + SETTLE)));
    assert_eq!(mesh.publisher.trouble(&id("a")), None);
    let follows = "proxies are loading another module of the filter, and this change follows";
    assert_eq!(mesh.publisher.trouble(&id("b")), Some(Condition::new(Reason::Pending, follows)));
    mesh.now += SETTLE;
    assert_eq!((mesh.publish(), mesh.publisher.trouble(&id("b"))), (written(1, &["b"]), None));
    assert_eq!(mesh.publisher.requeue_at(), None);
}

#[test]
fn a_failure_is_tried_again_and_a_change_does_not_wait_for_that() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    assert_eq!(mesh.publish(), written(1, &["a"]));
    mesh.set("a", 6000);
    assert!(mesh.publisher.is_due(mesh.now));
    let cause = Condition::new(Reason::WriteFailed, "no answer within 4s");
    assert_eq!(mesh.publisher.failed(), 1);
    mesh.publisher.retry(cause.clone(), mesh.now + SETTLE);
    assert_eq!((mesh.publish(), mesh.publisher.requeue_at()), (None, Some(mesh.now + SETTLE)));
    // Whoever is asked then hears of it, and hears when it is over.
    assert_eq!(mesh.publisher.trouble(&id("a")), Some(cause.clone()));
    mesh.now += SETTLE;
    assert!(mesh.publisher.is_due(mesh.now));
    assert_eq!(mesh.publisher.failed(), 2);
    mesh.publisher.retry(cause, mesh.now + SETTLE);
    mesh.set("a", 7000);
    assert_eq!((mesh.publish(), mesh.publisher.trouble(&id("a"))), (written(1, &["a"]), None));
    assert_eq!(mesh.publisher.failed(), 1);
}

#[test]
fn a_scope_that_cannot_be_written_is_the_trouble_of_its_own_releases() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    assert_eq!(mesh.publish(), written(1, &["a"]));
    let waypoint = Scope::Waypoint("gone".to_owned(), "w".to_owned());
    mesh.refused.insert(waypoint.clone());
    let mut evil = Entry::clone(&entry("evil", 5000, &by_cookie()));
    evil.scopes.insert(waypoint);
    mesh.publisher.set(&id("evil"), Arc::new(evil.clone()));
    mesh.set("a", 6000);
    assert_eq!((mesh.publish(), mesh.published().len()), (written(2, &[]), 2));
    let trouble = Condition::new(Reason::WriteFailed, "no such namespace");
    assert_eq!((mesh.publisher.trouble(&id("evil")), mesh.publisher.trouble(&id("a"))), (Some(trouble), None));
    // It has not moved while some of its proxies do not know, and it is not tried all the time.
    assert!(mesh.publisher.served(&id("evil")).is_nothing());
    assert_eq!((mesh.publish(), mesh.publisher.requeue_at()), (None, Some(mesh.now + SETTLE)));
    // Others go on meanwhile, also one that leaves.
    mesh.publisher.remove(&id("a"));
    assert_eq!((mesh.publish(), mesh.published().len()), (written(2, &["a", "evil"]), 1));
    assert!(mesh.publisher.served(&id("a")).is_nothing());
    assert_eq!(mesh.publisher.requeue_at(), Some(mesh.now + SETTLE * 2));
    assert!(mesh.publisher.trouble(&id("evil")).is_some());
    mesh.refused.clear();
    mesh.now += SETTLE * 2;
    assert_eq!(mesh.publish(), written(1, &["evil"]));
    assert!(matches!(mesh.publisher.served(&id("evil")), Served::Entry(Some(served)) if *served == evil.served));
    assert_eq!((mesh.publisher.trouble(&id("evil")), mesh.publisher.requeue_at()), (None, None));
}

#[test]
fn a_new_leader_takes_up_what_is_published() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    mesh.set("b", 1000);
    mesh.publish();
    assert_eq!((mesh.another_leader(), mesh.publisher.lost()), (vec!["shop/a".to_owned(), "shop/b".to_owned()], None));
    let expected = entry("a", 5000, &by_cookie());
    assert_eq!(mesh.publisher.entry(&id("a")).unwrap().served, expected.served);
    assert!(matches!(mesh.publisher.served(&id("a")), Served::Entry(Some(served)) if *served == expected.served));
    assert!(mesh.publisher.served(&id("c")).is_nothing());
    assert_eq!(mesh.publish(), written(0, &[]));
}

/// What the condition of a release says, and whether it may be anywhere.
fn unreadable(mesh: &mut Mesh, name: &str) -> (Option<Condition>, bool) {
    (mesh.publisher.trouble(&id(name)), matches!(mesh.publisher.served(&id(name)), Served::Unknown))
}

#[test]
fn a_document_that_cannot_be_read_stays_until_all_releases_could_be_built_again() {
    let mut mesh = Mesh::new();
    ["a", "b", "c"].iter().for_each(|name| mesh.release(name));
    ["a", "b", "c"].iter().for_each(|name| mesh.set(name, 5000));
    mesh.publish();
    let plugin = mesh.plugin_with(|document| document["version"] = json!(2));
    mesh.put(Kind::WasmPlugin, plugin.clone());
    assert_eq!(mesh.another_leader(), Vec::<String>::new());
    let said = |names: &str| {
        let message = format!(
            "WasmPlugin istio-system/serin holds a document that cannot be read: version: version 2 of the document is not known; upgrade \
             Serin first, since this one reads version 1. Proxies keep it, and nothing is published until each of these releases can be \
             built from its spec: {names}. Correct them, or delete the object to go on without their last good splits"
        );
        Condition::new(Reason::DocumentUnreadable, message)
    };
    mesh.set("a", 6000);
    let all = said("shop/b, shop/c");
    assert_eq!(mesh.publish(), Some(Err(all.clone())));
    assert_eq!(unreadable(&mut mesh, "a"), (Some(all.clone()), true));
    assert_eq!(unreadable(&mut mesh, "b"), (Some(all), true));
    assert_eq!(mesh.plugin()["spec"], plugin["spec"], "proxies keep it");
    mesh.set("b", 5000);
    assert_eq!(mesh.publish(), Some(Err(said("shop/c"))));
    // Those that were told of more hear of it, once.
    assert_eq!(mesh.told_otherwise, ["a", "b"].map(id).into());
    mesh.now += SETTLE * 10;
    assert_eq!((mesh.publish(), mesh.told_otherwise.len()), (Some(Err(said("shop/c"))), 0));
    // One that is being deleted does not wait for its spec.
    let mut c = mesh.store.get(Kind::CanaryRelease, &Name::new("shop", "c")).unwrap().to_json();
    c["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    mesh.put(Kind::CanaryRelease, c);
    mesh.now += SETTLE * 10;
    assert_eq!(mesh.publish(), written(1, &["a", "b"]));
    assert_eq!((unreadable(&mut mesh, "c"), mesh.published().len()), ((None, false), 2));
}

#[test]
fn a_person_may_go_on_without_a_document_that_cannot_be_read() {
    let mut mesh = Mesh::new();
    ["a", "b"].iter().for_each(|name| mesh.release(name));
    mesh.set("a", 5000);
    mesh.publish();
    let mut plugin = mesh.plugin();
    plugin["spec"]["pluginConfig"] = json!({"releases": "lost"});
    mesh.put(Kind::WasmPlugin, plugin);
    mesh.another_leader();
    mesh.set("a", 5000);
    assert!(matches!(mesh.publish(), Some(Err(_))));
    mesh.store.forget(Kind::WasmPlugin, &Name::new("istio-system", "serin"));
    mesh.publisher.take_up(&mesh.store, &mesh.home);
    assert_eq!((mesh.publish(), mesh.published()), (written(1, &["a"]), vec!["shop/a".to_owned()]));
}

#[test]
fn one_entry_that_this_version_refuses_is_lost_alone() {
    let mut mesh = Mesh::new();
    ["a", "b"].iter().for_each(|name| mesh.release(name));
    ["a", "b"].iter().for_each(|name| mesh.set(name, 5000));
    mesh.publish();
    let plugin = mesh.plugin_with(|document| document["splits"][1]["buckets"] = json!([["v2", 200_000]]));
    mesh.put(Kind::WasmPlugin, plugin);
    assert_eq!(mesh.another_leader(), ["shop/a"]);
    assert_eq!(mesh.publisher.lost().unwrap().releases, Some(BTreeSet::from([id("b")])));
    assert!(matches!(mesh.publish(), Some(Err(condition)) if condition.message.contains("from its spec: shop/b. Correct")));
    assert_eq!((unreadable(&mut mesh, "a").1, unreadable(&mut mesh, "b").1), (false, true));
    mesh.set("b", 5000);
    assert_eq!((mesh.publish(), mesh.published().len()), (written(1, &["a", "b"]), 2));
}

#[test]
fn a_mesh_has_one_controller() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    mesh.publish();
    assert_eq!(mesh.plugin()["metadata"]["annotations"]["serin.dev/controller"], "serin-system");
    assert_eq!(mesh.publisher.another_controller(&mesh.store, &mesh.home), None);
    let mut plugin = mesh.plugin();
    plugin["metadata"]["annotations"]["serin.dev/controller"] = json!("serin2");
    mesh.put(Kind::WasmPlugin, plugin.clone());
    let found = mesh.publisher.another_controller(&mesh.store, &mesh.home);
    assert_eq!(found, Some(("WasmPlugin istio-system/serin".to_owned(), "serin2".to_owned())));
    // One of before, or one whose name a person took away, is anybody's.
    plugin["metadata"]["annotations"].as_object_mut().unwrap().remove("serin.dev/controller");
    mesh.put(Kind::WasmPlugin, plugin);
    assert_eq!(mesh.publisher.another_controller(&mesh.store, &mesh.home), None);
    mesh.publisher.carrier_changed();
    assert_eq!(mesh.publish(), written(1, &[]));
}

#[test]
fn no_proxy_is_sent_to_a_filter_that_is_not_there() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    mesh.publish();
    // A new version, which proxies cannot get: they keep the one that they have, with its document.
    let mut plugin = mesh.plugin();
    plugin["spec"]["url"] = json!("earlier");
    mesh.put(Kind::WasmPlugin, plugin);
    mesh.another_leader();
    mesh.publisher.filter_is(Reachability::Unknown);
    mesh.set("a", 6000);
    assert!(matches!(mesh.publish(), Some(Err(condition)) if condition.reason == Reason::Pending));
    mesh.publisher.filter_is(Reachability::Unreachable("http://serin: connection refused".to_owned()));
    let said = |mesh: &mut Mesh| mesh.publisher.trouble(&id("a")).map(|condition| (condition.reason, condition.message));
    assert!(matches!(mesh.publish(), Some(Err(condition)) if condition.reason == Reason::FilterUnreachable));
    let (reason, message) = said(&mut mesh).unwrap();
    assert_eq!(reason, Reason::FilterUnreachable);
    assert!(
        message.starts_with("proxies would not get the filter of this version, http://serin: connection refused; correct "),
        "{message}"
    );
    assert_eq!(mesh.plugin()["spec"]["url"], "earlier");
    // A rollback waits for nothing: who loses the filter goes to stable too.
    let mut entry = Entry::clone(&entry("a", 6000, &by_cookie()));
    entry.served.takeover = Some("v1".to_owned());
    mesh.publisher.retreat(&id("a"), Some(Arc::new(entry)));
    mesh.now += SETTLE * 10;
    assert_eq!(mesh.publish(), written(1, &["a"]));
    let (reason, message) = said(&mut mesh).unwrap();
    assert_eq!(reason, Reason::FilterUnreachable);
    assert!(message.starts_with("proxies that do not have the filter yet cannot get it, http://serin: "), "{message}");
    mesh.publisher.filter_is(Reachability::Reachable);
    mesh.now += SETTLE * 10;
    mesh.publish();
    assert_eq!(said(&mut mesh), None);
    // Nor does a deletion wait.
    let mut plugin = mesh.plugin();
    plugin["spec"]["url"] = json!("earlier");
    mesh.put(Kind::WasmPlugin, plugin);
    mesh.another_leader();
    mesh.publisher.filter_is(Reachability::Unreachable("http://serin: connection refused".to_owned()));
    assert!(matches!(mesh.publish(), Some(Err(_))));
    mesh.publisher.retreat(&id("a"), None);
    assert_eq!((mesh.publish(), mesh.published()), (written(1, &["a"]), Vec::new()));
}

#[test]
fn proxies_that_gave_up_ask_again_once() {
    let mut mesh = Mesh::new();
    mesh.set("a", 5000);
    mesh.publish();
    assert_eq!(mesh.plugin()["spec"]["pluginConfig"].get("fetch"), None);
    mesh.another_leader();
    mesh.publisher.fetch_again("2026-01-01T00:00:00Z".to_owned());
    assert_eq!(mesh.publish(), written(1, &[]));
    assert_eq!(
        (mesh.plugin()["spec"]["pluginConfig"]["fetch"].clone(), mesh.published().len()),
        (json!("2026-01-01T00:00:00Z"), 1)
    );
    // The next leader leaves it as it is.
    mesh.another_leader();
    assert_eq!(mesh.publish(), written(0, &[]));
}
