//! Why a release is refused: what its text shows comes before what is around it.
#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_config::SplitDocument;
use serin_mesh::check::check;
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

/// What a check says of the release `shop/NAME` among these objects.
fn checked(objects: &[(Kind, Value)], name: &str) -> String {
    checked_by(objects, name, true)
}

/// The same of a controller that writes Deployments, or does not.
fn checked_by(objects: &[(Kind, Value)], name: &str, workloads: bool) -> String {
    let home = Istio { root_namespace: "istio-system".to_owned(), ..Istio::default() };
    checked_at(&home, objects, name, workloads)
}

/// The same in a mesh of these settings.
fn checked_at(home: &Istio, objects: &[(Kind, Value)], name: &str, workloads: bool) -> String {
    let mut store = store(Arc::new(home.clone()));
    for (kind, object) in objects {
        store.put(*kind, Object::from_json(object.clone()));
    }
    let resource = store.release(&ReleaseId::new("shop", name)).unwrap();
    let references = dereference(resource, &Reader::new(&store), home, &Hosts::default(), "serin-system");
    let pace = Pace { settle: Duration::ZERO, drain: Duration::ZERO };
    let settings = Settings { document: SplitDocument::new(Vec::new()), pace, workloads };
    let served = Served::Entry(None);
    let pass = Pass {
        resource,
        references: &references,
        life: &Life::default(),
        entry: None,
        served,
        settings: &settings,
        seen: Seen::default(),
        now: Instant::now(),
    };
    match check(&pass, &mut Memory::default()) {
        Ok(_) => "accepted".to_owned(),
        Err(refusal) => format!("{}: {refusal}", refusal.reason().name()),
    }
}

fn release(name: &str, created: &str, rules: &Value) -> (Kind, Value) {
    let metadata = json!({"namespace": "shop", "name": name, "creationTimestamp": created});
    let spec = json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "1%"}], "rules": rules});
    (Kind::CanaryRelease, json!({"metadata": metadata, "spec": spec}))
}

fn service(spec: &Value) -> (Kind, Value) {
    (Kind::Service, json!({"metadata": {"namespace": "shop", "name": "reviews"}, "spec": spec}))
}

/// Ready pods of the Service, with the versions that they say.
fn pods(pods: &[(&str, Option<&str>)]) -> Vec<(Kind, Value)> {
    let endpoint = |(name, _): &(&str, Option<&str>)| json!({"targetRef": {"name": name}});
    let endpoints: Vec<Value> = pods.iter().map(endpoint).collect();
    let labels = json!({"kubernetes.io/service-name": "reviews"});
    let slice = json!({"metadata": {"namespace": "shop", "name": "s", "labels": labels}, "endpoints": endpoints});
    let labelled = pods.iter().filter_map(|(name, version)| Some((name, (*version)?)));
    let pod = |(name, version)| json!({"metadata": {"namespace": "shop", "name": name, "labels": {"version": version}}});
    std::iter::once((Kind::EndpointSlice, slice)).chain(labelled.map(pod).map(|pod| (Kind::Pod, pod))).collect()
}

#[test]
fn a_first_route_waits_until_stable_has_answered() {
    let of = |ready: &[(&str, Option<&str>)]| {
        let objects = [service(&json!({"ports": [{"port": 80}]})), release("r", "2026-01-01T00:00:00Z", &json!([]))];
        checked(&objects.into_iter().chain(pods(ready)).collect::<Vec<_>>(), "r")
    };
    let refused = |seen: &str| {
        format!("StableNotFound: spec.stable.version: no ready pod of the Service has the label version=v1; {seen}")
    };
    assert_eq!(of(&[("a", Some("v1")), ("b", Some("v2"))]), "accepted");
    let others = refused("there are 1.0, v2; use one of them, or wait until its pods are ready");
    assert_eq!(of(&[("a", Some("1.0")), ("b", Some("v2"))]), others);
    let unlabelled = refused("its pods do not have the label `version`; add it to the template of their Deployment");
    assert_eq!(of(&[("a", None)]), unlabelled);
    assert_eq!(of(&[]), refused("none is ready; wait for its pods, or correct the version"));
}

#[test]
fn a_workload_is_refused_where_no_deployment_is_written() {
    let canaries = |workload: &Value| {
        let mut release = release("r", "2026-01-01T00:00:00Z", &json!([]));
        release.1["spec"]["canaries"] = json!([{"version": "v2", "weight": "1%"}, {"version": "v3", "workload": workload}]);
        release.1["spec"]["stable"] = json!({"version": "v1", "deployment": "reviews-v1"});
        release
    };
    let template = json!({"spec": {"containers": [{"name": "reviews", "image": "reviews:1"}]}});
    let metadata = json!({"namespace": "shop", "name": "reviews-v1"});
    let stable = (Kind::Deployment, json!({"metadata": metadata, "spec": {"template": template}}));
    let of = |workload: &Value, workloads: bool| {
        let objects = [service(&json!({"ports": [{"port": 80}]})), canaries(workload), stable.clone()];
        checked_by(&objects.into_iter().chain(pods(&[("a", Some("v1"))])).collect::<Vec<_>>(), "r", workloads)
    };
    let workload = json!({"images": {"reviews": "reviews:3"}});
    assert_eq!(of(&workload, true), "accepted");
    assert_eq!(of(&Value::Null, false), "accepted");
    assert_eq!(
        of(&workload, false),
        "WorkloadsOff: spec.canaries[1].workload: this cluster's administrator has switched `workload` off, so that Serin runs no pods; \
         leave it out and create the canary's Deployment yourself"
    );
}

#[test]
fn what_is_not_http_is_refused() {
    let of = |spec: &Value, ports: &[u16]| {
        let mut release = release("r", "2026-01-01T00:00:00Z", &json!([]));
        release.1["spec"]["ports"] = json!(ports);
        checked(&[service(spec), release].into_iter().chain(pods(&[("a", Some("v1"))])).collect::<Vec<_>>(), "r")
    };
    let ports =
        json!({"ports": [{"name": "tcp-db", "port": 3306}, {"name": "http", "port": 80}, {"name": "https", "port": 443}]});
    assert_eq!((of(&ports, &[]), of(&ports, &[80])), ("accepted".to_owned(), "accepted".to_owned()));
    assert_eq!(
        of(&ports, &[80, 3306]),
        "NotHttp: spec.ports[1]: port 3306 does not speak HTTP, by its name and appProtocol, so that no request could be routed; leave it \
         out, or name it `http` in the Service"
    );
    assert_eq!(
        of(&json!({"ports": [{"name": "redis", "port": 6379}]}), &[]),
        "NotHttp: spec.service: no port of the Service speaks HTTP, by name and appProtocol, so that no request could be routed; name one \
         `http`, or set its appProtocol"
    );
    assert_eq!(
        of(&json!({"type": "ExternalName", "externalName": "shop.example.com", "ports": [{"port": 80}]}), &[]),
        "NotHttp: spec.service: a Service of type ExternalName has no pods to tell apart; name the Service that has them"
    );
}

#[test]
fn a_mistake_in_the_text_is_told_also_where_the_host_is_taken() {
    let service =
        (Kind::Service, json!({"metadata": {"namespace": "shop", "name": "reviews"}, "spec": {"ports": [{"port": 80}]}}));
    let rule = |regex: &str| json!([{"name": "r", "when": [{"path": {"regex": regex}}], "version": "v2"}]);
    let older = release("older", "2026-01-01T00:00:00Z", &json!([]));
    let of = |rules: &Value| {
        checked(&[service.clone(), older.clone(), release("younger", "2026-02-01T00:00:00Z", rules)], "younger")
    };
    let taken = "HostTaken: spec.service: release shop/older has a host of this one already; delete one of the two";
    assert_eq!(of(&rule("/a")), taken);
    assert!(of(&rule("/a(")).starts_with("Invalid: spec.rules[0].when[0].path.regex: "), "{}", of(&rule("/a(")));
    assert_eq!(of(&json!([{"name": "r", "when": [{"path": {"exact": "/"}}]}])).split(": ").next(), Some("Invalid"));
    let ready = [service.clone(), older.clone()].into_iter().chain(pods(&[("a", Some("v1"))]));
    assert_eq!(checked(&ready.collect::<Vec<_>>(), "older"), "accepted");
    // Without its Service too.
    let alone = checked(&[release("younger", "2026-02-01T00:00:00Z", &rule("/a("))], "younger");
    assert!(alone.starts_with("Invalid: "), "{alone}");
    let alone = checked(&[release("younger", "2026-02-01T00:00:00Z", &json!([]))], "younger");
    assert!(alone.starts_with("ServiceNotFound: "), "{alone}");
}

#[test]
fn a_gateway_serves_a_host_to_those_whom_its_owner_names() {
    let with = |spec: Value, objects: &[(Kind, Value)]| {
        let mut whole = release("a", "2026-01-01T00:00:00Z", &json!([]));
        for (name, value) in spec.as_object().unwrap() {
            whole.1["spec"][name] = value.clone();
        }
        let mut all = vec![service(&json!({"ports": [{"name": "http", "port": 80}]})), whole];
        all.extend(pods(&[("p1", Some("v1"))]));
        all.extend(objects.iter().cloned());
        checked(&all, "a")
    };
    let gateway = |hosts: &[&str]| {
        let servers = json!([{"port": {"number": 80, "protocol": "HTTP"}, "hosts": hosts}]);
        (Kind::Gateway, json!({"metadata": {"namespace": "edge", "name": "public"}, "spec": {"servers": servers}}))
    };
    let routing = json!({"routing": {"gateways": ["edge/public"], "hosts": ["www.example.com"]}});
    assert_eq!(
        with(routing.clone(), &[]),
        "GatewayNotFound: spec.routing.gateways[0]: there is no Gateway edge/public; create it, or correct the name (NAMESPACE/NAME)"
    );
    assert_eq!(
        with(routing.clone(), &[gateway(&["bank/*", "*/open.example.com"])]),
        "HostNotServed: spec.routing.hosts[0]: edge/public does not serve `www.example.com` to routes of namespace shop; let its owner add \
         `shop/www.example.com` to the hosts of a server that speaks HTTP, or correct the host"
    );
    for hosts in [&["*"][..], &["shop/www.example.com"], &["bank/*", "*.example.com"]] {
        assert_eq!(with(routing.clone(), &[gateway(hosts)]), "accepted", "{hosts:?}");
    }
    // A cookie stays within the hosts of the release.
    let cookie = |domain: &str| {
        let sticky = json!({"by": [], "otherwise": {"issueCookie": {"name": "id", "domain": domain}}});
        with(json!({"routing": routing["routing"], "sticky": sticky}), &[gateway(&["*"])])
    };
    for domain in ["www.example.com", ".WWW.example.com", "a.www.example.com"] {
        assert_eq!(cookie(domain), "accepted", "{domain}");
    }
    for domain in ["example.com", "w.example.com", "xwww.example.com"] {
        let expected = format!(
            "Invalid: spec.sticky.otherwise.issueCookie.domain: browsers would send the cookie to all of `{domain}`, which is not a host of this \
             release; leave `domain` out, or list `{domain}` in spec.routing.hosts"
        );
        assert_eq!(cookie(domain), expected);
    }
    // Only a VirtualService that names the host takes its requests for HTTP from ours.
    let route = |hosts: &[&str], more: Value| {
        let mut route =
            json!({"metadata": {"namespace": "other", "name": "r"}, "spec": {"hosts": hosts, "http": [{"route": []}]}});
        for (name, value) in more.as_object().unwrap() {
            route["spec"][name] = value.clone();
        }
        with(json!({}), &[(Kind::VirtualService, route)])
    };
    let host = "reviews.shop.svc.cluster.local";
    assert!(route(&[host], json!({})).starts_with("ForeignVirtualService: "));
    assert!(route(&[host], json!({"exportTo": ["shop", "bank"]})).starts_with("ForeignVirtualService: "));
    // Ours is there, and Istio takes the older one of the two.
    let beside_ours = |created: &str| {
        let labels = json!({"app.kubernetes.io/managed-by": "serin", "serin.dev/release": "a"});
        let metadata =
            json!({"namespace": "shop", "name": "a-serin", "labels": labels, "creationTimestamp": "2026-03-01T00:00:00Z"});
        let ours = json!({"metadata": metadata, "spec": {"hosts": [host], "http": [{"route": []}]}});
        let metadata = json!({"namespace": "other", "name": "r", "creationTimestamp": created});
        let theirs = json!({"metadata": metadata, "spec": {"hosts": [host], "http": [{"route": []}]}});
        with(json!({}), &[(Kind::VirtualService, ours), (Kind::VirtualService, theirs)])
    };
    assert_eq!(beside_ours("2026-03-01T00:00:01Z"), "accepted");
    for created in ["2026-02-28T23:59:59Z", "2026-03-01T00:00:00Z"] {
        assert!(beside_ours(created).starts_with("ForeignVirtualService: "), "{created}");
    }
    for (hosts, more) in [
        (&["*.svc.cluster.local"][..], json!({})),
        (&["*"], json!({})),
        (&[host], json!({"exportTo": [".", "mallory"]})),
        (&[host], json!({"exportTo": ["~"]})),
        (&[host], json!({"http": null, "tcp": [{"route": []}]})),
    ] {
        assert_eq!(route(hosts, more.clone()), "accepted", "{hosts:?} {more}");
    }
}

#[test]
fn a_service_is_named_as_it_is() {
    let said = |name: &str| {
        let mut whole = release("a", "2026-01-01T00:00:00Z", &json!([]));
        whole.1["spec"]["service"] = json!(name);
        checked(&[service(&json!({"ports": [{"name": "http", "port": 80}]})), whole], "a")
    };
    for name in ["reviews.shop", "reviews.shop.svc"] {
        assert_eq!(
            said(name),
            format!(
                "ServiceNotFound: spec.service: this namespace has neither a Service nor a ServiceEntry for `{name}`; write `reviews`, the name of \
                 the Service in this namespace"
            )
        );
    }
    assert!(said("reviews.other").ends_with("; create one or correct the name"));
}

#[test]
fn a_subset_of_the_owners_is_not_taken_for_ours() {
    let said = |labels: Value, created: &str| {
        let all = [
            service(&json!({"ports": [{"name": "http", "port": 80}]})),
            release("a", "2026-01-01T00:00:00Z", &json!([])),
            (
                Kind::DestinationRule,
                json!({"metadata": {"namespace": "shop", "name": "owners", "creationTimestamp": created},
                    "spec": {"host": "reviews", "subsets": [{"name": "other", "labels": {"a": "b"}}, {"name": "v2", "labels": labels}]}}),
            ),
            (
                Kind::DestinationRule,
                json!({"metadata": {"namespace": "shop", "name": "a-serin", "creationTimestamp": "2026-03-01T00:00:00Z",
                    "labels": {"app.kubernetes.io/managed-by": "serin", "serin.dev/release": "a"}}, "spec": {"host": "reviews"}}),
            ),
        ];
        let all: Vec<_> = all.into_iter().chain(pods(&[("p1", Some("v1"))])).collect();
        checked(&all, "a")
    };
    assert_eq!(
        said(json!({"track": "canary"}), "2026-02-01T00:00:00Z"),
        "SubsetTaken: DestinationRule shop/owners has a subset `v2` without the label version=v2, and Istio would use it instead of Serin's; add the \
         label there, or rename the subset"
    );
    assert!(said(json!({"version": "v3"}), "2026-02-01T00:00:00Z").starts_with("SubsetTaken: "));
    assert_eq!(said(json!({"version": "v2", "track": "canary"}), "2026-02-01T00:00:00Z"), "accepted");
    // What came after ours does nothing.
    assert_eq!(said(json!({"track": "canary"}), "2026-03-01T00:00:01Z"), "accepted");
}

#[test]
fn hosts_are_those_of_the_clusters_domain() {
    let home = Istio { domain: "corp.local".parse().unwrap(), ..Istio::default() };
    let of = |host: &str| {
        let mut release = release("r", "2026-01-01T00:00:00Z", &json!([]));
        release.1["spec"]["service"] = json!(host);
        let objects = [service(&json!({"ports": [{"port": 80}]})), release];
        checked_at(&home, &objects.into_iter().chain(pods(&[("a", Some("v1"))])).collect::<Vec<_>>(), "r", true)
    };
    assert_eq!((of("reviews"), of("reviews.shop.svc.corp.local")), ("accepted".to_owned(), "accepted".to_owned()));
    assert!(of("reviews.bank.svc.corp.local").starts_with("OtherNamespace: "));
    assert!(of("ratings").contains("ratings.shop.svc.corp.local"));
    assert!(of("reviews.shop.svc.cluster.local").starts_with("ServiceNotFound: "));
}

#[test]
fn clients_that_no_route_reaches_are_told_of() {
    let gap = |spec: &Value, sidecars: &[(&str, Value)]| {
        let home = Istio { root_namespace: "istio-system".to_owned(), ..Istio::default() };
        let mut store = store(Arc::new(home.clone()));
        let named = |(namespace, egress): &(&str, Value)| {
            (Kind::Sidecar, json!({"metadata": {"namespace": namespace, "name": "default"}, "spec": {"egress": egress}}))
        };
        let objects = [service(spec), release("r", "2026-01-01T00:00:00Z", &json!([]))];
        for (kind, object) in objects.into_iter().chain(sidecars.iter().map(named)) {
            store.put(kind, Object::from_json(object));
        }
        let resource = store.release(&ReleaseId::new("shop", "r")).unwrap();
        let references = dereference(resource, &Reader::new(&store), &home, &Hosts::default(), "serin-system");
        let gap = references.site.gap(&["v1", "v2"], "x-serin-version");
        gap.map(|gap| format!("{}: {}", gap.reason.name(), gap.message))
    };
    let usual = json!({"ports": [{"port": 80}]});
    assert_eq!(gap(&usual, &[]), None);
    assert_eq!(
        gap(&json!({"clusterIP": "None", "ports": [{"port": 80}]}), &[]).unwrap(),
        "NotRouted: the Service is headless, so that a client of the mesh picks a pod itself, by DNS, and no route changes it; give the \
         Service a cluster IP"
    );
    let egress = |host: &str| json!([{"hosts": [host]}]);
    let cut = "NotRouted: Sidecar shop/default keeps the Service from clients of namespace shop, whose requests go past the release, to any \
               version; add `./*` or the host to the `egress` of the Sidecar";
    assert_eq!(gap(&usual, &[("shop", egress("istio-system/*"))]).as_deref(), Some(cut));
    // The namespace's own Sidecar counts, and else the one of the root namespace.
    assert_eq!(gap(&usual, &[("shop", egress("./*")), ("istio-system", egress("istio-system/*"))]), None);
    let of_root = cut.replace("shop/default", "istio-system/default");
    assert_eq!(gap(&usual, &[("istio-system", egress("istio-system/*"))]), Some(of_root));
    assert_eq!(gap(&usual, &[("istio-system", egress("./*")), ("other", egress("~/*"))]), None);
}
