//! How the controller is run: rights, filter, metrics, logs, events, its end.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde_json::{Value, json};
use serin_controller::cluster::modules::config_map;
use serin_controller::cluster::rbac;
use serin_controller::reconcile::build::digest;
use serin_controller::{FILTER, REQUEST_FILTER};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, eventually, get, kubectl, patch, release, reviews,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("operation::it_needs_exactly_the_rights_that_it_has", it_needs_exactly_its_rights),
    ("operation::every_replica_serves_every_filter", every_replica_serves_every_filter),
    ("operation::a_new_version_of_the_filter_takes_over_without_a_gap", a_new_filter),
    ("operation::the_first_cookie_that_is_issued_changes_the_module_once", the_first_cookie),
    ("operation::the_filter_can_come_from_elsewhere", the_filter_from_elsewhere),
    ("operation::metrics_tell_phases_shares_and_writes", metrics),
    ("operation::events_tell_what_an_owner_wants_to_hear", events),
    ("operation::an_invalid_spec_keeps_the_last_good_split_also_across_a_restart", an_invalid_spec),
    ("operation::a_pause_holds_the_split", a_pause),
    ("operation::a_document_that_would_grow_too_large_is_refused", a_document_too_large),
    ("operation::it_ends_when_it_is_told_to", it_ends),
];

fn half() -> Value {
    json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": {"by": [{"cookie": "user"}]}})
}

/// Group, resource and verb.
type Rights = BTreeSet<(String, String, String)>;

/// All that the rules grant.
fn granted() -> Rights {
    let mut all = BTreeSet::new();
    for rule in rbac::cluster_rules().into_iter().chain(rbac::namespace_rules()) {
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
    let controller = Controller::start("rights", CONTROLLER, &[])?;
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

fn every_replica_serves_every_filter() -> Outcome {
    let leader = Controller::start("serves-first", CONTROLLER, &[])?;
    eventually("it leads", || Ok(if leader.metric("serin_leader", "")? == 1.0 { Ok(()) } else { Err("not yet".into()) }))?;
    let standby = Controller::start("serves-second", "127.0.0.1:18086", &[])?;
    // What a controller of another version has put there.
    let other = b"\0asm of another version".to_vec();
    let sha = digest(&other);
    let encoded = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(&other)
    };
    apply(&[
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config_map(&sha), "namespace": "serin-system",
        "labels": {"serin.dev/filter": "true"}}, "binaryData": {"filter.wasm": encoded}}),
    ])?;
    for own in [FILTER, REQUEST_FILTER] {
        assert_eq!(get("configmap", "serin-system", &config_map(&digest(own)))?["immutable"], true);
    }
    for replica in [&leader, &standby] {
        for own in [FILTER, REQUEST_FILTER] {
            assert_eq!(replica.http(&format!("/filter/{}.wasm", digest(own)))?, (200, own.to_vec()));
        }
        assert_eq!(replica.http(&format!("/filter/{sha}.wasm"))?, (200, other.clone()));
        for path in ["/filter/none.wasm", "/filter/..%2fx.wasm", &format!("/filter/{sha}")] {
            assert_eq!(replica.http(path)?.0, 404, "{path}");
        }
        assert_eq!(replica.http("/readyz")?.0, 200);
    }
    assert_eq!(standby.metric("serin_leader", "")?, 0.0);
    kubectl(&["delete", "configmap", "-n", "serin-system", &config_map(&sha)], "")?;
    Ok(())
}

fn a_new_filter() -> Outcome {
    let space = "upgrade";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    // The earlier version of the filter: other bytes, the same behaviour (a custom section at the end).
    let mut earlier = REQUEST_FILTER.to_vec();
    earlier.extend([0, 8, 7, b'e', b'a', b'r', b'l', b'i', b'e', b'r']);
    let sha = digest(&earlier);
    let encoded = {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(&earlier)
    };
    let kept = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": config_map(&sha),
        "namespace": "serin-system", "labels": {"serin.dev/filter": "true"}}, "binaryData": {"filter.wasm": encoded}});
    // Too large for what `kubectl apply` notes of it.
    kubectl(&["create", "-f", "-"], &kept.to_string())?;
    let url = format!("http://{CONTROLLER}/filter/{sha}.wasm");
    let before = Controller::start("upgrade-before", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    assert_eq!(before.terminate()?, Some(0));
    patch("wasmplugin", "istio-system", "serin", &json!({"spec": {"url": url, "sha256": sha}}))?;
    let watcher = serin_tests::mesh::Watcher::start(space)?;
    let after = Controller::start("upgrade-after", CONTROLLER, &[])?;
    let own = digest(REQUEST_FILTER);
    eventually("the url is the new one", || {
        let plugin = get("wasmplugin", "istio-system", "serin")?;
        Ok(if plugin["spec"]["sha256"] == own { Ok(()) } else { Err(plugin["spec"]["url"].to_string()) })
    })?;
    assert_eq!(after.http(&format!("/filter/{sha}.wasm"))?, (200, earlier));
    agree(space, &mut client)?;
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    Ok(())
}

fn the_first_cookie() -> Outcome {
    let space = "cookies";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    // Other tests have their own history.
    kubectl(&["delete", "wasmplugin", "-n", "istio-system", "serin", "--ignore-not-found"], "")?;
    // Time enough to change something meanwhile.
    let pace = ["--settle-ms", "3000", "--drain-ms", "600", "--lease-seconds", "3"];
    let controller = Controller::start("cookies", CONTROLLER, &pace)?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let module =
        || Ok::<_, Box<dyn std::error::Error>>(get("wasmplugin", "istio-system", "serin")?["spec"]["sha256"].clone());
    assert_eq!((module()?, client.issued()?), (digest(REQUEST_FILTER).into(), None));
    let watcher = serin_tests::mesh::Watcher::start(space)?;
    let issue = json!({"sticky": {"otherwise": {"issueCookie": {"name": "serin"}}}});
    patch("crel", space, "reviews", &json!({"spec": issue}))?;
    eventually("the module is the one for cookies", || {
        Ok(if module()? == digest(FILTER) { Ok(()) } else { Err("not yet".to_owned()) })
    })?;
    // What follows waits until proxies have it, and is said to.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "60%"}]}}))?;
    await_reason(space, "reviews", "Programmed", "Pending")?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    let cookie = client.issued()?;
    assert!(cookie.as_ref().is_some_and(|cookie| cookie.starts_with("serin=")), "{cookie:?}");
    // One change is enough: the module for any document stays.
    patch("crel", space, "reviews", &json!({"spec": {"sticky": {"otherwise": "stable"}}}))?;
    eventually("no cookie is issued", || {
        Ok(if client.issued()?.is_none() { Ok(()) } else { Err("it still is".to_owned()) })
    })?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    assert_eq!(module()?, digest(FILTER));
    watcher.finish()?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn the_filter_from_elsewhere() -> Outcome {
    let space = "elsewhere";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let file = PathBuf::from(std::env::var_os("RUN").ok_or("RUN is not set")?).join("filter.wasm");
    std::fs::write(&file, FILTER)?;
    let url = format!("file://{}", file.display());
    let controller = Controller::start("elsewhere", CONTROLLER, &["--filter-url", &url])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let plugin = get("wasmplugin", "istio-system", "serin")?["spec"].clone();
    assert_eq!((plugin["url"].as_str(), plugin.get("sha256")), (Some(url.as_str()), None));
    agree(space, &mut Client::of(space)?)?;
    assert_eq!(controller.terminate()?, Some(0));
    // Back to the one that it serves itself.
    let controller = Controller::start("elsewhere", CONTROLLER, &[])?;
    let own = digest(REQUEST_FILTER);
    eventually("the digest is back", || {
        let plugin = get("wasmplugin", "istio-system", "serin")?;
        Ok(if plugin["spec"]["sha256"] == own { Ok(()) } else { Err(plugin["spec"].to_string()) })
    })?;
    agree(space, &mut Client::of(space)?)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    let mut wrong =
        Controller::spawn("elsewhere", CONTROLLER, &serin_tests::mesh::kubeconfig()?, &["--filter-url", "ftp://somewhere"])?;
    wrong.ended()?;
    assert!(
        wrong.log().ends_with(
            "error: --filter-url: `ftp://somewhere` has none of the schemes oci://, file://, http://, https://\n"
        )
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
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("invalid", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
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
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("pause", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
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
    await_reason(space, "reviews", "TakenOver", "NotAsked")?;
    assert!(agree(space, &mut client)?["v2"] > 850);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn a_document_too_large() -> Outcome {
    let space = "large";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("large", CONTROLLER, &[])?;
    apply(&[release(space, half())])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let before = get("wasmplugin", "istio-system", "serin")?["spec"]["pluginConfig"].clone();
    let long = "x".repeat(2000);
    let rules: Vec<Value> = (0..600)
        .map(|n| json!({"name": format!("r{n}"), "when": [{"header": {"name": "x-user", "exact": format!("{long}{n}")}}], "version": "v2"}))
        .collect();
    // Over standard input: a command line does not hold it.
    let mut whole = release(space, half());
    whole["spec"]["rules"] = json!(rules);
    kubectl(&["replace", "-f", "-"], &whole.to_string())?;
    let message = await_reason(space, "reviews", "Programmed", "DocumentFull")?;
    assert!(message.starts_with("the document of the mesh is full"), "{message}");
    assert_eq!(get("wasmplugin", "istio-system", "serin")?["spec"]["pluginConfig"], before);
    patch("crel", space, "reviews", &json!({"spec": {"rules": null}}))?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    agree(space, &mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
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
