//! Canaries that are judged by a real Prometheus: a bad one is rolled back, a good one goes on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, all_answered, apply, await_reason, counts, domain, eventually, get, kubectl, patch,
    release, reviews, users,
};
use serin_tests::upstream;

use crate::proxies::Prometheus;
use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("analysis::a_bad_canary_is_rolled_back_and_a_good_one_goes_on", a_bad_and_a_good_canary),
    ("analysis::without_a_source_steps_wait", without_a_source),
    ("analysis::a_baseline_has_the_very_people_that_the_canary_gets", a_baseline),
    ("analysis::the_counters_of_a_callers_envoy_will_do", envoys_own_counters),
];

/// What the proxies of callers tell: requests by version and status.
type Told = Arc<Mutex<BTreeMap<(String, u16), u64>>>;

/// What was told of each namespace.
static ALL: Mutex<BTreeMap<String, Told>> = Mutex::new(BTreeMap::new());

/// Serves Istio's counters of the Service of a namespace where Prometheus scrapes, as they are told.
fn exporter(space: &str) -> Result<Told, Box<dyn std::error::Error>> {
    let told = Told::default();
    let mut all = ALL.lock().map_err(|error| error.to_string())?;
    if all.is_empty() {
        upstream::serve_at("127.0.0.1:18098", |_| {
            let text = ALL.lock().map(|all| text(&all)).unwrap_or_default();
            ("200 OK".to_owned(), "content-type: text/plain; version=0.0.4\r\n".to_owned(), text)
        })?;
    }
    all.insert(space.to_owned(), Arc::clone(&told));
    Ok(told)
}

/// All counters as Prometheus reads them.
fn text(all: &BTreeMap<String, Told>) -> String {
    let mut text = "# TYPE istio_requests_total counter\n".to_owned();
    for (namespace, told) in all {
        let host = format!("reviews.{namespace}.svc.{}", domain());
        for ((version, code), count) in told.lock().map(|told| told.clone()).unwrap_or_default() {
            // Writing to a String does not fail.
            let _ = writeln!(
                text,
                "istio_requests_total{{reporter=\"source\",destination_service=\"{host}\",destination_service_namespace=\"{namespace}\",\
                 destination_version=\"{version}\",response_code=\"{code}\",response_flags=\"-\"}} {count}"
            );
        }
    }
    text
}

/// Asks as a thousand users, and tells what proxies of callers would; of v2's answers every so many is a failure.
fn tell(client: &mut Client, told: &Told, failing: Option<u64>) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let versions = counts(client, &users())?;
    let mut told = told.lock().map_err(|error| error.to_string())?;
    for (number, version) in (0_u64..).zip(&versions) {
        let fails = version == "v2" && failing.is_some_and(|each| number.is_multiple_of(each));
        *told.entry((version.clone(), if fails { 503 } else { 200 })).or_insert(0) += 1;
    }
    Ok(versions)
}

fn spec(steps: &Value) -> Value {
    json!({"canaries": [{"version": "v2"}], "sticky": {"by": [{"cookie": "user"}]}, "steps": steps,
        "analysis": {"metrics": [{"failures": {}, "margin": "5%"}]}})
}

fn condition_of(space: &str) -> Result<String, Box<dyn std::error::Error>> {
    let status = get("crel", space, "reviews")?["status"].clone();
    let all = status["conditions"].as_array().cloned().unwrap_or_default();
    let healthy = all.iter().find(|condition| condition["type"] == "Healthy").cloned().unwrap_or_default();
    Ok(format!("{} {} {}", healthy["status"], healthy["reason"], healthy["message"]))
}

fn a_bad_and_a_good_canary() -> Outcome {
    let space = "judged";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let told = exporter(space)?;
    let _prometheus = Prometheus::start()?;
    let controller = Controller::start(space, CONTROLLER, &["--metrics", "main=http://127.0.0.1:19090"])?;
    let mut client = Client::of(space)?;
    all_answered(&mut client, &users())?;
    apply(&[release(space, spec(&json!([{"weight": "10%", "hold": "1h"}, {"weight": "100%"}])))])?;
    eventually("the bad canary is rolled back", || {
        let versions = tell(&mut client, &told, Some(3))?;
        let phase = get("crel", space, "reviews")?["status"]["phase"].clone();
        let nobody = versions.iter().all(|version| version == "v1");
        Ok(if phase == "RolledBack" && nobody { Ok(()) } else { Err(format!("{phase}, {}", condition_of(space)?)) })
    })?;
    let message = await_reason(space, "reviews", "Healthy", "Failing")?;
    assert!(message.starts_with("failures: v2 made ") && message.contains("Odds for harm "), "{message}");
    let status = get("crel", space, "reviews")?["status"].clone();
    let failed = &status["run"]["failed"][0];
    assert_eq!((&failed["version"], &failed["step"]), (&json!("v2"), &json!(0)));
    let history = status["history"][0].clone();
    assert_eq!(
        (&history["what"], &history["by"], &history["from"]),
        (&json!("RolledBack"), &json!("analysis"), &json!("v2=10%"))
    );
    assert_eq!((&status["analysis"]["verdict"], &status["reason"]), (&json!("Failing"), &json!("Failing")));
    // Another leader knows it too.
    assert_eq!(controller.terminate()?, Some(0));
    let controller = Controller::start(space, CONTROLLER, &["--metrics", "main=http://127.0.0.1:19090"])?;
    await_reason(space, "reviews", "Healthy", "Failing")?;
    assert!(counts(&mut client, &users())?.iter().all(|version| version == "v1"));
    // Mended under the same name, and tried again: it goes on to the end by itself.
    let steps = json!([{"weight": "30%"}, {"weight": "100%"}]);
    patch("crel", space, "reviews", &json!({"spec": {"steps": steps}}))?;
    kubectl(
        &["create", "-f", "-"],
        &json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl",
        "metadata": {"name": "reviews", "namespace": space}, "spec": {"attempt": 1, "by": "admin"}})
        .to_string(),
    )?;
    eventually("the good canary has everybody", || {
        let versions = tell(&mut client, &told, None)?;
        let phase = get("crel", space, "reviews")?["status"]["phase"].clone();
        let all = versions.iter().all(|version| version == "v2");
        Ok(if phase == "Completed" && all { Ok(()) } else { Err(format!("{phase}, {}", condition_of(space)?)) })
    })?;
    await_reason(space, "reviews", "Healthy", "Good")?;
    kubectl(&["delete", "crel,cctl", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn without_a_source() -> Outcome {
    let space = "unasked";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(space, CONTROLLER, &[])?;
    apply(&[release(space, spec(&json!([{"weight": "10%"}, {"weight": "100%"}])))])?;
    let message = await_reason(space, "reviews", "Healthy", "NoSource")?;
    assert_eq!(message, "there is no metric source; the administrator sets one up with `--metrics NAME=URL`");
    assert!(condition_of(space)?.starts_with("\"Unknown\" "));
    eventually("the step is reached, and waits", || {
        let state = get("crel", space, "reviews")?["status"]["run"]["state"].clone();
        Ok(if state == "AwaitingVerdict" { Ok(()) } else { Err(state.to_string()) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_baseline() -> Outcome {
    let space = "measured";
    reviews(space, &[("v1", 2)])?;
    let told = exporter(space)?;
    let _prometheus = Prometheus::start()?;
    let controller = Controller::start(space, CONTROLLER, &["--metrics", "main=http://127.0.0.1:19090"])?;
    let mut client = Client::of(space)?;
    let mut measured = spec(&json!([{"weight": "30%", "hold": "1h"}, {"weight": "100%"}]));
    let images = json!({"reviews": "examples-bookinfo-reviews-v2:1.16.2"});
    measured["canaries"] = json!([{"version": "v2", "workload": {"images": images, "replicas": "share"}}]);
    measured["analysis"] = json!({"baseline": "20s", "metrics": [{"failures": {}}]});
    apply(&[release(space, measured)])?;
    // Of their answers one in three is a failure, on the baseline as on the canary.
    let mut on_baseline: Option<Vec<bool>> = None;
    let with = |versions: &[String], version: &str| versions.iter().map(|own| own == version).collect::<Vec<bool>>();
    eventually("they are measured, and then the canary has them", || {
        let versions = counts(&mut client, &users())?;
        let mut told = told.lock().map_err(|error| error.to_string())?;
        for (number, version) in (0_u64..).zip(&versions) {
            let fails = version != "v1" && number.is_multiple_of(3);
            *told.entry((version.clone(), if fails { 503 } else { 200 })).or_insert(0) += 1;
        }
        drop(told);
        // The last round before the canary comes: at the first one proxies may still be reading the document.
        let has = |version: &str| versions.iter().any(|own| own == version);
        if has("v2-baseline") && !has("v2") {
            let image =
                get("deployment", space, "reviews-v2-baseline")?["spec"]["template"]["spec"]["containers"][0]["image"]
                    .clone();
            assert_eq!(image, get("deployment", space, "reviews-v1")?["spec"]["template"]["spec"]["containers"][0]["image"]);
            on_baseline = Some(with(&versions, "v2-baseline"));
        }
        let status = get("crel", space, "reviews")?["status"].clone();
        let is_there = status["run"]["state"] == "Holding" && has("v2") && !has("v2-baseline");
        Ok(if is_there { Ok(()) } else { Err(format!("{} {} {}", status["run"], status["message"], condition_of(space)?)) })
    })?;
    let versions = counts(&mut client, &users())?;
    assert!(on_baseline == Some(with(&versions, "v2")), "other people than on the baseline");
    let status = get("crel", space, "reviews")?["status"].clone();
    let measured = &status["run"]["measured"][0];
    assert_eq!((&measured["metric"], &measured["version"]), (&json!("failures"), &json!("v2")));
    assert!(measured["baseline"]["bad"].as_u64() > Some(20) && measured["stable"]["bad"] == 0, "{measured}");
    eventually("the baseline is gone", || {
        let names = kubectl(&["get", "deployments", "-n", space, "-o", "name"], "")?;
        let left: Vec<&str> = names.split_whitespace().collect();
        Ok(if left == ["deployment.apps/reviews-v1", "deployment.apps/reviews-v2"] { Ok(()) } else { Err(names) })
    })?;
    // They go on failing, and nobody blames the canary.
    for _ in 0..20 {
        tell(&mut client, &told, Some(3))?;
        assert_ne!(get("crel", space, "reviews")?["status"]["phase"], "RolledBack", "{}", condition_of(space)?);
    }
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// Counters of a caller's Envoy itself, as the page on analysis writes them.
fn envoys_own_counters() -> Outcome {
    let space = "counted";
    reviews(space, &[("v1", 1)])?;
    // A real upstream whose every second answer is a 500.
    let asked = Arc::new(Mutex::new(0_u64));
    upstream::serve_at("127.0.0.1:18094", move |_| {
        let fails = asked.lock().is_ok_and(|mut asked| {
            *asked += 1;
            asked.is_multiple_of(2)
        });
        (
            if fails { "500 Internal Server Error" } else { "200 OK" }.to_owned(),
            "x-pod-version: v2\r\n".to_owned(),
            String::new(),
        )
    })?;
    apply(&[
        json!({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry", "metadata": {"name": "reviews-v2", "namespace": space},
        "spec": {"address": "127.0.0.1", "ports": {"http": 18094}, "labels": {"app": "reviews", "version": "v2"}}}),
    ])?;
    let _prometheus = Prometheus::start()?;
    let controller = Controller::start(space, CONTROLLER, &["--metrics", "main=http://127.0.0.1:19090"])?;
    let cluster = r#"envoy_cluster_name=~"outbound.9080.$version.$service""#;
    let name = format!(r#"__name__=~"envoy_cluster_{space}_svc_cluster_local_+upstream_rq_xx""#);
    let counts = json!({"bad": format!(r#"{{{name},{cluster},envoy_response_code_class="5"}}"#), "all": format!("{{{name},{cluster}}}")});
    let mut judged = spec(&json!([{"weight": "30%", "hold": "1h"}, {"weight": "100%"}]));
    judged["analysis"] = json!({"metrics": [{"name": "envoy", "counts": counts}]});
    apply(&[release(space, judged)])?;
    let mut client = Client::of(space)?;
    eventually("the bad canary is rolled back", || {
        for (path, headers) in users() {
            let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            client.ask(&path, &headers)?;
        }
        let phase = get("crel", space, "reviews")?["status"]["phase"].clone();
        Ok(if phase == "RolledBack" { Ok(()) } else { Err(format!("{phase}, {}", condition_of(space)?)) })
    })?;
    let message = await_reason(space, "reviews", "Healthy", "Failing")?;
    assert!(message.starts_with("envoy: v2 made "), "{message}");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
