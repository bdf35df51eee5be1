//! What a pass has read decides who is concerned by a change: nobody is forgotten, and few are asked for nothing.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use serin_mesh::home::istio::Istio;
use serin_mesh::hosts::Hosts;
use serin_mesh::key::Key;
use serin_mesh::reader::{Reader, Readers};
use serin_mesh::references::dereference;
use serin_mesh::store::{Event, Store};
use serin_mesh::{Kind, Name, Object};
use serin_release::ReleaseId;

fn home() -> Istio {
    Istio { root_namespace: "istio-system".to_owned(), ..Istio::default() }
}

fn store() -> Store {
    serin_mesh::home::store(Arc::new(home()))
}

/// An object, and whether it is there.
#[derive(Clone, Debug)]
struct Step {
    kind: Kind,
    namespace: String,
    name: String,
    body: Value,
    there: bool,
}

const NAMESPACES: [&str; 2] = ["shop", "other"];
const SERVICES: [&str; 2] = ["reviews", "ratings"];

fn hosts() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "reviews",
        "ratings",
        "reviews.shop.svc.cluster.local",
        "ratings.other.svc.cluster.local",
        "*.shop.svc.cluster.local",
        "*.cluster.local",
        "*",
        "shop.example.com",
        "*.example.com",
        "pay.example.org",
    ])
    .prop_map(str::to_owned)
}

fn labels() -> impl Strategy<Value = Value> {
    (prop::sample::select(SERVICES.to_vec()), prop::sample::select(vec!["v1", "v2"]))
        .prop_map(|(app, version)| json!({"app": app, "version": version}))
}

fn release() -> impl Strategy<Value = Value> {
    let routing = prop_oneof![
        Just(json!({})),
        hosts().prop_map(|host| json!({"gateways": ["edge"], "hosts": [host]})),
        Just(json!({"mode": "delegate"})),
        Just(json!({"mode": "external"})),
    ];
    let service = prop::sample::select(vec!["reviews", "ratings", "pay.example.org"]);
    (service, routing, prop::bool::ANY).prop_map(|(service, routing, workload)| {
        let mut canary = json!({"version": "v2", "weight": "10%"});
        if workload {
            canary["workload"] = json!({"images": {"app": "image:2"}});
        }
        json!({"spec": {"service": service, "stable": {"version": "v1"}, "canaries": [canary], "routing": routing}})
    })
}

/// An object of any kind that a release may depend on.
fn body() -> impl Strategy<Value = (Kind, Value)> {
    let of = |kind: Kind, body: Value| (kind, body);
    let endpoints = prop::collection::vec((0..4_u8, prop::bool::ANY), 0..3);
    prop_oneof![
        4 => release().prop_map(move |body| of(Kind::CanaryRelease, body)),
        2 => prop::sample::select(SERVICES.to_vec()).prop_map(move |app| of(Kind::Service, json!({"spec": {"selector": {"app": app}, "ports": [{"port": 80}]}}))),
        2 => (prop::sample::select(SERVICES.to_vec()), endpoints).prop_map(move |(service, endpoints)| {
            let endpoints: Vec<Value> = endpoints.into_iter()
                .map(|(pod, ready)| json!({"conditions": {"ready": ready}, "targetRef": {"name": format!("object-{pod}")}})).collect();
            of(Kind::EndpointSlice, json!({"metadata": {"labels": {"kubernetes.io/service-name": service}}, "endpoints": endpoints}))
        }),
        2 => labels().prop_map(move |labels| of(Kind::Pod, json!({"metadata": {"labels": labels}}))),
        2 => labels().prop_map(move |labels| of(Kind::Deployment, json!({"spec": {"template": {"metadata": {"labels": labels}}}}))),
        1 => labels().prop_map(move |labels| of(Kind::WorkloadEntry, json!({"spec": {"labels": labels}}))),
        1 => (hosts(), labels()).prop_map(move |(host, labels)| of(Kind::ServiceEntry, json!({"spec": {"hosts": [host, "pay.example.org"], "endpoints": [{"labels": labels}]}}))),
        2 => (hosts(), prop::sample::select(vec!["mesh", "edge", "shop/edge"])).prop_map(move |(host, gateway)| {
            of(Kind::VirtualService, json!({"spec": {"hosts": [host], "gateways": [gateway], "http": []}}))
        }),
        1 => prop::sample::select(vec!["object-0-serin", "object-1-serin"]).prop_map(move |name| {
            of(Kind::VirtualService, json!({"spec": {"hosts": ["a.b"], "http": [{"delegate": {"name": name, "namespace": "shop"}}]}}))
        }),
        2 => hosts().prop_map(move |host| of(Kind::DestinationRule, json!({"spec": {"host": host, "trafficPolicy": {}}}))),
        1 => hosts().prop_map(move |host| of(Kind::Gateway, json!({"spec": {"servers": [{"port": {"protocol": "HTTP"}, "hosts": [host]}]}}))),
        1 => Just(of(Kind::Namespace, json!({"metadata": {"labels": {"istio.io/use-waypoint": "waypoint"}}}))),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    (body(), prop::sample::select(NAMESPACES.to_vec()), 0..4_u8, prop::bool::weighted(0.8)).prop_map(
        |((kind, body), namespace, number, there)| {
            let (namespace, name) = match kind {
                Kind::Namespace => (String::new(), namespace.to_owned()),
                Kind::Gateway => (namespace.to_owned(), "edge".to_owned()),
                Kind::Service => (namespace.to_owned(), SERVICES[usize::from(number) % 2].to_owned()),
                // Objects under the names that are Serin's too.
                Kind::VirtualService | Kind::DestinationRule if number == 3 => {
                    (namespace.to_owned(), "object-0-serin".to_owned())
                }
                _ => (namespace.to_owned(), format!("object-{number}")),
            };
            Step { kind, namespace, name, body, there }
        },
    )
}

/// All that a release depends on, as text, and what was read for it.
fn seen(store: &Store, id: &ReleaseId) -> Option<(String, BTreeSet<Key>)> {
    let resource = store.release(id)?;
    let reader = Reader::new(store);
    let references = dereference(resource, &reader, &home(), &Hosts::default(), "serin-system");
    // An object that says what it said before concerns nobody, whatever its revision.
    let text = format!("{references:?}");
    let text = text.split("resource_version: ").map(|rest| rest.split_once(", ").map_or(rest, |(_, rest)| rest)).collect();
    Some((text, reader.into_keys()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn whoever_a_change_concerns_is_asked_again(steps in prop::collection::vec(step(), 1..80)) {
        let (mut store, mut readers) = (store(), Readers::default());
        let mut known: BTreeMap<ReleaseId, String> = BTreeMap::new();
        for (number, step) in steps.into_iter().enumerate() {
            let name = Name::new(&*step.namespace, &*step.name);
            let change = if step.there {
                let mut object = step.body;
                for (field, value) in [("namespace", &step.namespace), ("name", &step.name), ("resourceVersion", &number.to_string())] {
                    object["metadata"][field] = json!(value);
                }
                store.put(step.kind, Object::from_json(object))
            } else {
                store.forget(step.kind, &name)
            };
            let Some(change) = change else { continue };
            let mut concerned = readers.of(&change.keys);
            if step.kind == Kind::CanaryRelease {
                concerned.insert(ReleaseId::new(&*step.namespace, &*step.name));
            }
            let ids: Vec<ReleaseId> = store.releases().map(|release| release.id.clone()).collect();
            for id in ids {
                let (now, keys) = seen(&store, &id).unwrap();
                if concerned.contains(&id) {
                    readers.record(&id, keys);
                } else {
                    prop_assert_eq!(known.get(&id), Some(&now), "{} changed unseen by {}", change.object.full_name(), id);
                }
                known.insert(id, now);
            }
            known.retain(|id, _| store.release(id).is_some());
        }
    }
}

fn put(store: &mut Store, kind: Kind, object: Value) -> BTreeSet<Key> {
    store.put(kind, Object::from_json(object)).unwrap().keys
}

#[test]
fn what_changes_elsewhere_concerns_nobody_however_many_there_are() {
    let (mut store, mut readers) = (store(), Readers::default());
    for number in 0..200 {
        let name = format!("service-{number}");
        let metadata = json!({"namespace": "shop", "name": name});
        put(
            &mut store,
            Kind::Service,
            json!({"metadata": metadata, "spec": {"selector": {"app": name}, "ports": [{"port": 80}]}}),
        );
        let spec = json!({"service": name, "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "1%"}]});
        put(&mut store, Kind::CanaryRelease, json!({"metadata": metadata, "spec": spec}));
        let labels = json!({"kubernetes.io/service-name": name});
        let endpoint = json!({"targetRef": {"name": format!("pod-{number}")}});
        put(
            &mut store,
            Kind::EndpointSlice,
            json!({"metadata": {"namespace": "shop", "name": name, "labels": labels}, "endpoints": [endpoint]}),
        );
    }
    for number in 0..200 {
        let id = ReleaseId::new("shop", format!("service-{number}"));
        readers.record(&id, seen(&store, &id).unwrap().1);
    }
    let seven = BTreeSet::from([ReleaseId::new("shop", "service-7")]);
    let labels = json!({"app": "service-7", "version": "v2"});
    let changes = [
        (Kind::Pod, json!({"metadata": {"namespace": "shop", "name": "pod-7", "labels": labels}})),
        (
            Kind::EndpointSlice,
            json!({"metadata": {"namespace": "shop", "name": "b", "labels": {"kubernetes.io/service-name": "service-7"}}}),
        ),
        (
            Kind::Deployment,
            json!({"metadata": {"namespace": "shop", "name": "d"}, "spec": {"template": {"metadata": {"labels": labels}}}}),
        ),
        (Kind::WorkloadEntry, json!({"metadata": {"namespace": "shop", "name": "w"}, "spec": {"labels": labels}})),
        (
            Kind::VirtualService,
            json!({"metadata": {"namespace": "other", "name": "v"}, "spec": {"hosts": ["service-7.shop.svc.cluster.local"]}}),
        ),
        (Kind::DestinationRule, json!({"metadata": {"namespace": "shop", "name": "r"}, "spec": {"host": "service-7"}})),
    ];
    for (kind, object) in changes {
        assert_eq!(readers.of(&put(&mut store, kind, object)), seven, "{kind:?}");
    }
    let elsewhere = [
        (Kind::Pod, json!({"metadata": {"namespace": "shop", "name": "job", "labels": {"version": "v2"}}})),
        (
            Kind::Deployment,
            json!({"metadata": {"namespace": "other", "name": "d"}, "spec": {"template": {"metadata": {"labels": labels}}}}),
        ),
        (
            Kind::VirtualService,
            json!({"metadata": {"namespace": "shop", "name": "u"}, "spec": {"hosts": ["shop.example.com"]}}),
        ),
    ];
    for (kind, object) in elsewhere {
        assert_eq!(readers.of(&put(&mut store, kind, object)), BTreeSet::new(), "{kind:?}");
    }
    // A pattern concerns all that it covers.
    let rule =
        json!({"metadata": {"namespace": "istio-system", "name": "all"}, "spec": {"host": "*.shop.svc.cluster.local"}});
    assert_eq!(readers.of(&put(&mut store, Kind::DestinationRule, rule)).len(), 200);
    for id in &seven {
        readers.forget(id);
    }
    let pod = json!({"metadata": {"namespace": "shop", "name": "pod-7", "labels": {}}});
    assert_eq!(readers.of(&put(&mut store, Kind::Pod, pod)), BTreeSet::new());
}

fn object(namespace: &str, name: &str, version: &str) -> Object {
    let metadata = json!({"namespace": namespace, "name": name, "resourceVersion": version});
    Object::from_json(json!({"metadata": metadata, "spec": {"at": version}}))
}

#[test]
fn what_a_new_list_does_not_hold_is_gone() {
    let names =
        |store: &Store| -> Vec<String> { store.all(Kind::Service).map(|object| object.metadata.name.clone()).collect() };
    let mut store = store();
    store.apply(Kind::Service, Event::InitStart);
    store.apply(Kind::Service, Event::InitItem(object("a", "x", "1")));
    store.apply(Kind::Service, Event::InitItem(object("a", "y", "2")));
    assert!(store.apply(Kind::Service, Event::InitDone).is_empty());
    store.apply(Kind::Service, Event::InitStart);
    assert!(store.apply(Kind::Service, Event::InitItem(object("a", "y", "2"))).is_empty());
    let gone = store.apply(Kind::Service, Event::InitDone);
    assert_eq!(gone.len(), 1);
    assert_eq!(gone[0].keys, BTreeSet::from([Key::Object(Kind::Service, Name::new("a", "x"))]));
    assert_eq!(names(&store), ["y"]);
}

#[test]
fn what_is_older_than_the_answer_to_a_write_is_ignored() {
    let mut store = store();
    store.put(Kind::Service, object("a", "x", "7"));
    assert!(store.apply(Kind::Service, Event::Applied(object("a", "x", "6"))).is_empty());
    assert!(store.apply(Kind::Service, Event::Applied(object("a", "x", "7"))).is_empty());
    assert_eq!(store.apply(Kind::Service, Event::Applied(object("a", "x", "10"))).len(), 1);
}
