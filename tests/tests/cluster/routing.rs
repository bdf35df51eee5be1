//! Managed, delegated and external routes; gateways, ports, waypoints.

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, counts, document, eventually, explained, get, kubectl,
    patch, release, reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("routing::a_gateway_and_the_mesh_agree_on_everybody", a_gateway_and_the_mesh_agree),
    ("routing::an_owners_route_delegates", an_owners_route_delegates),
    ("routing::an_owners_route_matches_on_the_header", an_owners_route_matches),
    ("routing::settings_of_a_route_are_carried_over", settings_are_carried_over),
    ("routing::only_the_ports_that_are_listed", only_listed_ports),
    ("routing::versions_that_are_no_dns_labels", versions_that_are_no_dns_labels),
    ("routing::a_waypoint_gets_its_own_filter", a_waypoint_gets_its_own_filter),
];

fn canary(routing: Value) -> Value {
    json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": {"by": [{"cookie": "user"}]}, "routing": routing})
}

pub(crate) fn gateway(space: &str, host: &str) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "front", "namespace": space},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": 18080, "name": "http", "protocol": "HTTP"}, "hosts": [host]}]}})
}

fn route(space: &str, spec: Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "owners", "namespace": space}, "spec": spec})
}

/// Waits until 1 000 users at the gateway get what `serin explain` says.
fn agree_at_gateway(space: &str, host: &str) -> Outcome {
    let requests = users();
    let mut client = None;
    eventually("the gateway agrees", || {
        if client.is_none() {
            client = Some(Client::at_gateway(host)?);
        }
        let Some(client) = client.as_mut() else { return Ok(Err("no client".into())) };
        let (told, seen) = (explained(space, &requests)?, counts(client, &requests)?);
        let different = told.iter().zip(&seen).filter(|(told, seen)| told != seen).count();
        Ok(if different == 0 { Ok(()) } else { Err(format!("{different} differ")) })
    })
}

fn a_gateway_and_the_mesh_agree() -> Outcome {
    let (space, host) = ("front", "front.example.com");
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("front", CONTROLLER, &[])?;
    apply(&[gateway(space, host), release(space, canary(json!({"gateways": ["front"], "hosts": [host]})))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    agree_at_gateway(space, host)?;
    // Without the gateways the route there goes.
    patch("crel", space, "reviews", &json!({"spec": {"routing": null}}))?;
    eventually("the route at the gateway is gone", || {
        let left = kubectl(&["get", "virtualservice", "-n", space, "-o", "name"], "")?;
        Ok(if left.trim() == "virtualservice.networking.istio.io/reviews-serin" { Ok(()) } else { Err(left) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn an_owners_route_delegates() -> Outcome {
    let (space, host) = ("delegate", "delegate.example.com");
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("delegate", CONTROLLER, &[])?;
    apply(&[gateway(space, host), release(space, canary(json!({"mode": "delegate"})))])?;
    let message = await_reason(space, "reviews", "Programmed", "NotDelegated")?;
    assert_eq!(
        message,
        "no VirtualService delegates to this release; add `delegate: {name: reviews-serin, namespace: delegate}` to a route of the host's"
    );
    let delegate = json!({"name": "reviews-serin", "namespace": space});
    apply(&[route(
        space,
        json!({"hosts": [host], "gateways": ["front"], "http": [
        {"match": [{"uri": {"prefix": "/reviews"}}, {"uri": {"prefix": "/api"}}], "delegate": delegate}]}),
    )])?;
    let owners = get("virtualservice", space, "owners")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree_at_gateway(space, host)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(get("virtualservice", space, "owners")?["spec"], owners["spec"]);
    kubectl(&["delete", "virtualservice,gateway", "-n", space, "--all"], "")?;
    drop(controller);
    Ok(())
}

fn an_owners_route_matches() -> Outcome {
    let space = "external";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("external", CONTROLLER, &[])?;
    let stable = json!({"route": [{"destination": {"host": "reviews", "subset": "v1"}}]});
    // The owner's own subsets, so that the route is good before the release is there.
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "owners", "namespace": space},
        "spec": {"host": "reviews", "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}}),
        route(space, json!({"hosts": ["reviews"], "http": [stable]})),
        release(space, canary(json!({"mode": "external"}))),
    ])?;
    let message = await_reason(space, "reviews", "Programmed", "NotRouted")?;
    assert_eq!(
        message,
        "no VirtualService of the host matches `x-serin-version` exactly on v2; add such routes, before the default one"
    );
    let v2 = json!({"match": [{"headers": {"x-serin-version": {"exact": "v2"}}}], "route": [{"destination": {"host": "reviews", "subset": "v2"}}]});
    apply(&[route(space, json!({"hosts": ["reviews"], "http": [v2, stable]}))])?;
    let owners = get("virtualservice", space, "owners")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    assert_eq!(
        kubectl(&["get", "virtualservice", "-n", space, "-o", "name"], "")?.trim(),
        "virtualservice.networking.istio.io/owners"
    );
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(get("virtualservice", space, "owners")?, owners);
    drop(controller);
    Ok(())
}

fn settings_are_carried_over() -> Outcome {
    let space = "settings";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("settings", CONTROLLER, &[])?;
    let http = json!({
        "timeout": "5s", "retries": {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx"},
        "fault": {"delay": {"percentage": {"value": 0.1}, "fixedDelay": "1ms"}}, "corsPolicy": {"allowOrigins": [{"exact": "https://example.com"}]},
        "mirrors": [{"destination": {"host": "reviews", "subset": "v1"}, "percentage": {"value": 1}}], "headers": {"response": {"set": {"x-by": "serin"}}},
    });
    apply(&[release(space, canary(json!({"http": http})))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let routes = get("virtualservice", space, "reviews-serin")?["spec"]["http"].clone();
    let routes = routes.as_array().cloned().unwrap_or_default();
    assert_eq!(routes.len(), 2);
    for route in &routes {
        for (name, setting) in http.as_object().into_iter().flatten() {
            let mut found = route[name].clone();
            // Beside what Serin tells by the routing header itself.
            let told = found.as_object_mut().and_then(|found| found.remove("request"));
            assert_eq!(told.is_some(), name == "headers");
            assert_eq!(&found, setting, "{name}");
        }
    }
    agree(space, &mut Client::of(space)?)?;
    let mut client = Client::of(space)?;
    let before = counts(&mut client, &users())?;
    patch("crel", space, "reviews", &json!({"spec": {"routing": {"http": {"redirect": {"uri": "/"}}}}}))?;
    let message = await_reason(space, "reviews", "Accepted", "Invalid")?;
    assert!(
        message.starts_with("spec.routing.http.redirect: `redirect` cannot be carried over; use timeout, retries"),
        "{message}"
    );
    // The last good split stays in effect.
    assert_eq!(counts(&mut client, &users())?, before);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn only_listed_ports() -> Outcome {
    let space = "ports";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let ports = json!([{"name": "http", "port": 9080, "targetPort": 8000}, {"name": "http-other", "port": 9081, "targetPort": 8000}]);
    patch("service", space, "reviews", &json!({"spec": {"ports": ports}}))?;
    let controller = Controller::start("ports", CONTROLLER, &[])?;
    let mut spec = canary(json!({}));
    spec["ports"] = json!([9090]);
    apply(&[release(space, spec.clone())])?;
    let message = await_reason(space, "reviews", "Accepted", "PortNotFound")?;
    assert_eq!(message, "spec.ports[0]: the Service has no port 9090; use one of 9080, 9081");
    patch("crel", space, "reviews", &json!({"spec": {"ports": [9080]}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    let mut other = serin_tests::http::Connection::open("127.0.0.1:9081".parse()?)?;
    let host = format!("reviews.{space}.svc.cluster.local:9081");
    let mut asked = || -> std::io::Result<std::collections::BTreeSet<String>> {
        let version = |_| Ok(other.get(&host, "/", &[("cookie", b"user=ann")])?.header("x-pod-version").unwrap_or_default());
        (0..40).map(version).collect()
    };
    assert_eq!(asked()?.len(), 2, "one person is sent to any pod, as without a release");
    // All ports, where none is listed.
    patch("crel", space, "reviews", &json!({"spec": {"ports": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    eventually("the other port is routed too", || {
        let versions = asked()?;
        Ok(if versions.len() == 1 { Ok(()) } else { Err(format!("{versions:?}")) })
    })?;
    agree(space, &mut Client::of(space)?)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn versions_that_are_no_dns_labels() -> Outcome {
    let space = "dots";
    reviews(space, &[("v1", 1)])?;
    let labels = json!({"app": "reviews", "version": "2.0_RC"});
    let mut canary_pods = serin_tests::mesh::deployment(space, "v2", 1);
    canary_pods["spec"]["selector"]["matchLabels"] = labels.clone();
    canary_pods["spec"]["template"]["metadata"]["labels"] = labels;
    let controller = Controller::start("dots", CONTROLLER, &[])?;
    apply(&[
        canary_pods,
        release(
            space,
            json!({"canaries": [{"version": "2.0_RC", "weight": "50%"}], "sticky": {"by": [{"cookie": "user"}]}}),
        ),
    ])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert!(agree(space, &mut Client::of(space)?)?["2.0_RC"] > 400);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_waypoint_gets_its_own_filter() -> Outcome {
    let space = "ambient";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    kubectl(&["label", "namespace", space, "istio.io/use-waypoint=waypoint"], "")?;
    let controller = Controller::start("ambient", CONTROLLER, &[])?;
    apply(&[release(space, canary(json!({})))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let plugin = get("wasmplugin", space, "serin-waypoint")?;
    assert_eq!(
        plugin["spec"]["targetRefs"],
        json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "waypoint"}])
    );
    assert_eq!((plugin["spec"].get("match"), plugin["spec"].get("selector")), (None, None));
    let document = document(space, "serin-waypoint")?;
    let releases: Vec<&Value> = document["splits"].as_array().into_iter().flatten().map(|split| &split["release"]).collect();
    assert_eq!(releases, ["ambient/reviews"]);
    kubectl(&["label", "namespace", space, "istio.io/use-waypoint-"], "")?;
    eventually("the waypoint's filter is gone", || {
        let left = kubectl(&["get", "wasmplugin", "-n", space, "-o", "name"], "")?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
