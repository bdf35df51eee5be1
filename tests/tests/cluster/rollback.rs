//! A rollback acts whatever is in its way, and what one tenant does is no trouble of another.

use std::io::{ErrorKind, Read};
use std::net::TcpListener;

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, all_answered, apply, await_reason, condition, counts, document, eventually, get,
    half, kubectl, patch, release, reviews, running, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("rollback::acts_whatever_else_is_wrong_with_the_release", acts_whatever_else_is_wrong),
    ("rollback::acts_while_another_tenant_moves_to_a_host_that_is_taken", acts_while_another_tenant_moves),
    ("rollback::acts_while_another_tenants_waypoint_cannot_be_written", acts_while_a_waypoint_cannot_be_written),
    ("rollback::acts_while_another_tenants_patterns_are_compiled", acts_while_patterns_are_compiled),
    ("rollback::acts_while_a_write_for_another_tenant_hangs", acts_while_a_write_hangs),
    ("rollback::a_claim_that_is_refused_blocks_nobody", a_claim_that_is_refused),
    ("rollback::a_forged_document_changes_nothing_at_a_start", a_forged_document),
    ("rollback::a_service_of_another_namespace_cannot_be_taken", a_service_of_another_namespace),
    ("rollback::a_route_that_passes_by_is_named", a_route_that_passes_by),
];

/// Waits until each of the users gets stable, and the status says so.
fn everybody_gets_stable(space: &str, client: &mut Client, why: &str) -> Outcome {
    let requests = users();
    eventually(&format!("everybody gets stable, though {why}"), || {
        let others = counts(client, &requests)?.iter().filter(|version| *version != "v1").count();
        Ok(if others == 0 { Ok(()) } else { Err(format!("{others} of 1000 do not")) })
    })?;
    eventually(&format!("the status says so, though {why}"), || {
        let (status, reason, message) = condition(space, "reviews", "TakenOver")?;
        let said = (status.as_str(), reason.as_str(), message.as_str());
        Ok(if said == ("False", "RolledBack", "stable v1 gets every request") { Ok(()) } else { Err(format!("{said:?}")) })
    })
}

/// A change of the spec beside the takeover, and what it is refused by.
type Mistake = (&'static str, Value, Option<(&'static str, &'static str)>);

fn acts_whatever_else_is_wrong() -> Outcome {
    let space = "rollback";
    let (controller, mut client, shares) = running(space, half())?;
    // Nobody may make a Deployment `reviews-v3` here.
    let rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]});
    let refuse = json!([{"expression": "object.metadata.name != 'reviews-v3'", "message": "no third version"}]);
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": space}});
    apply(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no-third"},
            "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, "validations": refuse}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-third"},
            "spec": {"policyName": "no-third", "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}}),
    ])?;
    eventually("the policy acts", || {
        let third = serin_tests::mesh::deployment(space, "v3", 1).to_string();
        Ok(match kubectl(&["create", "--dry-run=server", "-f", "-"], &third) {
            Ok(_) => Err("it was taken".to_owned()),
            Err(_) => Ok(()),
        })
    })?;
    let bad_rule = json!([{"name": "r", "when": [{"path": {"regex": "/a("}}], "version": "v2"}]);
    let third = json!({"version": "v3", "weight": "10%", "workload": {"images": {"reviews": "x"}}});
    let both = json!([{"version": "v2", "weight": "50%"}, third]);
    let elsewhere = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mallory"}});
    let host = format!("reviews.{space}.svc.cluster.local");
    let mistakes: [Mistake; 4] = [
        ("a pattern is wrong", json!({"rules": bad_rule}), Some(("Accepted", "Invalid"))),
        ("a port is not there", json!({"ports": [1]}), Some(("Accepted", "PortNotFound"))),
        ("a canary's clone is refused", json!({"canaries": both}), Some(("Programmed", "WriteFailed"))),
        (
            "the route's settings are refused",
            json!({"routing": {"http": {"timeout": "5"}}}),
            Some(("Programmed", "WriteFailed")),
        ),
    ];
    let good = json!({"takeover": null, "rules": null, "ports": null, "routing": null, "canaries": half()["canaries"]});
    for (why, mistake, refused) in mistakes {
        let mut spec = mistake;
        spec["takeover"] = json!("v1");
        patch("crel", space, "reviews", &json!({"spec": spec}))?;
        everybody_gets_stable(space, &mut client, why)?;
        if let Some((kind, reason)) = refused {
            await_reason(space, "reviews", kind, reason)?;
        }
        patch("crel", space, "reviews", &json!({"spec": good}))?;
        await_reason(space, "reviews", "TakenOver", "NoTakeover")?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        assert_eq!(agree(space, &mut client)?, shares, "{why}");
    }
    // What others put in the way.
    let foreign = [
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "x", "namespace": "mallory"},
            "spec": {"hosts": [host], "http": [{"route": [{"destination": {"host": host}}]}]}}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "x", "namespace": "mallory"},
            "spec": {"host": host, "subsets": [{"name": "other", "labels": {"version": "v1"}}]}}),
    ];
    apply(&[elsewhere])?;
    for (object, kind, reason) in
        // The route is younger than ours, so that Istio does not take it.
        [(&foreign[0], "Programmed", "Programmed"), (&foreign[1], "Programmed", "SubsetsHidden")]
    {
        apply(std::slice::from_ref(object))?;
        await_reason(space, "reviews", kind, reason)?;
        patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
        everybody_gets_stable(space, &mut client, reason)?;
        let kind = object["kind"].as_str().unwrap_or_default();
        kubectl(&["delete", kind, "-n", "mallory", "x"], "")?;
        patch("crel", space, "reviews", &json!({"spec": {"takeover": null}}))?;
        await_reason(space, "reviews", "TakenOver", "NoTakeover")?;
        assert_eq!(agree(space, &mut client)?, shares, "{reason}");
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    kubectl(&["delete", "validatingadmissionpolicybinding,validatingadmissionpolicy", "no-third"], "")?;
    kubectl(&["delete", "namespace", "mallory", "--wait=false"], "")?;
    drop(controller);
    Ok(())
}

fn acts_while_another_tenant_moves() -> Outcome {
    let (space, mover) = ("beside-mover", "mover");
    for space in [space, mover] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    let second = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other", "namespace": mover},
        "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080, "targetPort": 8000}]}});
    apply(&[second])?;
    let controller = Controller::start("mover", CONTROLLER, &[])?;
    let mut b = release(mover, half());
    (b["metadata"]["name"], b["spec"]["service"]) = (json!("b"), json!("other"));
    apply(&[release(space, half()), release(mover, half())])?;
    await_reason(mover, "reviews", "Programmed", "Programmed")?;
    apply(&[b])?;
    for (space, name) in [(space, "reviews"), (mover, "b")] {
        await_reason(space, name, "Programmed", "Programmed")?;
    }
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    // The older of two moves to the host of the younger, which has it: the mover waits, and the document is written.
    patch("crel", mover, "reviews", &json!({"spec": {"service": "other"}}))?;
    let message = await_reason(mover, "reviews", "Accepted", "HostTaken")?;
    assert_eq!(message, "spec.service: release mover/b has a host of this one already; delete one of the two");
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    everybody_gets_stable(space, &mut client, "another tenant has two releases for one host")?;
    // A new leader finds the same.
    assert_eq!(controller.terminate()?, Some(0));
    let controller = Controller::start("mover", CONTROLLER, &[])?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null}}))?;
    await_reason(space, "reviews", "TakenOver", "NoTakeover")?;
    agree(space, &mut client)?;
    await_reason(mover, "b", "Accepted", "Accepted")?;
    // The host becomes free, and the mover has it.
    kubectl(&["delete", "crel", "-n", mover, "b", "--timeout=60s"], "")?;
    await_reason(mover, "reviews", "Programmed", "Programmed")?;
    for space in [space, mover] {
        kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    }
    drop(controller);
    Ok(())
}

fn acts_while_a_waypoint_cannot_be_written() -> Outcome {
    let (space, evil) = ("beside-trap", "trap");
    for space in [space, evil] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    let allowed = ["--waypoint-namespaces", "no-such-namespace,other"];
    let controller = Controller::start("trap", CONTROLLER, &allowed)?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let labels = ["istio.io/use-waypoint=w", "istio.io/use-waypoint-namespace=no-such-namespace"];
    kubectl(&["label", "service", "-n", evil, "reviews", labels[0], labels[1]], "")?;
    apply(&[release(evil, half())])?;
    let message = await_reason(evil, "reviews", "Programmed", "WriteFailed")?;
    assert!(message.contains("no-such-namespace"), "{message}");
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    everybody_gets_stable(space, &mut client, "another tenant's waypoint cannot be written")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    // Deletion goes its whole way too.
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
    assert_eq!(left, "");
    // What no administrator lists is not written at all.
    kubectl(&["label", "service", "-n", evil, "reviews", "--overwrite", "istio.io/use-waypoint-namespace=default"], "")?;
    let message = await_reason(evil, "reviews", "Programmed", "WaypointNotAllowed")?;
    assert_eq!(
        message,
        "the Service uses the waypoint default/w of another namespace, which decides nothing: let an administrator list default in \
         --waypoint-namespaces, or use a waypoint of this namespace"
    );
    let plugins = kubectl(&["get", "wasmplugin", "-A", "-o", "jsonpath={.items[*].metadata.namespace}"], "")?;
    assert_eq!(plugins, "istio-system");
    kubectl(&["label", "service", "-n", evil, "reviews", "istio.io/use-waypoint-", "istio.io/use-waypoint-namespace-"], "")?;
    await_reason(evil, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", evil, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn acts_while_a_write_hangs() -> Outcome {
    let (space, slow) = ("beside-slow", "slow");
    for space in [space, slow] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    // Whoever asks this webhook waits for an answer until it gives up.
    let webhook = TcpListener::bind("127.0.0.1:0")?;
    let address = webhook.local_addr()?;
    let rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]});
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": slow}});
    apply(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "slow"},
        "webhooks": [{"name": "slow.example.com", "clientConfig": {"url": format!("https://{address}/")}, "rules": [rule],
            "namespaceSelector": here, "timeoutSeconds": 10, "sideEffects": "None", "admissionReviewVersions": ["v1"]}]}),
    ])?;
    let controller =
        Controller::start("slow", CONTROLLER, &["--lease-seconds", "60", "--settle-ms", "200", "--drain-ms", "300"])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;

    let workload = json!({"images": {"reviews": "examples-bookinfo-reviews-v3:1.16.2"}});
    apply(&[release(slow, json!({"canaries": [{"version": "v3", "weight": "50%", "workload": workload}]}))])?;
    let (mut asked, _) = webhook.accept()?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    let requests = users();
    eventually("everybody gets stable, though a write hangs", || {
        let others = counts(&mut client, &requests)?.iter().filter(|version| *version != "v1").count();
        Ok(if others == 0 { Ok(()) } else { Err(format!("{others} of 1000 do not")) })
    })?;
    // Whoever asked still waits: only then this was no matter of waiting.
    asked.set_nonblocking(true)?;
    let mut hello = Vec::new();
    let end = asked.read_to_end(&mut hello);
    assert!(end.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the write had ended by then");
    kubectl(&["delete", "validatingwebhookconfiguration", "slow"], "")?;
    drop((asked, webhook));
    everybody_gets_stable(space, &mut client, "a write hung")?;
    await_reason(slow, "reviews", "Ready", "AllReady")?;
    for space in [space, slow] {
        kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    }
    drop(controller);
    Ok(())
}

fn acts_while_patterns_are_compiled() -> Outcome {
    let (space, evil) = ("beside-patterns", "patterns");
    for space in [space, evil] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    let controller = Controller::start("patterns", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let rule = |n: usize| {
        let regex = format!("(a|b)*a(a|b){{11}}x{n}");
        json!({"name": format!("r{n}"), "when": [{"path": {"regex": format!("/{regex}")}}], "version": "v2"})
    };
    let mut spec = half();
    // So many that no machine is done while the other release changes.
    spec["rules"] = (0..200).map(rule).collect();
    apply(&[release(evil, spec)])?;
    let observed = |space: &str| -> Result<Value, Box<dyn std::error::Error>> {
        Ok(get("crel", space, "reviews")?["status"]["observedGeneration"].clone())
    };
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    everybody_gets_stable(space, &mut client, "another tenant's patterns are compiled")?;
    // Not only a rollback.
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null, "canaries": [{"version": "v2", "weight": "10%"}]}}))?;
    await_reason(space, "reviews", "TakenOver", "NoTakeover")?;
    agree(space, &mut client)?;
    assert_eq!(observed(evil)?, Value::Null, "the patterns were compiled too soon for this test");
    kubectl(&["delete", "crel", "-n", evil, "reviews", "--timeout=60s"], "")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_claim_that_is_refused() -> Outcome {
    let (squat, owner) = ("squat", "shopns");
    reviews(owner, &[("v1", 1), ("v2", 1)])?;
    apply(&[json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": squat}})])?;
    let controller = Controller::start("squat", CONTROLLER, &[])?;
    let routing = json!({"gateways": ["istio-system/public"], "hosts": ["www.shop.example.com"]});
    let servers = json!([{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["www.shop.example.com"]}]);
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "public", "namespace": "istio-system"},
        "spec": {"selector": {"istio": "nobody"}, "servers": servers}}),
    ])?;
    let mut squatter = release(squat, half());
    (squatter["spec"]["service"], squatter["spec"]["routing"]) = (json!("nosuchservice"), routing.clone());
    apply(&[squatter])?;
    await_reason(squat, "reviews", "Accepted", "ServiceNotFound")?;
    let mut owners = release(owner, half());
    owners["spec"]["routing"] = routing;
    apply(&[owners])?;
    await_reason(owner, "reviews", "Programmed", "Programmed")?;
    agree(owner, &mut Client::of(owner)?)?;
    assert_eq!(get("virtualservice", owner, "reviews-serin-gateway")?["spec"]["hosts"], json!(["www.shop.example.com"]));
    // The owner of the gateway says who may have the host; what is published stays until then.
    let only = json!([{"port": {"number": 80, "name": "http", "protocol": "HTTP"}, "hosts": ["bank/*"]}]);
    patch("gateway.networking.istio.io", "istio-system", "public", &json!({"spec": {"servers": only}}))?;
    await_reason(owner, "reviews", "Accepted", "HostNotServed")?;
    agree(owner, &mut Client::of(owner)?)?;
    for space in [squat, owner] {
        kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    }
    kubectl(&["delete", "gateway.networking.istio.io", "-n", "istio-system", "public"], "")?;
    drop(controller);
    Ok(())
}

fn a_forged_document() -> Outcome {
    let (space, forger) = ("forged", "aaa");
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("forged", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    patch("crel", space, "reviews", &json!({"spec": {"paused": true}}))?;
    eventually("it is paused", || {
        let phase = get("crel", space, "reviews")?["status"]["phase"].clone();
        Ok(if phase == "Paused" { Ok(()) } else { Err(phase.to_string()) })
    })?;
    let mut client = Client::of(space)?;
    let requests = users();
    let before = counts(&mut client, &requests)?;
    assert_eq!(controller.terminate()?, Some(0));
    // Labels and content of Serin's, in a namespace of the forger's, and a finalizer that keeps it.
    let split = json!({"release": format!("{space}/reviews"), "hosts": [format!("reviews.{space}.svc.cluster.local")], "stable": "v1",
        "buckets": [["v2", 100_000]], "sticky": {"by": [{"cookie": "user"}]}});
    let forged = json!({"version": 1, "splits": [split]}).to_string();
    let labels = json!({"app.kubernetes.io/managed-by": "serin", "serin.dev/release": "all"});
    let plugin = |name: &str| {
        json!({"apiVersion": "extensions.istio.io/v1alpha1", "kind": "WasmPlugin",
            "metadata": {"name": name, "namespace": forger, "labels": labels, "finalizers": ["example.com/mine"]},
            "spec": {"url": "file:///none.wasm", "selector": {"matchLabels": {"app": "none"}}, "pluginConfig": {"document": forged}}})
    };
    apply(&[
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": forger}}),
        plugin("serin"),
        plugin("serin-w"),
    ])?;
    let controller = Controller::start("forged", CONTROLLER, &[])?;
    eventually("it leads", || Ok(if controller.log().contains("leading") { Ok(()) } else { Err("not yet".to_owned()) }))?;
    // A change of another release makes it publish.
    patch("crel", space, "reviews", &json!({"metadata": {"annotations": {"touched": "1"}}}))?;
    eventually("it has looked at all", || {
        Ok(if controller.metric("serin_queue_length", "")? == 0.0 { Ok(()) } else { Err("it has not".to_owned()) })
    })?;
    let published = document("istio-system", "serin")?["splits"][0]["buckets"].clone();
    assert_eq!(published, json!([["v2", 50_000]]));
    assert_eq!(counts(&mut client, &requests)?, before);
    for name in ["serin", "serin-w"] {
        patch("wasmplugin", forger, name, &json!({"metadata": {"finalizers": null}}))?;
    }
    kubectl(&["delete", "wasmplugin", "-n", forger, "--all", "--timeout=60s"], "")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_service_of_another_namespace() -> Outcome {
    let (thief, owner) = ("robber", "robbed");
    for space in [thief, owner] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    let host = format!("reviews.{owner}.svc.cluster.local");
    let entry = json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "se", "namespace": thief},
        "spec": {"hosts": [host], "exportTo": ["."], "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}], "resolution": "DNS"}});
    let controller = Controller::start("robber", CONTROLLER, &[])?;
    let at_service = json!({"service": host});
    let at_gateway = json!({"routing": {"gateways": ["robber/own"], "hosts": [host]}});
    apply(&[entry])?;
    for more in [at_service, at_gateway] {
        let mut spec = half();
        for (name, value) in more.as_object().into_iter().flatten() {
            spec[name] = value.clone();
        }
        apply(&[release(thief, spec)])?;
        let message = await_reason(thief, "reviews", "Accepted", "OtherNamespace")?;
        assert_eq!(
            message,
            format!("spec: `{host}` is the host of a Service of another namespace; create the release there")
        );
        let left = kubectl(&["get", "virtualservice,destinationrule", "-n", thief, "-o", "name"], "")?;
        assert_eq!(left, "");
        kubectl(&["delete", "crel", "-n", thief, "reviews", "--timeout=60s"], "")?;
    }
    all_answered(&mut Client::of(owner)?, &users())?;
    drop(controller);
    Ok(())
}

fn a_route_that_passes_by() -> Outcome {
    let space = "passed";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("passed", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let route = |destination: Value| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "front", "namespace": space},
            "spec": {"hosts": ["front.example.com"], "gateways": ["istio-system/public"], "http": [{"route": [{"destination": destination}]}]}})
    };
    apply(&[route(json!({"host": "reviews"}))])?;
    let message = await_reason(space, "reviews", "Programmed", "NotRouted")?;
    assert_eq!(
        message,
        format!(
            "VirtualService {space}/front sends requests to the whole Service, to any version: list its gateways and hosts in spec.routing and \
             delete it, or let it delegate to reviews-serin, or set spec.routing.mode to `external` and route by the \
             header x-serin-version there"
        )
    );
    // A version is a version, whoever routes to it.
    apply(&[route(json!({"host": "reviews", "subset": "v1"}))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "virtualservice", "-n", space, "front"], "")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
