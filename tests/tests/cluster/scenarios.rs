//! What others test of their own canaries: the scenarios of Argo Rollouts' end-to-end suite for Istio
//! (`test/e2e/istio_test.go`: AbortUpdate, UpdateInMiddleZeroCanaryReplicas, AbortUpdateDeleteAllCanaryPods,
//! SubsetSplitInStableDownscaleAfterCanaryAbort, PingPong). In each of them no request fails, and who has v2 is known.

use std::process::Command;

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, Watcher, agree, apply, await_reason, counts, eventually, get, kubectl, patch, release,
    reviews, users,
};

use crate::control::everybody_gets;
use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("scenarios::an_update_is_aborted_all_its_pods_are_deleted_and_it_comes_back", an_update_is_aborted),
    ("scenarios::a_canary_without_pods_is_updated_in_the_middle", an_update_in_the_middle),
    ("scenarios::stable_is_scaled_down_after_an_abort", stable_is_scaled_down),
    ("scenarios::two_deployments_take_turns", two_deployments_take_turns),
];

/// A release of a Service with so many pods of v1, whose canary v2 Serin runs and gives half of the people in its first step, `half` of
/// the 1 000 users.
fn released(
    space: &str,
    pods: u32,
    half: usize,
    more: Value,
) -> Result<(Controller, Client, Watcher), Box<dyn std::error::Error>> {
    reviews(space, &[("v1", pods)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    let mut spec = json!({
        "canaries": [canary(2, "share")], "steps": [{"weight": "50%", "approve": true}, {"weight": "100%"}],
        "sticky": {"by": [{"cookie": "user"}]},
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    apply(&[release(space, spec)])?;
    told(space, "phase", "AwaitingApproval")?;
    let mut client = Client::of(space)?;
    assert_eq!(agree(space, &mut client)?.get("v2"), Some(&half));
    let watcher = Watcher::start(space)?;
    Ok((controller, client, watcher))
}

fn canary(image: u32, replicas: &str) -> Value {
    let images = json!({"reviews": format!("examples-bookinfo-reviews-v{image}:1.16.2")});
    json!({"version": "v2", "weight": "100%", "workload": {"images": images, "replicas": replicas}})
}

/// Waits until a field of the status says so.
fn told(space: &str, field: &str, expected: &str) -> Outcome {
    eventually(&format!("{field} is {expected}"), || {
        let status = get("crel", space, "reviews")?["status"].clone();
        Ok(if status[field] == expected { Ok(()) } else { Err(format!("{} {}", status[field], status["run"])) })
    })
}

/// A person's word, by its verb and flags.
pub(crate) fn word(space: &str, words: &[&str]) -> Outcome {
    let name = format!("{space}/reviews");
    let mut command = Command::new(serin_tests::command()?);
    command.arg(words[0]).arg(&name).args(&words[1..]);
    let output = command.output()?;
    if output.status.success() { Ok(()) } else { Err(format!("{words:?}: {output:?}").into()) }
}

fn pods(space: &str, deployment: &str, ready: u32) -> Outcome {
    eventually(&format!("{deployment} has {ready} ready pods"), || {
        let found = get("deployment", space, deployment)?["status"]["readyReplicas"].as_u64().unwrap_or(0);
        Ok(if found == u64::from(ready) { Ok(()) } else { Err(found.to_string()) })
    })
}

fn over(space: &str, controller: Controller, watcher: Watcher) -> Outcome {
    watcher.finish()?;
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--ignore-not-found", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn an_update_is_aborted() -> Outcome {
    let space = "aborted";
    let (controller, mut client, watcher) = released(space, 2, 509, json!({}))?;
    let before = counts(&mut client, &users())?;
    word(space, &["rollback", "--because", "5xx on checkout"])?;
    told(space, "phase", "RolledBack")?;
    everybody_gets(&mut client, "v1")?;
    kubectl(&["delete", "pods", "-n", space, "-l", "version=v2", "--wait=false"], "")?;
    everybody_gets(&mut client, "v1")?;
    pods(space, "reviews-v2", 1)?;
    word(space, &["resume", "--yes"])?;
    told(space, "phase", "AwaitingApproval")?;
    eventually("the same people are back", || {
        let now = counts(&mut client, &users())?;
        Ok(if now == before { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    over(space, controller, watcher)
}

fn an_update_in_the_middle() -> Outcome {
    let space = "middle";
    let (controller, mut client, watcher) = released(space, 2, 516, json!({}))?;
    let run = |space| -> Result<Value, Box<dyn std::error::Error>> {
        Ok(get("crel", space, "reviews")?["status"]["run"]["id"].clone())
    };
    let first = run(space)?;
    // Nobody may run the canary for a while, and its people go to stable.
    patch(
        "crel",
        space,
        "reviews",
        &json!({"spec": {"canaries": [{"version": "v2", "weight": "100%",
        "workload": {"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}, "replicas": 0}}]}}),
    )?;
    everybody_gets(&mut client, "v1")?;
    // Another image makes another run, which begins once its pods are there.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [canary(3, "share")]}}))?;
    eventually("another run begins", || Ok(if run(space)? == first { Err(first.to_string()) } else { Ok(()) }))?;
    told(space, "phase", "AwaitingApproval")?;
    assert_eq!(agree(space, &mut client)?.get("v2"), Some(&516));
    let image = get("deployment", space, "reviews-v2")?["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, "examples-bookinfo-reviews-v3:1.16.2");
    over(space, controller, watcher)
}

fn stable_is_scaled_down() -> Outcome {
    let space = "downscaled";
    let (controller, mut client, watcher) = released(space, 4, 488, json!({"cleanup": {"afterRollback": "scaleDown"}}))?;
    pods(space, "reviews-v2", 2)?;
    word(space, &["rollback"])?;
    pods(space, "reviews-v2", 0)?;
    kubectl(&["scale", "-n", space, "deployment/reviews-v1", "--replicas=1"], "")?;
    pods(space, "reviews-v1", 1)?;
    everybody_gets(&mut client, "v1")?;
    word(space, &["resume", "--yes"])?;
    told(space, "phase", "AwaitingApproval")?;
    assert_eq!(agree(space, &mut client)?.get("v2"), Some(&488));
    pods(space, "reviews-v2", 1)?;
    over(space, controller, watcher)
}

fn two_deployments_take_turns() -> Outcome {
    let space = "turns";
    let (controller, mut client, watcher) = released(space, 1, 484, json!({}))?;
    word(space, &["approve"])?;
    told(space, "phase", "Completed")?;
    everybody_gets(&mut client, "v2")?;
    word(space, &["finish", "--yes"])?;
    // The Deployment that was stable becomes the next canary, and stable again.
    let steps = json!([{"weight": "50%", "approve": true}, {"weight": "100%"}]);
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v1"}], "steps": steps}}))?;
    told(space, "phase", "AwaitingApproval")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    assert_eq!(agree(space, &mut client)?.get("v1"), Some(&484));
    word(space, &["approve"])?;
    told(space, "phase", "Completed")?;
    everybody_gets(&mut client, "v1")?;
    word(space, &["finish", "--yes"])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    everybody_gets(&mut client, "v1")?;
    for name in ["reviews-v1", "reviews-v2"] {
        assert_eq!(get("deployment", space, name)?["metadata"]["labels"]["serin.dev/release"], Value::Null, "{name}");
    }
    over(space, controller, watcher)
}
