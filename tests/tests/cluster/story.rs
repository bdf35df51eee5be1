//! The story of a release, told by `kubectl` alone.

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, Watcher, agree, apply, await_reason, condition, counts, document, eventually, get, half,
    kubectl, patch, release, reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("story::create_grow_take_over_roll_back_delete", create_grow_take_over_roll_back_delete),
    ("story::a_weight_moves_only_the_difference_also_across_a_restart", a_weight_moves_only_the_difference),
    ("story::a_release_moves_to_another_service_and_everybody_is_answered", a_release_moves),
    ("story::a_second_pass_writes_nothing_and_a_change_at_most_three_times", few_writes),
];

/// The release of the story: half of the users, and rules by header, cookie and URI.
fn seed(namespace: &str) -> Value {
    release(
        namespace,
        json!({
            "canaries": [{"version": "v2", "weight": "50%"}],
            "sticky": {"by": [{"cookie": "user"}]},
            "rules": [
                {"name": "testers", "when": [{"header": {"name": "x-team", "in": ["qa", "dev"]}}], "version": "v2"},
                {"name": "beta", "when": [{"cookie": {"name": "beta", "exact": "1"}}], "split": [{"version": "v2", "weight": "10%"}]},
                {"name": "api", "when": [{"path": {"pathPrefix": "/api"}}, {"not": {"header": {"name": "x-bot", "present": true}}}], "version": "v1"},
            ],
        }),
    )
}

fn create_grow_take_over_roll_back_delete() -> Outcome {
    let space = "story";
    reviews(space, &[("v1", 2), ("v2", 2)])?;
    let controller = Controller::start("story", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    eventually("the Service answers", || {
        Ok(if client.ask("/", &[])?.status == 200 { Ok(()) } else { Err("no 200".into()) })
    })?;
    let watcher = Watcher::start(space)?;

    apply(&[seed(space)])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let half = agree(space, &mut client)?;
    let columns = kubectl(&["get", "crel", "-n", space, "reviews", "--no-headers"], "")?;
    let columns: Vec<&str> = columns.split_whitespace().take(4).collect();
    assert_eq!(columns, ["reviews", "v1", "v2=50%", "Active"]);

    for weight in ["60.5%", "75%", "100%"] {
        patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": weight}]}}))?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        let grown = agree(space, &mut client)?;
        assert!(grown["v2"] > half["v2"], "{weight}: {grown:?}");
    }

    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v2"}}))?;
    await_reason(space, "reviews", "TakenOver", "TakenOver")?;
    assert_eq!(agree(space, &mut client)?.get("v1"), None);

    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    await_reason(space, "reviews", "TakenOver", "RolledBack")?;
    assert_eq!(agree(space, &mut client)?.get("v2"), None);

    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
    assert_eq!(left, "");
    let splits = document("istio-system", "serin")?["splits"].as_array().cloned().unwrap_or_default();
    assert!(splits.iter().all(|split| split["release"] != format!("{space}/reviews")), "{splits:?}");
    watcher.finish()?;
    assert_eq!(controller.terminate()?, Some(0));
    Ok(())
}

fn a_weight_moves_only_the_difference() -> Outcome {
    let space = "moves";
    reviews(space, &[("v1", 1), ("v2", 1), ("v3", 1)])?;
    let mut controller = Controller::start("moves", CONTROLLER, &[])?;
    let mut client = Client::of(space)?;
    let weights = |v2: &str, v3: &str| json!([{"version": "v2", "weight": v2}, {"version": "v3", "weight": v3}]);
    let sticky = json!({"by": [{"cookie": "user"}]});
    apply(&[release(space, json!({"canaries": weights("20%", "20%"), "sticky": sticky}))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let requests = serin_tests::mesh::users();
    let mut before = serin_tests::mesh::counts(&mut client, &requests)?;
    for (v2, v3, restart) in [("30%", "20%", false), ("30%", "10%", true), ("35.5%", "10%", true), ("10%", "40%", false)] {
        if restart {
            // A new process knows nothing but what the cluster holds.
            drop(controller);
            controller = Controller::start("moves", CONTROLLER, &[])?;
        }
        patch("crel", space, "reviews", &json!({"spec": {"canaries": weights(v2, v3)}}))?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        agree(space, &mut client)?;
        let after = serin_tests::mesh::counts(&mut client, &requests)?;
        for version in ["v2", "v3"] {
            let (had, has) =
                (before.iter().filter(|v| *v == version).count(), after.iter().filter(|v| *v == version).count());
            let left = before.iter().zip(&after).filter(|(was, is)| *was == version && *is != version).count();
            let came = before.iter().zip(&after).filter(|(was, is)| *was != version && *is == version).count();
            assert!(left == 0 || came == 0, "{v2} {v3}: {left} left {version} and {came} came, {had} -> {has}");
        }
        before = after;
    }
    let allocation = get("crel", space, "reviews")?["status"]["allocation"]["base"].clone();
    let sum = |version: &str| -> u64 {
        allocation
            .as_array()
            .into_iter()
            .flatten()
            .filter(|run| run["version"] == version)
            .filter_map(|run| run["buckets"].as_u64())
            .sum()
    };
    assert_eq!((sum("v2"), sum("v3")), (10_000, 40_000));
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn few_writes() -> Outcome {
    let space = "writes";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("writes", CONTROLLER, &[])?;
    apply(&[seed(space)])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    for weight in ["51%", "52%", "7.125%"] {
        let before = controller.writes()?;
        patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": weight}]}}))?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        agree(space, &mut client)?;
        let writes = controller.writes()? - before;
        assert!(writes <= 3.0, "{weight}: {writes} writes");
    }
    // Whatever makes the controller look again: nothing is written.
    let passes = controller.metric("serin_reconciles_total", "")?;
    let before = controller.writes()?;
    kubectl(&["annotate", "service", "-n", space, "reviews", "looked=again"], "")?;
    kubectl(&["label", "namespace", space, "looked=again"], "")?;
    eventually("it looked again", || {
        Ok(if controller.metric("serin_reconciles_total", "")? > passes { Ok(()) } else { Err("no".into()) })
    })?;
    assert_eq!(controller.writes()?, before);
    assert_eq!(controller.terminate()?, Some(0));
    let again = Controller::start("writes", CONTROLLER, &[])?;
    eventually("it leads and has looked", || {
        Ok(if again.metric("serin_reconciles_total", "")? > 0.0 { Ok(()) } else { Err("no".into()) })
    })?;
    assert_eq!(again.writes()?, 0.0, "{}", again.log());
    let (status, ..) = condition(space, "reviews", "Programmed")?;
    assert_eq!(status, "True");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    Ok(())
}

fn a_release_moves() -> Outcome {
    let space = "moving";
    reviews(space, &[("v1", 2), ("v2", 2)])?;
    // Another Service of the same pods.
    let spec = json!({"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080, "targetPort": 8000}]});
    apply(&[
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "ratings", "namespace": space}, "spec": spec}),
    ])?;
    let controller = Controller::start("moving", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let before = counts(&mut client, &users())?;
    let mut other = Client::of_service(space, "ratings")?;
    eventually("the other Service answers", || {
        Ok(if other.ask("/", &[])?.status == 200 { Ok(()) } else { Err("no 200".into()) })
    })?;
    let watchers = [Watcher::start(space)?, Watcher::with(Client::of_service(space, "ratings")?)];
    for (service, client) in [("ratings", &mut other), ("reviews", &mut client)] {
        patch("crel", space, "reviews", &json!({"spec": {"service": service}}))?;
        // Everybody has the version of before, at the other Service.
        eventually(&format!("{service} is routed"), || {
            let seen = counts(client, &users())?;
            Ok(if seen == before { Ok(()) } else { Err("not yet".into()) })
        })?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
    }
    for watcher in watchers {
        println!("{} requests", watcher.finish()?);
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
