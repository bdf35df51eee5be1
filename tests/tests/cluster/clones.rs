//! Pods of canaries that an autoscaler scales, and what becomes of pods that nobody needs any more.

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, counts, eventually, get, kubectl, patch, release, reviews,
    users,
};

use crate::scenarios::word;
use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("clones::an_autoscaler_is_copied_and_a_weight_waits_for_its_pods", an_autoscaler_is_copied),
    ("clones::a_canary_that_is_rolled_back_gives_its_pods_back", a_rolled_back_canary_gives_back),
    ("clones::what_was_stable_is_scaled_down_once", what_was_stable_is_scaled_down),
    ("clones::what_is_left_by_a_release_is_what_it_says", what_is_left),
];

/// The canary v2 of the release, which Serin runs.
fn canary(weight: &str, workload: &Value) -> Value {
    let mut all = json!({"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}});
    for (field, value) in workload.as_object().into_iter().flatten() {
        all[field] = value.clone();
    }
    json!({"version": "v2", "weight": weight, "workload": all})
}

/// A Service with so many pods of v1, and a release of it.
fn released(space: &str, stable: u32, spec: Value) -> Result<Controller, Box<dyn std::error::Error>> {
    reviews(space, &[("v1", stable)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let mut spec = spec;
    spec["sticky"] = json!({"by": [{"cookie": "user"}]});
    apply(&[release(space, spec)])?;
    Ok(controller)
}

/// A part of an object, once it is as expected.
fn becomes(kind: &str, space: &str, name: &str, path: &str, expected: &Value) -> Outcome {
    eventually(&format!("{path} of {kind} {name} is {expected}"), || {
        let found = get(kind, space, name)?.pointer(path).cloned().unwrap_or_default();
        Ok(if found == *expected { Ok(()) } else { Err(found.to_string()) })
    })
}

fn change(space: &str, spec: Value) -> Outcome {
    patch("crel", space, "reviews", &json!({"spec": spec}))
}

fn told(space: &str) -> Outcome {
    await_reason(space, "reviews", "Ready", "AllReady")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    Ok(())
}

fn share(space: &str) -> Result<Value, Box<dyn std::error::Error>> {
    Ok(get("crel", space, "reviews")?["status"]["canaries"].clone())
}

/// Which Deployments and autoscalers there are.
fn there(space: &str) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let names = kubectl(&["get", "deployments,hpa", "-n", space, "-o", "name"], "")?;
    Ok(names.split_whitespace().map(|name| name.replace(".autoscaling", "").replace(".apps", "")).collect())
}

fn an_autoscaler_is_copied() -> Outcome {
    let space = "autoscaled";
    let copied = |weight: &str| json!({"canaries": [canary(weight, &json!({"autoscale": "copy"}))]});
    let controller = released(space, 4, copied("25%"))?;
    let message = await_reason(space, "reviews", "Accepted", "Invalid")?;
    assert_eq!(
        message,
        "spec.canaries[0].workload.autoscale: no HorizontalPodAutoscaler scales Deployment reviews-v1; create one, or leave `autoscale` out"
    );
    let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]);
    apply(&[
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "reviews", "namespace": space},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews-v1"}, "minReplicas": 4, "maxReplicas": 6,
            "metrics": metrics}}),
    ])?;
    told(space)?;
    let sizes = || -> Result<Value, Box<dyn std::error::Error>> {
        let spec = get("hpa", space, "reviews-v2")?["spec"].clone();
        Ok(json!([spec["scaleTargetRef"]["name"], spec["minReplicas"], spec["maxReplicas"], spec["metrics"]]))
    };
    assert_eq!((sizes()?, share(space)?), (json!(["reviews-v2", 1, 2, metrics]), json!("v2=25%")));

    // The real autoscaler brings the pods, and the people come after them.
    change(space, copied("50%"))?;
    eventually("half of the people come after half of the pods", || {
        let found = (get("deployment", space, "reviews-v2")?["status"]["readyReplicas"].clone(), share(space)?);
        Ok(if found == (json!(2), json!("v2=50%")) { Ok(()) } else { Err(format!("{found:?}")) })
    })?;
    assert_eq!(sizes()?, json!(["reviews-v2", 2, 3, metrics]));
    told(space)?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;

    // A takeover needs all of stable's least number, and the version that became stable keeps its autoscaler.
    change(space, json!({"takeover": "v2"}))?;
    await_reason(space, "reviews", "TakenOver", "TakenOver")?;
    assert_eq!(sizes()?, json!(["reviews-v2", 4, 6, metrics]));
    change(space, json!({"stable": {"version": "v2"}, "canaries": [], "takeover": null}))?;
    for (kind, name) in [("hpa", "reviews-v2"), ("deployment", "reviews-v2")] {
        becomes(kind, space, name, "/metadata/labels/serin.dev~1release", &Value::Null)?;
    }
    told(space)?;

    // Without the word the next clone has none, and with the release it goes.
    apply(&[
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "reviews-v1", "namespace": space},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews-v1"}, "maxReplicas": 6}}),
    ])?;
    let mut next = canary("10%", &json!({"autoscale": "copy"}));
    next["version"] = json!("v3");
    change(space, json!({"canaries": [next]}))?;
    told(space)?;
    assert_eq!(get("hpa", space, "reviews-v3")?["spec"]["minReplicas"], 1);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let left = [
        "deployment/reviews-v1",
        "deployment/reviews-v2",
        "horizontalpodautoscaler/reviews",
        "horizontalpodautoscaler/reviews-v1",
        "horizontalpodautoscaler/reviews-v2",
    ];
    assert_eq!(there(space)?, left);
    drop(controller);
    Ok(())
}

fn a_rolled_back_canary_gives_back() -> Outcome {
    let space = "returned";
    let spec = |then: &str| json!({"canaries": [canary("50%", &json!({}))], "cleanup": {"afterRollback": then}});
    let controller = released(space, 1, spec("scaleDown"))?;
    told(space)?;
    let mut client = Client::of(space)?;
    assert!(agree(space, &mut client)?["v2"] > 400);
    let before = counts(&mut client, &users())?;
    word(space, &["rollback"])?;
    becomes("deployment", space, "reviews-v2", "/spec/replicas", &json!(0))?;
    // What is rolled back needs no pods.
    let message = await_reason(space, "reviews", "Ready", "AllReady")?;
    assert_eq!(message, "endpoints are ready for v1");
    assert!(counts(&mut client, &users())?.iter().all(|version| version == "v1"));

    let back = |client: &mut Client| {
        let requests = users();
        eventually("the same people are back", || {
            let now = counts(client, &requests)?;
            Ok(if now == before { Ok(()) } else { Err(share(space)?.to_string()) })
        })
    };
    word(space, &["resume", "--yes"])?;
    back(&mut client)?;
    assert_eq!(get("deployment", space, "reviews-v2")?["spec"]["replicas"], 1);
    change(space, spec("delete"))?;
    word(space, &["rollback"])?;
    eventually("the clone is gone", || {
        Ok(if there(space)? == ["deployment/reviews-v1"] { Ok(()) } else { Err("not yet".into()) })
    })?;
    word(space, &["resume", "--yes"])?;
    back(&mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn what_was_stable_is_scaled_down() -> Outcome {
    let space = "retired";
    let controller = released(
        space,
        2,
        json!({"canaries": [canary("100%", &json!({"replicas": 2}))], "cleanup": {"afterFinish": "scaleDown"}}),
    )?;
    told(space)?;
    change(space, json!({"stable": {"version": "v2"}, "canaries": []}))?;
    becomes("deployment", space, "reviews-v1", "/spec/replicas", &json!(0))?;
    becomes("crel", space, "reviews", "/status/retired", &Value::Null)?;
    let mut client = Client::of(space)?;
    assert!(counts(&mut client, &users())?.iter().all(|version| version == "v2"));
    assert_eq!(get("deployment", space, "reviews-v2")?["spec"]["replicas"], 2);
    // Once: whoever scales it up again is left alone.
    kubectl(&["scale", "-n", space, "deployment/reviews-v1", "--replicas=1"], "")?;
    change(
        space,
        json!({"rules": [{"name": "testers", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"}]}),
    )?;
    let generation = get("crel", space, "reviews")?["metadata"]["generation"].clone();
    becomes("crel", space, "reviews", "/status/observedGeneration", &generation)?;
    told(space)?;
    assert_eq!(get("deployment", space, "reviews-v1")?["spec"]["replicas"], 1);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn what_is_left() -> Outcome {
    let space = "leftover";
    let spec = |then: &str| json!({"canaries": [canary("50%", &json!({"replicas": 2}))], "cleanup": {"onDelete": then}});
    let controller = released(space, 1, spec("scaleDown"))?;
    told(space)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let clone = get("deployment", space, "reviews-v2")?;
    assert_eq!((&clone["spec"]["replicas"], &clone["metadata"]["labels"]["serin.dev/release"]), (&json!(0), &Value::Null));
    kubectl(&["delete", "deployment", "-n", space, "reviews-v2"], "")?;

    let mut kept = spec("keep");
    kept["sticky"] = json!({"by": [{"cookie": "user"}]});
    apply(&[release(space, kept)])?;
    told(space)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let clone = get("deployment", space, "reviews-v2")?;
    assert_eq!((&clone["spec"]["replicas"], &clone["metadata"]["labels"]["serin.dev/release"]), (&json!(2), &Value::Null));
    drop(controller);
    Ok(())
}
