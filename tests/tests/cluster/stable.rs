//! No route without a stable that answers, and no canary before its route.

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, all_answered, apply, await_reason, condition, counts, deployment, eventually,
    get, half, kubectl, patch, release, reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("stable::a_label_that_no_pod_has_changes_nothing", a_label_that_no_pod_has),
    ("stable::a_label_that_changes_under_a_release_leaves_nobody_without_an_answer", a_label_that_changes),
    ("stable::a_service_that_does_not_speak_http_is_refused", a_service_without_http),
    ("stable::a_canary_from_an_image_gets_nobody_before_its_route", a_canary_before_its_route),
];

fn a_label_that_no_pod_has() -> Outcome {
    let space = "typo";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("typo", CONTROLLER, &[])?;
    let mut spec = half();
    spec["stable"] = json!({"version": "1.0"});
    apply(&[release(space, spec)])?;
    let message = "spec.stable.version: no ready pod of the Service has the label version=1.0; there are v1, v2; use one of them, or wait \
                   until its pods are ready";
    eventually("both versions are named", || {
        // Endpoints come one by one.
        let told = await_reason(space, "reviews", "Accepted", "StableNotFound")?;
        Ok(if told == message { Ok(()) } else { Err(told) })
    })?;
    let status = get("crel", space, "reviews")?["status"].clone();
    assert_eq!((status["reason"].as_str(), status["message"].as_str()), (Some("StableNotFound"), Some(message)));
    let line = kubectl(&["get", "crel", "-n", space, "--no-headers"], "")?;
    assert_eq!(line.split_whitespace().take(4).collect::<Vec<_>>(), ["reviews", "1.0", "Refused", "StableNotFound"]);
    let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
    assert_eq!(left, "");
    let mut client = Client::of(space)?;
    // Each is answered, as before the release.
    all_answered(&mut client, &users())?;
    patch("crel", space, "reviews", &json!({"spec": {"stable": {"version": "v1"}}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let shares = agree(space, &mut client)?;
    // A running release keeps its stable.
    patch("crel", space, "reviews", &json!({"spec": {"stable": {"version": "v9"}}}))?;
    await_reason(space, "reviews", "Accepted", "StableNotFound")?;
    let mut again = std::collections::BTreeMap::new();
    for version in counts(&mut client, &users())? {
        *again.entry(version).or_insert(0) += 1;
    }
    assert_eq!(again, shares);
    // Once its pods are there it is taken.
    apply(&[deployment(space, "v9", 1)])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let shares = agree(space, &mut client)?;
    assert_eq!(shares.keys().collect::<Vec<_>>(), ["v2", "v9"]);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_label_that_changes() -> Outcome {
    let space = "relabel";
    reviews(space, &[("v1", 1)])?;
    let controller = Controller::start("relabel", CONTROLLER, &[])?;
    apply(&[release(space, json!({}))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    assert_eq!(agree(space, &mut client)?.keys().collect::<Vec<_>>(), ["v1"]);
    // A chart whose label is its version: the pods that were stable go, and come back under another label.
    apply(&[deployment(space, "v1-1", 1)])?;
    kubectl(&["rollout", "status", "-n", space, "deployment/reviews-v1-1", "--timeout=60s"], "")?;
    kubectl(&["delete", "deployment", "-n", space, "reviews-v1", "--wait=true"], "")?;
    let message = await_reason(space, "reviews", "Ready", "StableRelabelled")?;
    assert_eq!(
        message,
        "no pod has stable's label version=v1 any more, and v1-1 is ready: what would go to stable goes to any pod of the Service until \
         spec.stable.version names a version that is there"
    );
    all_answered(&mut client, &users())?;
    patch("crel", space, "reviews", &json!({"spec": {"stable": {"version": "v1-1"}}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    assert_eq!(agree(space, &mut client)?.keys().collect::<Vec<_>>(), ["v1-1"]);
    // The default route; that of v1 may still be there for a while, by the header.
    let http = get("virtualservice", space, "reviews-serin")?["spec"]["http"].as_array().cloned().unwrap_or_default();
    assert_eq!(http.last().map(|http| http["route"][0]["destination"]["subset"].clone()), Some(json!("v1-1")));
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_service_without_http() -> Outcome {
    let space = "tcp";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let service = |spec: Value| json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews", "namespace": space}, "spec": spec});
    let port =
        |name: &str| json!({"selector": {"app": "reviews"}, "ports": [{"name": name, "port": 9080, "targetPort": 8000}]});
    let controller = Controller::start("tcp", CONTROLLER, &[])?;
    apply(&[service(port("tcp-web")), release(space, half())])?;
    let message = await_reason(space, "reviews", "Accepted", "NotHttp")?;
    assert_eq!(
        message,
        "spec.service: no port of the Service speaks HTTP, by name and appProtocol, so that no request could be routed; name one `http`, or \
         set its appProtocol"
    );
    apply(&[service(port("http"))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_canary_before_its_route() -> Outcome {
    let space = "from-image";
    reviews(space, &[("v1", 2)])?;
    let controller = Controller::start("from-image", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    let workload = json!({"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}, "replicas": 2});
    let (requests, mut rounds) = (users(), 0);
    let first = &requests[..100];
    all_answered(&mut client, first)?;
    apply(&[release(space, json!({"canaries": [{"version": "v2", "weight": "0%", "workload": workload}]}))])?;
    loop {
        assert!(counts(&mut client, first)?.iter().all(|version| version == "v1"), "after {rounds} rounds");
        rounds += 1;
        let there = get("deployment", space, "reviews-v2").is_ok_and(|found| found["status"]["readyReplicas"] == 2);
        if there && condition(space, "reviews", "Programmed").is_ok_and(|(status, ..)| status == "True") {
            break;
        }
        assert!(rounds < 2000, "{}", controller.log());
    }
    for _ in 0..5 {
        assert!(counts(&mut client, first)?.iter().all(|version| version == "v1"));
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
