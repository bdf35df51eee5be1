//! Canaries made from an image, and versions that are not ready.

use serde_json::json;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, Watcher, agree, apply, await_reason, condition, counts, document, eventually, get,
    kubectl, patch, release, reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("workloads::a_canary_is_made_from_an_image_and_goes_with_the_release", a_canary_is_made_from_an_image),
    ("workloads::a_canary_without_endpoints_gets_nothing_and_its_users_come_back", a_canary_without_endpoints_gets_nothing),
    ("workloads::a_weight_grows_with_the_ready_pods_that_carry_it", a_weight_grows_with_ready_pods),
    ("workloads::a_canary_waits_for_its_least_number_of_pods", a_canary_waits_for_its_least_number),
    ("workloads::the_number_of_pods_can_be_left_to_others", the_number_of_pods_can_be_left),
    ("workloads::a_canary_differs_by_a_patch", a_canary_differs_by_a_patch),
    ("workloads::endpoints_without_pods_count_too", endpoints_without_pods),
    ("workloads::stable_without_endpoints_promotes_nobody", stable_without_endpoints_promotes_nobody),
    ("workloads::a_canary_that_became_stable_keeps_its_pods", a_canary_that_became_stable_keeps_its_pods),
];

const STICKY: fn() -> serde_json::Value = || json!({"by": [{"cookie": "user"}]});

fn a_canary_is_made_from_an_image() -> Outcome {
    let space = "image";
    reviews(space, &[("v1", 2)])?;
    let controller = Controller::start("image", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    let workload = json!({"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}, "replicas": 1});
    apply(&[release(
        space,
        json!({"canaries": [{"version": "v2", "weight": "50%", "workload": workload}], "sticky": STICKY()}),
    )])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let watcher = Watcher::start(space)?;
    assert!(agree(space, &mut client)?["v2"] > 400);
    let clone = get("deployment", space, "reviews-v2")?;
    assert_eq!(clone["spec"]["template"]["spec"]["containers"][0]["image"], "examples-bookinfo-reviews-v2:1.16.2");
    assert_eq!(clone["spec"]["selector"]["matchLabels"], json!({"app": "reviews", "version": "v2"}));
    // Who changes the clone is overruled.
    patch(
        "deployment",
        space,
        "reviews-v2",
        &json!({"spec": {"template": {"spec": {"containers": [{"name": "reviews", "image": "other"}]}}}}),
    )?;
    eventually("the image is back", || {
        let image = get("deployment", space, "reviews-v2")?["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        Ok(if image == "examples-bookinfo-reviews-v2:1.16.2" { Ok(()) } else { Err(image.to_string()) })
    })?;
    let images = json!({"images": {"wrong": "x"}});
    patch(
        "crel",
        space,
        "reviews",
        &json!({"spec": {"canaries": [{"version": "v2", "weight": "60%", "workload": images}]}}),
    )?;
    let message = await_reason(space, "reviews", "Accepted", "Invalid")?;
    assert_eq!(
        message,
        "spec.canaries[0].workload.images: stable's Deployment has no container `wrong`; use one of reviews"
    );
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let left = kubectl(&["get", "deployments", "-n", space, "-o", "name"], "")?;
    assert_eq!(left.trim(), "deployment.apps/reviews-v1");
    drop(controller);
    Ok(())
}

/// A Service with so many pods of v1, and a release whose canary v2 Serin runs.
fn cloned(space: &str, stable: u32, canary: &serde_json::Value) -> Result<Controller, Box<dyn std::error::Error>> {
    reviews(space, &[("v1", stable)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let mut with_version = canary.clone();
    with_version["version"] = json!("v2");
    apply(&[release(space, json!({"canaries": [with_version], "sticky": STICKY()}))])?;
    Ok(controller)
}

fn of_clone(space: &str, path: &str) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    Ok(get("deployment", space, "reviews-v2")?.pointer(path).cloned().unwrap_or_default())
}

fn share_of_canary(space: &str) -> Result<serde_json::Value, Box<dyn std::error::Error>> {
    Ok(get("crel", space, "reviews")?["status"]["canaries"].clone())
}

fn a_weight_grows_with_ready_pods() -> Outcome {
    let space = "capacity";
    let image = json!({"reviews": "examples-bookinfo-reviews-v2:1.16.2"});
    let canary =
        |weight: &str| json!({"version": "v2", "weight": weight, "workload": {"images": image, "replicas": "share"}});
    let controller = cloned(space, 2, &canary("25%"))?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!((of_clone(space, "/spec/replicas")?, share_of_canary(space)?), (json!(1), json!("v2=25%")));

    // Nobody may have another pod of the canary.
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]});
    let refuse = json!([{"expression": "object.metadata.labels['version'] != 'v2'", "message": "no more pods"}]);
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": space}});
    apply(&[
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no-more"},
            "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, "validations": refuse}}),
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "no-more"},
            "spec": {"policyName": "no-more", "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}}),
    ])?;
    eventually("the policy acts", || {
        let probe = kubectl(&["run", "-n", space, "probe", "--image=probe", "--labels=version=v2", "--dry-run=server"], "");
        Ok(if probe.is_err() { Ok(()) } else { Err("it was taken".to_owned()) })
    })?;
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [canary("75%")]}}))?;
    let message = eventually("the status says why pods are missing", || {
        let (_, reason, message) = condition(space, "reviews", "Ready")?;
        Ok(if reason == "PodsMissing" && message.contains("no more pods") { Ok(message) } else { Err(message) })
    })?;
    let said = "v2 has 1 of the 2 ready pods that 75% of the requests need, so it gets 50% (Deployment reviews-v2 has 1 of 2 pods ready: pods ";
    assert!(message.starts_with(said), "{message}");
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(share_of_canary(space)?, "v2=50%");
    let mut client = Client::of(space)?;
    let few = agreed(space, &mut client)?;

    for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
        kubectl(&["delete", kind, "no-more"], "")?;
    }
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(share_of_canary(space)?, "v2=75%");
    let many = agreed(space, &mut client)?;
    assert!(few.iter().zip(&many).all(|(few, many)| few == "v1" || many == "v2"), "nobody falls back");

    // All of stable's pods before all of its people, also where stable grows; and the rollback at once.
    kubectl(&["scale", "-n", space, "deployment/reviews-v1", "--replicas=4"], "")?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v2"}}))?;
    await_reason(space, "reviews", "TakenOver", "TakenOver")?;
    assert_eq!(of_clone(space, "/status/readyReplicas")?, 4);
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    await_reason(space, "reviews", "TakenOver", "RolledBack")?;
    eventually("the canary has the pods of its weight again", || {
        let pods = of_clone(space, "/spec/replicas")?;
        Ok(if pods == 3 { Ok(()) } else { Err(pods.to_string()) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// What each user gets, once that is what `serin explain` says.
fn agreed(space: &str, client: &mut Client) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    agree(space, client)?;
    counts(client, &users())
}

fn a_canary_waits_for_its_least_number() -> Outcome {
    let space = "least";
    let image = json!({"reviews": "examples-bookinfo-reviews-v2:1.16.2"});
    let workload = json!({"images": image, "replicas": 1});
    let controller = cloned(space, 1, &json!({"weight": "50%", "minReady": 2, "workload": workload}))?;
    let message = await_reason(space, "reviews", "Ready", "PodsMissing")?;
    assert_eq!(
        message,
        "v2 has 1 of the 2 ready pods that `minReady` asks for, so it gets nobody (Deployment reviews-v2 has 1 of 1 pods ready)"
    );
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(share_of_canary(space)?, "v2=0%");
    patch(
        "crel",
        space,
        "reviews",
        &json!({"spec": {"canaries": [
        {"version": "v2", "weight": "50%", "minReady": 2, "workload": {"images": image, "replicas": 2}}]}}),
    )?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(share_of_canary(space)?, "v2=50%");
    let mut client = Client::of(space)?;
    assert!(agree(space, &mut client)?["v2"] > 400);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn the_number_of_pods_can_be_left() -> Outcome {
    let space = "scaled";
    let image = json!({"reviews": "examples-bookinfo-reviews-v2:1.16.2"});
    let controller = cloned(space, 1, &json!({"weight": "50%", "workload": {"images": image, "replicas": 3}}))?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    let watcher = Watcher::start(space)?;
    patch(
        "crel",
        space,
        "reviews",
        &json!({"spec": {"canaries": [{"version": "v2", "weight": "50%", "workload": {"images": image}}]}}),
    )?;
    eventually("the number is nobody's but the scaler's", || {
        let annotations = of_clone(space, "/metadata/annotations")?;
        Ok(if annotations["serin.dev/sized"].is_null() { Ok(()) } else { Err(annotations.to_string()) })
    })?;
    assert_eq!((of_clone(space, "/spec/replicas")?, of_clone(space, "/status/readyReplicas")?), (json!(3), json!(3)));
    // Whoever scales it is left alone, and may scale it down too.
    for pods in [4, 2] {
        kubectl(&["scale", "-n", space, "deployment/reviews-v2", &format!("--replicas={pods}")], "")?;
        patch(
            "crel",
            space,
            "reviews",
            &json!({"spec": {"canaries": [
            {"version": "v2", "weight": format!("5{pods}%"), "workload": {"images": image}}]}}),
        )?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        assert_eq!(of_clone(space, "/spec/replicas")?, pods);
    }
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_canary_differs_by_a_patch() -> Outcome {
    let space = "patched";
    let patched = json!({
        "containers": [{"name": "reviews", "env": [{"name": "MODE", "value": "new"}]}],
        "initContainers": [{"name": "migrate", "image": "migrate:2"}],
    });
    let controller = cloned(space, 1, &json!({"weight": "50%", "workload": {"patch": patched}}))?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    let pod = of_clone(space, "/spec/template/spec")?;
    assert_eq!(pod["containers"][0]["env"], json!([{"name": "MODE", "value": "new"}]));
    assert_eq!(pod["initContainers"][0]["image"], "migrate:2");
    let stable = get("deployment", space, "reviews-v1")?["spec"]["template"]["spec"].clone();
    assert_eq!(
        (&pod["containers"][0]["image"], &stable["initContainers"]),
        (&stable["containers"][0]["image"], &json!(null))
    );
    // What Kubernetes does not know in a pod is the trouble of this release, in its words. Weights act all the same.
    patch(
        "crel",
        space,
        "reviews",
        &json!({"spec": {"canaries": [
        {"version": "v2", "weight": "60%", "workload": {"patch": {"dnsPolice": "Default"}}}]}}),
    )?;
    let message = await_reason(space, "reviews", "Programmed", "WriteFailed")?;
    assert!(message.contains("dnsPolice"), "{message}");
    eventually("the weight acts", || {
        let share = share_of_canary(space)?;
        Ok(if share == "v2=60%" { Ok(()) } else { Err(share.to_string()) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_canary_without_endpoints_gets_nothing() -> Outcome {
    let space = "empty";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("empty", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    let rules = json!([{"name": "testers", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"}]);
    apply(&[release(space, json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": STICKY(), "rules": rules}))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let requests = users();
    let before = counts(&mut client, &requests)?;

    kubectl(&["scale", "-n", space, "deployment/reviews-v2", "--replicas=0"], "")?;
    let message = await_reason(space, "reviews", "Ready", "CanaryNotReady")?;
    assert_eq!(
        message,
        "v2 has no ready endpoint (Deployment reviews-v2 has 0 of 0 pods ready), so stable gets its requests until it has one"
    );
    eventually("everybody is on stable", || {
        Ok(match counts(&mut client, &requests) {
            Ok(seen) if seen.iter().all(|version| version == "v1") => Ok(()),
            Ok(_) => Err("not yet".into()),
            Err(error) => Err(error.to_string()),
        })
    })?;
    assert_eq!(get("crel", space, "reviews")?["status"]["canaries"], "v2=0%");
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v2"}}))?;
    await_reason(space, "reviews", "TakenOver", "CanaryNotReady")?;
    assert!(counts(&mut client, &requests)?.iter().all(|version| version == "v1"));
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null}}))?;

    kubectl(&["scale", "-n", space, "deployment/reviews-v2", "--replicas=1"], "")?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    agree(space, &mut client)?;
    assert_eq!(counts(&mut client, &requests)?, before, "the same people are back");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn endpoints_without_pods() -> Outcome {
    let space = "machines";
    let entry = |version: &str, number: u32| {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": format!("reviews-{version}"), "namespace": space},
            "spec": {"address": format!("10.244.250.{number}"), "labels": {"app": "reviews", "version": version}}})
    };
    reviews(space, &[])?;
    apply(&[entry("v1", 1)])?;
    let controller = Controller::start("machines", CONTROLLER, &[])?;
    apply(&[release(space, json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": STICKY()}))])?;
    let message = await_reason(space, "reviews", "Ready", "CanaryNotReady")?;
    assert_eq!(message, "v2 has no ready endpoint, so stable gets its requests until it has one");
    apply(&[entry("v2", 2)])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(get("crel", space, "reviews")?["status"]["canaries"], "v2=50%");
    kubectl(&["delete", "workloadentry", "-n", space, "reviews-v2"], "")?;
    await_reason(space, "reviews", "Ready", "CanaryNotReady")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;

    // A host that is no Service of the cluster.
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "api", "namespace": space},
        "spec": {"hosts": ["api.example.com"], "location": "MESH_INTERNAL", "resolution": "STATIC", "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}],
            "endpoints": [{"address": "10.244.251.1", "labels": {"version": "v1"}}, {"address": "10.244.251.2", "labels": {"version": "v2"}}]}}),
    ])?;
    apply(&[release(space, json!({"service": "api.example.com", "canaries": [{"version": "v2", "weight": "1%"}]}))])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(get("virtualservice", space, "reviews-serin")?["spec"]["hosts"], json!(["api.example.com"]));
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn stable_without_endpoints_promotes_nobody() -> Outcome {
    let space = "headless";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("headless", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    apply(&[release(space, json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": STICKY()}))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let published = document("istio-system", "serin")?;
    kubectl(&["scale", "-n", space, "deployment/reviews-v1", "--replicas=0"], "")?;
    let message = await_reason(space, "reviews", "Ready", "StableNotReady")?;
    assert!(message.contains("Serin never promotes a canary by itself"), "{message}");
    assert_eq!(document("istio-system", "serin")?, published);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_canary_that_became_stable_keeps_its_pods() -> Outcome {
    let space = "promoted";
    reviews(space, &[("v1", 1)])?;
    let controller = Controller::start("promoted", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    let canary = |weight: &str| json!([{"version": "v2", "weight": weight, "workload": {"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}}}]);
    apply(&[release(space, json!({"canaries": canary("10%"), "sticky": STICKY()}))])?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v2"}}))?;
    await_reason(space, "reviews", "TakenOver", "TakenOver")?;
    let watcher = Watcher::start(space)?;
    agree(space, &mut client)?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null, "stable": {"version": "v2"}, "canaries": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(agree(space, &mut client)?.get("v1"), None);
    eventually("nothing leads to v1 any more", || {
        let rule = get("destinationrule", space, "reviews-serin")?["spec"]["subsets"].clone();
        Ok(if rule.as_array().is_some_and(|subsets| subsets.len() == 1) { Ok(()) } else { Err(rule.to_string()) })
    })?;
    kubectl(&["delete", "deployment", "-n", space, "reviews-v1"], "")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    watcher.finish()?;
    let kept = get("deployment", space, "reviews-v2")?;
    assert_eq!(kept["metadata"]["labels"].get("serin.dev/release"), None);
    assert_eq!(kept["status"]["readyReplicas"], 1);
    drop(controller);
    Ok(())
}
