//! A weight acts as far as ready pods can carry it, and what acts stays while only stable is scaled.
#![cfg(test)]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::{ReleaseSplit, SplitDocument};
use serin_mesh::capacity::Capacity;
use serin_mesh::check::check;
use serin_mesh::entry::Entry;
use serin_mesh::home::istio::Istio;
use serin_mesh::home::store;
use serin_mesh::hosts::Hosts;
use serin_mesh::life::Life;
use serin_mesh::order::{Pace, Served};
use serin_mesh::pass::{Memory, Pass, Settings};
use serin_mesh::proxies::Seen;
use serin_mesh::reader::Reader;
use serin_mesh::references::dereference;
use serin_mesh::{Kind, Object};
use serin_release::ReleaseId;

/// A release whose canary v2 shall have half of the requests, with `replicas: share`.
struct Case {
    /// Pods of stable, as its Deployment says.
    stable: u32,
    /// Ready pods of the canary, now and when the status was written.
    ready: [u32; 2],
    /// What the canary has: buckets, or everything by a takeover.
    has: Value,
    takeover: Value,
}

impl Case {
    /// The buckets and the takeover that are served, and what the canary lacks.
    fn served(&self) -> (Value, Value, Vec<String>) {
        let home = Istio::default();
        let mut store = store(Arc::new(home.clone()));
        for (kind, object) in self.objects() {
            store.put(kind, Object::from_json(object));
        }
        let id = ReleaseId::new("shop", "reviews");
        let resource = store.release(&id).unwrap();
        let references = dereference(resource, &Reader::new(&store), &home, &Hosts::default(), "serin-system");
        let pace = Pace { settle: Duration::ZERO, drain: Duration::ZERO };
        let settings = Settings { document: SplitDocument::new(Vec::new()), pace, workloads: true };
        let split: ReleaseSplit =
            serde_json::from_value(json!({"release": "shop/reviews", "hosts": ["reviews.shop.svc.cluster.local"],
            "ports": [80], "stable": "v1", "buckets": self.has["buckets"], "takeover": self.has["takeover"]}))
            .unwrap();
        let entry = Entry {
            allocation: Default::default(),
            wanted: split.clone(),
            served: split,
            automata: Default::default(),
            scopes: BTreeSet::new(),
        };
        let served = Served::Entry(Some(&entry.served));
        let pass = Pass {
            resource,
            references: &references,
            life: &Life::default(),
            entry: Some(&entry),
            served,
            settings: &settings,
            seen: Seen::default(),
            now: Instant::now(),
        };
        let accepted = check(&pass, &mut Memory::default()).unwrap().unwrap();
        let routable = BTreeSet::from(["v1".to_owned(), "v2".to_owned()]);
        let capacity = Capacity::of(&pass, &accepted, &routable);
        let served = capacity.limits.serve(&accepted.compiled.wanted);
        (json!(served.buckets), json!(served.takeover), capacity.lacking(&pass, &accepted))
    }

    fn objects(&self) -> Vec<(Kind, Value)> {
        let metadata = |name: &str| json!({"namespace": "shop", "name": name});
        let [ready, before] = self.ready;
        let canary =
            json!({"version": "v2", "weight": "50%", "workload": {"images": {"reviews": "reviews:2"}, "replicas": "share"}});
        let spec =
            json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [canary], "takeover": self.takeover});
        let versions =
            json!([{"version": "v1", "share": "50%", "ready": 1}, {"version": "v2", "share": "50%", "ready": before}]);
        let template = json!({"metadata": {"labels": {"app": "reviews", "version": "v1"}}, "spec": {"containers": [{"name": "reviews"}]}});
        let pods = std::iter::once(("v1", 0)).chain((0..ready).map(|number| ("v2", number)));
        let names: Vec<(&str, String)> = pods.map(|(version, number)| (version, format!("{version}-{number}"))).collect();
        let endpoints: Vec<Value> = names.iter().map(|(_, name)| json!({"targetRef": {"name": name}})).collect();
        let labels = json!({"kubernetes.io/service-name": "reviews"});
        let pod = |(version, name): &(&str, String)| {
            (Kind::Pod, json!({"metadata": {"namespace": "shop", "name": name, "labels": {"version": version}}}))
        };
        let service =
            json!({"metadata": metadata("reviews"), "spec": {"selector": {"app": "reviews"}, "ports": [{"port": 80}]}});
        let deployment =
            json!({"metadata": metadata("reviews-v1"), "spec": {"replicas": self.stable, "template": template}});
        let slice = json!({"metadata": {"namespace": "shop", "name": "s", "labels": labels}, "endpoints": endpoints});
        let release = json!({"metadata": metadata("reviews"), "spec": spec, "status": {"observedGeneration": 1, "versions": versions}});
        let objects = [
            (Kind::Service, service),
            (Kind::Deployment, deployment),
            (Kind::EndpointSlice, slice),
            (Kind::CanaryRelease, release),
        ];
        objects.into_iter().chain(names.iter().map(pod)).collect()
    }
}

#[test]
fn a_share_grows_with_pods_stays_while_stable_is_scaled_and_shrinks_with_lost_ones() {
    let of = |stable, ready, has: u32| {
        let case = Case { stable, ready, has: json!({"buckets": [["v2", has]]}), takeover: Value::Null };
        let (buckets, _, lacking) = case.served();
        (buckets[0][1].as_u64().unwrap_or(0), lacking)
    };
    let quiet = Vec::<String>::new;
    let says = |text: &str| vec![format!("v2 has 1 of the 2 ready pods that 50% of the requests need, so it gets {text}")];
    assert_eq!(of(4, [2, 0], 0), (50_000, quiet()));
    assert_eq!(of(4, [1, 0], 0), (25_000, says("25%")));
    // Stable was scaled from 2 to 4: who has the canary keeps it.
    assert_eq!(of(4, [1, 1], 50_000), (50_000, quiet()));
    // A pod was lost: the ones that are left carry what they can.
    assert_eq!(of(4, [1, 2], 50_000), (25_000, says("25%")));
    assert_eq!(of(4, [1, 1], 25_000), (25_000, says("25%")));
    // Nobody knows what carries everything where stable has nothing.
    assert_eq!(of(0, [1, 0], 0), (50_000, quiet()));
}

#[test]
fn a_takeover_waits_for_all_pods_and_goes_on_with_one() {
    let of = |ready, has: Value| {
        let case = Case { stable: 4, ready, has, takeover: json!("v2") };
        let (_, takeover, lacking) = case.served();
        (takeover, lacking)
    };
    let waits = "v2 has 3 of the 4 ready pods that its takeover needs, so it waits for them".to_owned();
    let (shared, everything) =
        (json!({"buckets": [["v2", 50_000]]}), json!({"buckets": [["v2", 50_000]], "takeover": "v2"}));
    assert_eq!(of([3, 3], shared.clone()), (Value::Null, vec![waits]));
    assert_eq!(of([4, 3], shared), (json!("v2"), Vec::new()));
    assert_eq!(of([1, 4], everything), (json!("v2"), Vec::new()));
}
