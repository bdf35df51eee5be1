//! Objects of others are never touched.

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, all_answered, apply, await_reason, condition, get, kubectl, patch, release,
    reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("neighbours::a_foreign_virtual_service_is_unharmed_and_named", a_foreign_virtual_service),
    ("neighbours::a_foreign_destination_rule_keeps_its_policy", a_foreign_destination_rule),
    ("neighbours::the_policy_of_a_wider_rule_is_carried_on", a_wider_rule),
    ("neighbours::a_rule_that_would_hide_the_subsets_is_named", a_hiding_destination_rule),
    ("neighbours::a_foreign_wasm_plugin_is_unharmed", a_foreign_wasm_plugin),
    ("neighbours::the_older_release_keeps_the_host", the_older_release_keeps_the_host),
    ("neighbours::names_that_are_taken_stay_taken", names_that_are_taken),
    ("neighbours::a_service_of_another_namespace_is_out_of_reach", a_service_of_another_namespace),
    ("neighbours::a_host_that_no_administrator_lists_is_refused", a_host_that_no_administrator_lists),
    ("neighbours::a_sidecar_that_hides_the_service_from_clients_is_named", a_sidecar_that_hides_the_service),
];

fn canary() -> Value {
    json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": {"by": [{"cookie": "user"}]}})
}

/// All of an object that somebody could have changed.
fn whole(kind: &str, namespace: &str, name: &str) -> Result<Value, Box<dyn std::error::Error>> {
    let mut object = get(kind, namespace, name)?;
    // Set by Kubernetes for each writer; there is one writer, which is compared too.
    let managers: Vec<Value> =
        object["metadata"]["managedFields"].as_array().into_iter().flatten().map(|entry| entry["manager"].clone()).collect();
    object["metadata"]["managedFields"] = json!(managers);
    Ok(object)
}

fn a_foreign_virtual_service() -> Outcome {
    let space = "owned";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let route = json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "owners", "namespace": space},
        "spec": {"hosts": ["reviews"], "http": [{"timeout": "5s", "route": [{"destination": {"host": "reviews"}}]}]}});
    apply(&[route])?;
    let before = whole("virtualservice", space, "owners")?;
    let controller = Controller::start("owned", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    let message = await_reason(space, "reviews", "Accepted", "ForeignVirtualService")?;
    assert_eq!(
        message,
        "VirtualService owned/owners already routes a host of this release, and Istio would use only one of the two; either (a) delete it \
         and move its settings to spec.routing.http, or (b) set spec.routing.mode to `delegate` and let it delegate to \
         owned/reviews-serin, or (c) set it to `external` and match on the header x-serin-version there"
    );
    assert_eq!(whole("virtualservice", space, "owners")?, before);
    assert_eq!(get("crel", space, "reviews")?["status"]["phase"], "Refused");
    // One of another namespace that is not exported concerns nobody else.
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "private", "namespace": "default"},
        "spec": {"hosts": ["reviews.owned.svc.cluster.local"], "exportTo": ["."], "http": [{"route": [{"destination": {"host": "reviews.owned.svc.cluster.local"}}]}]}}),
    ])?;
    // What the message says helps.
    kubectl(&["delete", "virtualservice", "-n", space, "owners"], "")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    // One that comes later is not touched either, and the last good state stays.
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "later", "namespace": space},
        "spec": {"hosts": ["reviews.owned.svc.cluster.local"], "http": [{"route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]}}),
    ])?;
    let before = whole("virtualservice", space, "later")?;
    await_reason(space, "reviews", "Accepted", "ForeignVirtualService")?;
    assert_eq!(whole("virtualservice", space, "later")?, before);
    agree(space, &mut Client::of(space)?)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(whole("virtualservice", space, "later")?, before);
    drop(controller);
    Ok(())
}

fn a_foreign_destination_rule() -> Outcome {
    let space = "policy";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let policy = json!({"connectionPool": {"http": {"maxRequestsPerConnection": 77}}});
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "owners", "namespace": space},
        "spec": {"host": "reviews", "trafficPolicy": policy}}),
    ])?;
    let before = whole("destinationrule", space, "owners")?;
    let controller = Controller::start("policy", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    assert_eq!(whole("destinationrule", space, "owners")?, before);
    // The policy acts on the subsets too.
    for subset in ["v1", "v2"] {
        let name = format!("outbound|9080|{subset}|reviews.{space}.svc.cluster.local");
        assert!(cluster(&name)?.contains("\"max_requests_per_connection\": 77"), "{name}");
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(whole("destinationrule", space, "owners")?, before);
    drop(controller);
    Ok(())
}

fn a_wider_rule() -> Outcome {
    let space = "wide";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let rule = |limit: u32| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "wide", "namespace": "istio-system"},
            "spec": {"host": "*.wide.svc.cluster.local", "trafficPolicy": {"connectionPool": {"http": {"maxRequestsPerConnection": limit}}}}})
    };
    apply(&[rule(55)])?;
    let before = whole("destinationrule", "istio-system", "wide")?;
    let controller = Controller::start("wide", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    let name = format!("outbound|9080|v2|reviews.{space}.svc.cluster.local");
    assert!(cluster(&name)?.contains("\"max_requests_per_connection\": 55"));
    assert_eq!(whole("destinationrule", "istio-system", "wide")?, before);
    // It is followed.
    apply(&[rule(66)])?;
    serin_tests::mesh::eventually("the new policy acts", || {
        Ok(if cluster(&name)?.contains("\"max_requests_per_connection\": 66") { Ok(()) } else { Err("not yet".into()) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    kubectl(&["delete", "destinationrule", "-n", "istio-system", "wide"], "")?;
    drop(controller);
    Ok(())
}

/// The part of the sidecar's configuration that is about a cluster.
fn cluster(name: &str) -> Result<String, Box<dyn std::error::Error>> {
    let mut admin = serin_tests::http::Connection::open("127.0.0.1:15000".parse()?)?;
    let answer = admin.get("admin", "/config_dump?resource=dynamic_active_clusters", &[])?;
    let dump: Value = serde_json::from_slice(&answer.body)?;
    let found = dump["configs"].as_array().into_iter().flatten().find(|config| config["cluster"]["name"] == name);
    Ok(serde_json::to_string_pretty(found.ok_or_else(|| format!("no cluster {name}"))?)?)
}

fn a_hiding_destination_rule() -> Outcome {
    let space = "hidden";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("hidden", CONTROLLER, &[])?;
    // The client is in `shop`: whatever rule is there hides ours from it.
    let rule = |spec: Value| json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "mine", "namespace": "shop"}, "spec": spec});
    let policy = json!({"connectionPool": {"http": {"http2MaxRequests": 1000}}});
    let host = format!("reviews.{space}.svc.cluster.local");
    let rules = [
        (json!({"host": host, "subsets": [{"name": "v1", "labels": {"version": "v1"}}]}), "v2"),
        (json!({"host": host, "trafficPolicy": policy}), "v1, v2"),
        (json!({"host": "*.local", "trafficPolicy": policy}), "v1, v2"),
        (
            json!({"host": format!("*.{space}.svc.cluster.local"), "subsets": [{"name": "x", "labels": {"version": "v1"}}]}),
            "v1, v2",
        ),
    ];
    let requests = users();
    for (at, (spec, missing)) in rules.into_iter().enumerate() {
        // The first one is there before the release, the others come later.
        apply(&[rule(spec)])?;
        if at == 0 {
            apply(&[release(space, canary())])?;
        }
        let message = await_reason(space, "reviews", "Programmed", "SubsetsHidden")?;
        assert_eq!(
            message,
            format!(
                "clients in namespace shop are sent to any pod of the Service, since DestinationRule shop/mine hides the versions from them; \
                 add the subsets {missing} to it, or move its policy to the namespace of the Service"
            )
        );
        let mut client = Client::of(space)?;
        all_answered(&mut client, &requests)?;
        kubectl(&["delete", "destinationrule", "-n", "shop", "mine"], "")?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        agree(space, &mut Client::of(space)?)?;
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_foreign_wasm_plugin() -> Outcome {
    let space = "plugin";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    apply(&[json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin", "metadata": {"name": "owners", "namespace": "elsewhere-system"},
        "spec": {"url": "file:///does/not/exist.wasm", "failStrategy": "FAIL_OPEN", "selector": {"matchLabels": {"app": "nobody"}}, "pluginConfig": {"a": 1}}}),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere-system"}})].into_iter().rev().collect::<Vec<_>>())?;
    let before = whole("wasmplugin", "elsewhere-system", "owners")?;
    let controller = Controller::start("plugin", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut Client::of(space)?)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(whole("wasmplugin", "elsewhere-system", "owners")?, before);
    kubectl(&["delete", "namespace", "elsewhere-system", "--wait=false"], "")?;
    drop(controller);
    Ok(())
}

fn the_older_release_keeps_the_host() -> Outcome {
    let space = "two";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("two", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut second = release(space, json!({"canaries": [{"version": "v2", "weight": "100%"}]}));
    second["metadata"]["name"] = json!("younger");
    // Ages are whole seconds, by the API server's clock.
    let born = get("crel", space, "reviews")?["metadata"]["creationTimestamp"].clone();
    serin_tests::mesh::eventually("what is created now is younger", || {
        let dry = kubectl(&["create", "--dry-run=server", "-o", "json", "-f", "-"], &second.to_string())?;
        let now = serde_json::from_str::<Value>(&dry)?["metadata"]["creationTimestamp"].clone();
        Ok(if now.as_str() > born.as_str() { Ok(()) } else { Err(format!("{now}, {born}")) })
    })?;
    apply(&[second])?;
    let message = await_reason(space, "younger", "Accepted", "HostTaken")?;
    assert_eq!(message, "spec.service: release two/reviews has a host of this one already; delete one of the two");
    agree(space, &mut Client::of(space)?)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    await_reason(space, "younger", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", space, "younger", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn names_that_are_taken() -> Outcome {
    let space = "names";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "reviews-serin", "namespace": space},
        "spec": {"host": "somewhere.example.com"}}),
    ])?;
    let before = whole("destinationrule", space, "reviews-serin")?;
    let controller = Controller::start("names", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    let message = await_reason(space, "reviews", "Accepted", "NameTaken")?;
    assert_eq!(
        message,
        "DestinationRule names/reviews-serin exists already and was not created by Serin; rename or delete it"
    );
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(whole("destinationrule", space, "reviews-serin")?, before);
    let workload = json!({"images": {"reviews": "new"}});
    apply(&[release(space, json!({"canaries": [{"version": "v2", "workload": workload}]}))])?;
    kubectl(&["delete", "destinationrule", "-n", space, "reviews-serin"], "")?;
    let message = await_reason(space, "reviews", "Accepted", "DeploymentTaken")?;
    assert!(message.starts_with("spec.canaries[0].workload: Deployment reviews-v2 exists already"), "{message}");
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "5%"}]}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_service_of_another_namespace() -> Outcome {
    let space = "thief";
    apply(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})])?;
    let controller = Controller::start("thief", CONTROLLER, &[])?;
    apply(&[release(space, json!({"service": "reviews.shop.svc.cluster.local"}))])?;
    let message = await_reason(space, "reviews", "Accepted", "OtherNamespace")?;
    assert!(message.contains("is the host of a Service of another namespace"), "{message}");
    patch("crel", space, "reviews", &json!({"spec": {"service": "missing"}}))?;
    await_reason(space, "reviews", "Accepted", "ServiceNotFound")?;
    assert_eq!(condition(space, "reviews", "Accepted")?.0, "False");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_host_that_no_administrator_lists() -> Outcome {
    let space = "listed";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let server = json!({"port": {"number": 18080, "name": "http", "protocol": "HTTP"}, "hosts": ["*"]});
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "front", "namespace": space},
        "spec": {"selector": {"istio": "ingressgateway"}, "servers": [server]}}),
    ])?;
    let list = ["--gateway-hosts", "listed=*.listed.example.com,*=*.dev.example.com,bank=*"];
    let controller = Controller::start("listed", CONTROLLER, &list)?;
    let mut spec = canary();
    spec["routing"] = json!({"gateways": ["front"], "hosts": ["a.dev.example.com", "www.bank.example.com"]});
    apply(&[release(space, spec)])?;
    let message = await_reason(space, "reviews", "Accepted", "HostNotAllowed")?;
    assert_eq!(
        message,
        "spec.routing.hosts[1]: an administrator lets namespace listed have *.listed.example.com, *.dev.example.com at gateways, and not \
         `www.bank.example.com`; ask one to add it to --gateway-hosts, or correct the host"
    );
    patch(
        "crel",
        space,
        "reviews",
        &json!({"spec": {"routing": {"hosts": ["www.listed.example.com", "a.dev.example.com"]}}}),
    )?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    kubectl(&["delete", "gateways.networking.istio.io", "-n", space, "front"], "")?;
    drop(controller);
    Ok(())
}

fn a_sidecar_that_hides_the_service() -> Outcome {
    let space = "narrow-view";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("narrow-view", CONTROLLER, &[])?;
    apply(&[release(space, canary())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let sidecar = |hosts: &Value| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar", "metadata": {"name": "default", "namespace": space},
        "spec": {"egress": [{"hosts": hosts}]}})
    };
    apply(&[sidecar(&json!(["istio-system/*"]))])?;
    let message = await_reason(space, "reviews", "Programmed", "NotRouted")?;
    assert_eq!(
        message,
        "Sidecar narrow-view/default keeps the Service from clients of namespace narrow-view, whose requests go past the release, to any \
         version; add `./*` or the host to the `egress` of the Sidecar"
    );
    apply(&[sidecar(&json!(["istio-system/*", "./*"]))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
