//! What happens when something breaks: traffic keeps its split, and the state converges.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, Watcher, agree, agree_within, apply, await_reason, counts, eventually,
    eventually_within, get, kubeconfig, kubectl, patch, process, release, reviews, running, users,
};
use serin_tests::severed::Plain;

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("faults::killed_between_any_two_writes", killed_between_any_two_writes),
    ("faults::a_stalled_leader_writes_nothing_when_it_wakes_up", a_stalled_leader),
    ("faults::the_api_server_is_away_for_30_seconds", the_api_server_is_away),
    ("faults::etcd_and_istiod_are_restarted", etcd_and_istiod_are_restarted),
    ("faults::what_is_changed_by_hand_is_repaired", what_is_changed_by_hand_is_repaired),
    ("faults::a_release_without_its_finalizer_leaves_nothing_behind", a_release_without_its_finalizer),
];

const OTHER: &str = "127.0.0.1:18086";
/// After an outage of the API server istiod's watches wait up to a minute before they try again, and it pushes after that
/// (client-go's reflector: 30 s, and as much again of jitter).
const ISTIOD_RECONNECTS: Duration = Duration::from_secs(150);

fn canaries(list: &[(&str, &str)]) -> Value {
    list.iter().map(|(version, weight)| json!({"version": version, "weight": weight})).collect()
}

fn spec(list: &[(&str, &str)]) -> Value {
    json!({"canaries": canaries(list), "sticky": {"by": [{"cookie": "user"}]}})
}

fn killed_between_any_two_writes() -> Outcome {
    let space = "killed";
    reviews(space, &[("v1", 1), ("v2", 1), ("v3", 1)])?;
    let run = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?);
    let plain = Plain::start(&kubeconfig()?)?;
    let mut client = Client::of(space)?;
    let watcher = Watcher::start(space)?;
    let is_there = || kubectl(&["get", "crel", "-n", space, "-o", "name"], "").map(|names| !names.is_empty());
    // Each change with the state that it begins from.
    type Change = fn() -> Outcome;
    let create: Change = || apply(&[release("killed", spec(&[("v2", "50%")]))]);
    let exchange: Change = || patch("crel", "killed", "reviews", &json!({"spec": {"canaries": canaries(&[("v3", "30%")])}}));
    let delete: Change = || kubectl(&["delete", "crel", "-n", "killed", "reviews", "--wait=false"], "").map(|_| ());
    for (name, change) in [("create", create), ("exchange", exchange), ("delete", delete)] {
        let mut killed = 0;
        for write in 1..30 {
            let whole = Controller::start("killed-before", CONTROLLER, &[])?;
            if name != "create" {
                create()?;
                patch("crel", space, "reviews", &json!({"spec": {"canaries": canaries(&[("v2", "50%")])}}))?;
                await_reason(space, "reviews", "Programmed", "Programmed")?;
                await_clean(space, &["v1", "v2"])?;
            } else if is_there()? {
                kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
            }
            // It gives its lease up: the next one need not wait.
            whole.terminate()?;
            let severed = plain.severed_at(write, &run)?;
            // Under the same address, as replicas behind a Service are: proxies would not find the filter at another one.
            let mut broken = Controller::spawn("killed", CONTROLLER, &severed.kubeconfig, &[])?;
            severed.victim(broken.id());
            change()?;
            let settled = |space: &str| match name {
                "delete" => Ok(!is_there()?),
                "create" => Ok(get("crel", space, "reviews")?["status"]["phase"] == "Active"),
                _ => Ok::<_, Box<dyn std::error::Error>>(await_clean_now(space, &["v1", "v3"])?),
            };
            eventually("it is killed, or done", || {
                Ok(if severed.happened() || settled(space)? {
                    Ok(())
                } else {
                    Err(broken.log().lines().last().unwrap_or_default().to_owned())
                })
            })?;
            let done = !severed.happened();
            if !done {
                broken.ended()?;
                killed += 1;
            }
            drop(broken);
            let whole = Controller::start("killed-after", CONTROLLER, &[])?;
            match name {
                "delete" => {
                    eventually("the release is gone", || Ok(if is_there()? { Err("it is there".into()) } else { Ok(()) }))?
                }
                "create" => {
                    await_reason(space, "reviews", "Programmed", "Programmed")?;
                    agree(space, &mut client)?;
                }
                _ => {
                    await_reason(space, "reviews", "Programmed", "Programmed")?;
                    agree(space, &mut client)?;
                    await_clean(space, &["v1", "v3"])?;
                }
            }
            whole.terminate()?;
            if done {
                break;
            }
        }
        let least = if name == "create" { 5 } else { 3 };
        assert!(killed >= least, "{name}: killed at {killed} writes only");
    }
    let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
    assert_eq!(left, "");
    watcher.finish()?;
    Ok(())
}

/// Whether the subsets are these.
fn await_clean_now(space: &str, versions: &[&str]) -> Result<bool, Box<dyn std::error::Error>> {
    let rule = get("destinationrule", space, "reviews-serin")?;
    let names: Vec<&str> =
        rule["spec"]["subsets"].as_array().into_iter().flatten().filter_map(|subset| subset["name"].as_str()).collect();
    Ok(names == versions)
}

fn await_clean(space: &str, versions: &[&str]) -> Outcome {
    eventually(&format!("the subsets are {versions:?}"), || {
        Ok(if await_clean_now(space, versions)? { Ok(()) } else { Err("others".into()) })
    })
}

fn a_stalled_leader() -> Outcome {
    let space = "stalled";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let first = Controller::start("stalled-first", CONTROLLER, &[])?;
    apply(&[release(space, spec(&[("v2", "50%")]))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let second = Controller::start("stalled-second", OTHER, &[])?;
    assert_eq!((first.metric("serin_leader", "")?, second.metric("serin_leader", "")?), (1.0, 0.0));
    let mut client = Client::of(space)?;
    let watcher = Watcher::start(space)?;
    agree(space, &mut client)?;
    let before = first.writes()?;
    first.signal("-STOP")?;
    // It sleeps while there is something to write.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": canaries(&[("v2", "70%")])}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let version = |kind: &str, namespace: &str, name: &str| {
        get(kind, namespace, name).map(|object| object["metadata"]["resourceVersion"].clone())
    };
    let written = (version("wasmplugin", "istio-system", "serin")?, version("crel", space, "reviews")?);
    first.signal("-CONT")?;
    eventually("the first one knows that it does not lead", || {
        Ok(if first.metric("serin_leader", "")? == 0.0 { Ok(()) } else { Err("it leads".into()) })
    })?;
    assert_eq!(second.metric("serin_leader", "")?, 1.0);
    let done = first.metric("serin_writes_total", "result=\"ok\"")?;
    assert!(done <= before, "{done} writes, {before} before it was stopped\n{}", first.log());
    assert_eq!((version("wasmplugin", "istio-system", "serin")?, version("crel", space, "reviews")?), written);
    // The other way round.
    drop(second);
    patch("crel", space, "reviews", &json!({"spec": {"canaries": canaries(&[("v2", "20%")])}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    assert_eq!(first.metric("serin_leader", "")?, 1.0);
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    Ok(())
}

/// A process of the mesh that is stopped, and is started again also where the test fails.
struct Stopped(Option<&'static str>);

impl Stopped {
    fn of(name: &'static str) -> Result<Self, Box<dyn std::error::Error>> {
        process("stop", name).map(|()| Self(Some(name)))
    }

    fn start(mut self) -> Outcome {
        match self.0.take() {
            Some(name) => Ok(process("start", name)?),
            None => Ok(()),
        }
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        if let Some(name) = self.0.take() {
            let _ = process("start", name);
        }
    }
}

fn the_api_server_is_away() -> Outcome {
    let space = "away";
    let mut ramp = spec(&[("v2", "0%")]);
    ramp["steps"] = json!([{"weight": "20%"}, {"weight": "60%", "over": "60s"}]);
    let (controller, mut client, _) = running(space, ramp)?;
    let requests = users();
    let before = counts(&mut client, &requests)?;
    let watcher = Watcher::start(space)?;
    let server = Stopped::of("kube-apiserver")?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        assert_eq!(counts(&mut client, &requests)?, before);
        assert_eq!(controller.http("/healthz")?.0, 200);
        assert_eq!(controller.http(&own_filter())?.0, 200, "proxies can fetch the filter all the time");
    }
    server.start()?;
    // The ramp goes on where it was.
    let status = eventually_within(Duration::from_secs(120), "the ramp ends", || match get("crel", space, "reviews") {
        Ok(release) if release["status"]["phase"] == "Completed" => Ok(Ok(release["status"].clone())),
        Ok(release) => Ok(Err(release["status"]["run"].to_string())),
        Err(error) => Ok(Err(error.to_string())),
    })?;
    let history = status["history"].as_array().cloned().unwrap_or_default();
    let what: Vec<String> = history.iter().rev().map(|entry| format!("{} {}", entry["what"], entry["to"])).collect();
    assert_eq!(what, [r#""Started" null"#, r#""Stepped" "v2=20%""#, r#""Stepped" "v2=60%""#, r#""Completed" "v2=60%""#]);
    agree_within(ISTIOD_RECONNECTS, space, &mut client)?;
    let after = counts(&mut client, &requests)?;
    assert!(before.iter().zip(&after).all(|(before, after)| before == "v1" || after == "v2"), "somebody fell back");
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn own_filter() -> String {
    format!("/filter/{}.wasm", serin_mesh::digest::digest(serin_controller::FILTER))
}

fn etcd_and_istiod_are_restarted() -> Outcome {
    let space = "restarted";
    let (controller, mut client, _) = running(space, spec(&[("v2", "50%")]))?;
    let watcher = Watcher::start(space)?;
    for (name, weight) in [("etcd", "60%"), ("istiod", "30%")] {
        process("restart", name)?;
        eventually("the change is taken", || {
            Ok(patch("crel", space, "reviews", &json!({"spec": {"canaries": canaries(&[("v2", weight)])}}))
                .map_err(|error| error.to_string()))
        })?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
        agree_within(ISTIOD_RECONNECTS, space, &mut client)?;
    }
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn what_is_changed_by_hand_is_repaired() -> Outcome {
    let space = "drift";
    let (controller, mut client, _) = running(space, spec(&[("v2", "50%")]))?;
    let changes = [
        (
            "virtualservice",
            space,
            "reviews-serin",
            json!({"spec": {"http": [{"route": [{"destination": {"host": "reviews", "subset": "v2"}}]}]}}),
        ),
        (
            "wasmplugin",
            "istio-system",
            "serin",
            json!({"spec": {"pluginConfig": {"document": "{\"version\":1,\"splits\":[]}"}}}),
        ),
        ("wasmplugin", "istio-system", "serin", json!({"spec": {"failStrategy": "FAIL_CLOSE"}})),
    ];
    for (kind, namespace, name, change) in changes {
        let before = get(kind, namespace, name)?["spec"].clone();
        patch(kind, namespace, name, &change)?;
        eventually(&format!("{kind} is repaired"), || {
            let now = get(kind, namespace, name)?["spec"].clone();
            Ok(if now == before { Ok(()) } else { Err(now.to_string()) })
        })?;
    }
    for (kind, namespace, name) in [("virtualservice", space, "reviews-serin"), ("wasmplugin", "istio-system", "serin")] {
        let spec = || -> Result<Value, Box<dyn std::error::Error>> {
            let mut spec = get(kind, namespace, name)?["spec"].clone();
            // A mark of an earlier leader for proxies that had given up; a new plugin needs none.
            spec["pluginConfig"].as_object_mut().map(|config| config.remove("fetch"));
            Ok(spec)
        };
        let before = spec()?;
        kubectl(&["delete", kind, "-n", namespace, name], "")?;
        eventually(&format!("{kind} is back"), || {
            let now = spec()?;
            Ok(if now == before { Ok(()) } else { Err(now.to_string()) })
        })?;
    }
    agree(space, &mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_release_without_its_finalizer() -> Outcome {
    let space = "orphan";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("orphan", CONTROLLER, &[])?;
    apply(&[release(space, spec(&[("v2", "50%")]))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    drop(controller);
    patch("crel", space, "reviews", &json!({"metadata": {"finalizers": null}}))?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    let watcher = Watcher::start(space)?;
    let controller = Controller::start("orphan", CONTROLLER, &[])?;
    eventually("what it left is gone", || {
        let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })?;
    watcher.finish()?;
    drop(controller);
    Ok(())
}
