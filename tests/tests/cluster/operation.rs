//! How the controller is run: rights, filter, metrics, logs, events, its end.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use serin_controller::FILTER;
use serin_controller::cluster::modules::config_map;
use serin_controller::cluster::rbac;
use serin_mesh::digest::digest;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, document, eventually, get, half, kubectl, patch, release,
    reviews, running, token,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("operation::it_needs_exactly_the_rights_that_it_has", it_needs_exactly_its_rights),
    ("operation::metrics_tell_phases_shares_and_writes", metrics),
    ("operation::events_tell_what_an_owner_wants_to_hear", events),
    ("operation::an_invalid_spec_keeps_the_last_good_split_also_across_a_restart", an_invalid_spec),
    ("operation::a_pause_holds_the_split", a_pause),
    ("operation::a_document_that_would_grow_too_large_is_refused", a_document_too_large),
    ("operation::what_a_controller_has_left_is_cleaned_up", what_is_left_is_cleaned_up),
    ("operation::it_ends_when_it_is_told_to", it_ends),
];

/// Group, resource and verb.
type Rights = BTreeSet<(String, String, String)>;

/// All that the rules grant.
fn granted() -> Rights {
    let mut all = BTreeSet::new();
    let rules = [rbac::cluster_rules(), rbac::workload_rules(), rbac::metrics_rules(), rbac::namespace_rules()];
    for rule in rules.concat() {
        let texts = |field: &str| {
            rule[field].as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect::<Vec<_>>()
        };
        for (group, resource) in texts("apiGroups")
            .iter()
            .flat_map(|group| texts("resources").into_iter().map(move |resource| (group.clone(), resource)))
        {
            all.extend(texts("verbs").into_iter().map(|verb| (group.clone(), resource.clone(), verb)));
        }
    }
    all
}

/// All that the controller asked for since the mesh began, and what it was refused.
fn asked() -> Result<(Rights, Vec<String>), Box<dyn std::error::Error>> {
    let log = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?).join("log/audit");
    let (mut asked, mut refused) = (BTreeSet::new(), Vec::new());
    for line in std::fs::read_to_string(log)?.lines() {
        // The last line may be under way.
        let Ok(entry) = serde_json::from_str::<Value>(line) else { continue };
        if entry["user"]["username"] != "system:serviceaccount:serin-system:serin" || entry["objectRef"].is_null() {
            continue;
        }
        let text = |field: &str| entry["objectRef"][field].as_str().unwrap_or_default().to_owned();
        let resource = match text("subresource").as_str() {
            "" => text("resource"),
            subresource => format!("{}/{subresource}", text("resource")),
        };
        if entry["responseStatus"]["code"] == 403 {
            refused.push(format!("{} {resource}", entry["verb"]));
        }
        // An apply that makes an object is logged as the patch that it came as, and needs the right to create.
        if entry["verb"] == "patch" && entry["responseStatus"]["code"] == 201 {
            asked.insert((text("apiGroup"), resource.clone(), "create".to_owned()));
        }
        asked.insert((text("apiGroup"), resource, entry["verb"].as_str().unwrap_or_default().to_owned()));
    }
    Ok((asked, refused))
}

fn it_needs_exactly_its_rights() -> Outcome {
    let space = "rights";
    reviews(space, &[("v1", 1)])?;
    kubectl(&["label", "namespace", space, "istio.io/use-waypoint=waypoint"], "")?;
    // Filters of earlier versions, of which the oldest go.
    let old = |number: u32| {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("serin-filter-{number:016}"), "namespace": "serin-system",
            "labels": {"serin.dev/filter": "true"}}, "binaryData": {"filter.wasm": "AGFzbQ=="}})
    };
    apply(&(0..10).map(old).collect::<Vec<_>>())?;
    kubectl(&["delete", "lease", "-n", "serin-system", "serin", "--ignore-not-found"], "")?;
    kubectl(&["delete", "configmap", "-n", "serin-system", &config_map(&digest(FILTER)), "--ignore-not-found"], "")?;
    let metrics = "127.0.0.1:18087";
    let controller = Controller::start("rights", CONTROLLER, &["--metrics-listen", metrics])?;
    // Who asks is looked up, whatever comes of it.
    assert_eq!(Controller::scrape(metrics, "/metrics", Some(&format!("Bearer {}", token("serin")?)))?.0, 403);
    let workload = json!({"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}});
    apply(&[release(
        space,
        json!({"canaries": [{"version": "v2", "weight": "50%", "workload": workload}], "takeover": "v2"}),
    )])?;
    await_reason(space, "reviews", "TakenOver", "TakenOver")?;
    // A series of events is patched.
    for _ in 0..2 {
        for (takeover, reason) in [(json!("v1"), "RolledBack"), (json!("v2"), "TakenOver")] {
            patch("crel", space, "reviews", &json!({"spec": {"takeover": takeover}}))?;
            await_reason(space, "reviews", "TakenOver", reason)?;
        }
    }
    kubectl(&["label", "namespace", space, "istio.io/use-waypoint-"], "")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(controller.terminate()?, Some(0));
    let other = Controller::start("rights", CONTROLLER, &[])?;
    assert_eq!(other.http("/filter/0000000000000000000000000000000000000000000000000000000000000000.wasm")?.0, 404);
    drop(other);
    let (asked, refused) = asked()?;
    assert_eq!(refused, Vec::<String>::new());
    let granted = granted();
    assert_eq!(
        asked.difference(&granted).collect::<Vec<_>>(),
        Vec::<&(String, String, String)>::new(),
        "asked for without a rule"
    );
    assert_eq!(
        granted.difference(&asked).collect::<Vec<_>>(),
        Vec::<&(String, String, String)>::new(),
        "granted without need"
    );
    Ok(())
}

fn metrics() -> Outcome {
    let space = "metrics";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("metrics", CONTROLLER, &["--log", "json"])?;
    apply(&[release(space, json!({"canaries": [{"version": "v2", "weight": "12.5%"}]}))])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let label = |version: &str| format!("namespace=\"{space}\",release=\"reviews\",version=\"{version}\"");
    eventually("the shares are told", || {
        let shares = (
            controller.metric("serin_intended_share_ratio", &label("v1"))?,
            controller.metric("serin_intended_share_ratio", &label("v2"))?,
        );
        Ok(if shares == (0.875, 0.125) { Ok(()) } else { Err(format!("{shares:?}")) })
    })?;
    assert_eq!(controller.metric("serin_releases", "phase=\"Active\"")?, 1.0);
    assert_eq!(controller.metric("serin_leader", "")?, 1.0);
    assert_eq!(controller.metric("serin_queue_length", "")?, 0.0);
    assert!(controller.metric("serin_writes_total", "kind=\"VirtualService\",verb=\"apply\",result=\"ok\"")? >= 1.0);
    assert!(controller.metric("serin_reconciles_total", "outcome=\"accepted\"")? >= 1.0);
    assert!(controller.metric("serin_document_bytes", "")? > 100.0);
    let log = controller.log();
    let lines: Vec<Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert!(lines.iter().any(|line| line["message"] == "leading" && line["level"] == "INFO"), "{log}");
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    eventually("what is gone is not told", || {
        let told = controller.metric("serin_intended_share_ratio", &label("v1"))?;
        Ok(if told == 0.0 { Ok(()) } else { Err(told.to_string()) })
    })?;
    Ok(())
}

fn events() -> Outcome {
    let space = "events";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("events", CONTROLLER, &[])?;
    let mut both = half();
    both["ports"] = json!([1]);
    apply(&[release(space, both)])?;
    await_reason(space, "reviews", "Accepted", "PortNotFound")?;
    patch("crel", space, "reviews", &json!({"spec": {"ports": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v2"}}))?;
    await_reason(space, "reviews", "TakenOver", "TakenOver")?;
    eventually("the events are there", || {
        let events = kubectl(
            &[
                "get",
                "events",
                "-n",
                space,
                "--field-selector",
                "involvedObject.name=reviews,involvedObject.kind=CanaryRelease",
                "-o",
                "jsonpath={range .items[*]}{.type} {.reason} {.source.component}{.reportingComponent}{\"\\n\"}{end}",
            ],
            "",
        )?;
        let has = |line: &str| events.lines().any(|event| event.starts_with(line));
        Ok(if has("Warning PortNotFound") && has("Normal TakenOver") { Ok(()) } else { Err(events) })
    })?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn an_invalid_spec() -> Outcome {
    let space = "invalid";
    let (controller, mut client, _) = running(space, half())?;
    let requests = serin_tests::mesh::users();
    let before = serin_tests::mesh::counts(&mut client, &requests)?;
    let rules = json!([{"name": "r", "when": [{"path": {"regex": "/a("}}], "version": "v2"}]);
    patch("crel", space, "reviews", &json!({"spec": {"rules": rules, "canaries": [{"version": "v2", "weight": "90%"}]}}))?;
    let message = await_reason(space, "reviews", "Accepted", "Invalid")?;
    assert!(message.starts_with("spec.rules[0].when[0].path.regex: "), "{message}");
    assert_eq!(serin_tests::mesh::counts(&mut client, &requests)?, before);
    drop(controller);
    let again = Controller::start("invalid", CONTROLLER, &[])?;
    eventually("it has looked", || {
        Ok(if again.metric("serin_reconciles_total", "outcome=\"refused\"")? > 0.0 { Ok(()) } else { Err("no".into()) })
    })?;
    assert_eq!(again.writes()?, 0.0);
    assert_eq!(serin_tests::mesh::counts(&mut client, &requests)?, before);
    patch("crel", space, "reviews", &json!({"spec": {"rules": null}}))?;
    await_reason(space, "reviews", "Accepted", "Accepted")?;
    assert!(agree(space, &mut client)?["v2"] > 850);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    Ok(())
}

fn a_pause() -> Outcome {
    let space = "pause";
    let (controller, mut client, _) = running(space, half())?;
    let requests = serin_tests::mesh::users();
    let before = serin_tests::mesh::counts(&mut client, &requests)?;
    patch("crel", space, "reviews", &json!({"spec": {"paused": true, "canaries": [{"version": "v2", "weight": "90%"}]}}))?;
    eventually("it is paused", || {
        let status = get("crel", space, "reviews")?;
        Ok(
            if status["status"]["phase"] == "Paused"
                && status["status"]["observedGeneration"] == status["metadata"]["generation"]
            {
                Ok(())
            } else {
                Err(status["status"]["phase"].to_string())
            },
        )
    })?;
    assert_eq!(serin_tests::mesh::counts(&mut client, &requests)?, before);
    patch("crel", space, "reviews", &json!({"spec": {"takeover": "v1"}}))?;
    await_reason(space, "reviews", "TakenOver", "RolledBack")?;
    eventually("everybody is on stable", || {
        Ok(if serin_tests::mesh::counts(&mut client, &requests)?.iter().all(|version| version == "v1") {
            Ok(())
        } else {
            Err("no".into())
        })
    })?;
    patch("crel", space, "reviews", &json!({"spec": {"takeover": null, "paused": false}}))?;
    await_reason(space, "reviews", "TakenOver", "NoTakeover")?;
    assert!(agree(space, &mut client)?["v2"] > 850);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

/// Rules of 800 KB that cannot be packed.
fn noisy_rules(seed: u64) -> Vec<Value> {
    let mut state = seed;
    let mut letter = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from(state >> 58).unwrap_or_default())
    };
    let rule = |number: u32| {
        let value: String = (0..1500).map(|_| letter()).filter(|letter| letter.is_ascii_alphanumeric()).collect();
        json!({"name": format!("r{number}"), "when": [{"header": {"name": "x-user", "exact": value}}], "version": "v2"})
    };
    (0..700).map(rule).collect()
}

fn a_document_too_large() -> Outcome {
    let (space, other) = ("large", "larger");
    let controller = Controller::start("large", CONTROLLER, &["--namespace-quota", "1000000"])?;
    for space in [space, other] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
        apply(&[release(space, half())])?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
    }
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    // Over standard input: a command line does not hold it.
    let replaced = |space: &str, seed: u64| {
        let mut whole = release(space, half());
        whole["spec"]["rules"] = json!(noisy_rules(seed));
        kubectl(&["replace", "-f", "-"], &whole.to_string())
    };
    replaced(other, 1)?;
    eventually("the other one is published", || {
        let bytes = document("istio-system", "serin")?.to_string().len();
        Ok(if bytes > 800_000 { Ok(()) } else { Err(bytes.to_string()) })
    })?;
    await_reason(other, "reviews", "Programmed", "Programmed")?;
    let before = document("istio-system", "serin")?;
    replaced(space, 2)?;
    let message = await_reason(space, "reviews", "Programmed", "DocumentFull")?;
    assert!(message.starts_with("the document of the mesh is full"), "{message}");
    assert_eq!(document("istio-system", "serin")?, before);
    patch("crel", space, "reviews", &json!({"spec": {"rules": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    // With a quota for a namespace its change does not even come so far; what is published stays.
    assert_eq!(controller.terminate()?, Some(0));
    let controller = Controller::start("large-quota", CONTROLLER, &["--namespace-quota", "100000"])?;
    replaced(space, 3)?;
    let message = await_reason(space, "reviews", "Programmed", "QuotaExceeded")?;
    assert_eq!(
        message,
        "the releases of namespace large take more than 100000 bytes of the document of the mesh; shorten rules or delete releases that are \
         done, its last state stays until then"
    );
    assert_eq!(document("istio-system", "serin")?, before);
    kubectl(&["delete", "crel", "-n", other, "reviews", "--timeout=60s"], "")?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn what_is_left_is_cleaned_up() -> Outcome {
    let space = "left";
    reviews(space, &[("v1", 1)])?;
    let controller = Controller::start("left", CONTROLLER, &[])?;
    let mut spec = half();
    spec["canaries"][0]["workload"] = json!({"images": {"reviews": "examples-bookinfo-reviews-v2:1.16.2"}});
    apply(&[release(space, spec)])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    await_reason(space, "reviews", "Ready", "AllReady")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let cleanup = |arguments: &[&str]| {
        let output = std::process::Command::new(serin_tests::command()?).arg("cleanup").args(arguments).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok::<_, Box<dyn std::error::Error>>((output.status.code(), text(&output.stdout), text(&output.stderr)))
    };
    let (code, _, error) = cleanup(&["--yes"])?;
    assert_eq!(code, Some(1));
    assert!(error.contains(" leads; delete the releases and it removes what it made, or stop it first"), "{error}");
    assert_eq!(controller.terminate()?, Some(0));

    let watcher = serin_tests::mesh::Watcher::start(space)?;
    let (code, plan, error) = cleanup(&[])?;
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(
        plan,
        "1  empty the document of WasmPlugin istio-system/serin\n2  delete Deployment left/reviews-v2\n3  delete VirtualService left/reviews-serin\n\
         4  delete DestinationRule left/reviews-serin\n5  delete WasmPlugin istio-system/serin\n6  take the finalizer from CanaryRelease \
         left/reviews\nNothing was changed; --yes does it.\n"
    );
    kubectl(&["delete", "crel", "-n", space, "reviews", "--wait=false"], "")?;
    let (code, _, error) = cleanup(&["--yes", "--drain-ms", "2000"])?;
    assert_eq!(code, Some(0), "{error}");
    kubectl(&["wait", "crel/reviews", "-n", space, "--for=delete", "--timeout=30s"], "")?;
    let left = kubectl(
        &[
            "get",
            "wasmplugin,virtualservice,destinationrule,deployment",
            "-A",
            "-l",
            "app.kubernetes.io/managed-by=serin",
            "-o",
            "name",
        ],
        "",
    )?;
    assert_eq!(left, "");
    assert_eq!(cleanup(&[])?.1, "nothing of Serin's is left\n");
    watcher.finish()?;
    Ok(())
}

fn it_ends() -> Outcome {
    let first = Controller::start("ends-first", CONTROLLER, &[])?;
    eventually("it leads", || Ok(if first.metric("serin_leader", "")? == 1.0 { Ok(()) } else { Err("not yet".into()) }))?;
    assert_eq!(first.terminate()?, Some(0));
    let holder = get("lease", "serin-system", "serin")?["spec"]["holderIdentity"].clone();
    assert_eq!(holder, Value::Null, "it gives the lease up");
    Ok(())
}
