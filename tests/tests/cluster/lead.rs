//! How a controller comes to lead, and stays so.

use serde_json::{Value, json};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, apply, await_reason, counts, document, eventually, get, half, kubectl, patch,
    release, reviews, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("lead::a_document_that_a_new_leader_cannot_read_stays_until_it_can_be_built", a_document_that_cannot_be_read),
    ("lead::long_passes_do_not_lose_the_lease", long_passes),
    ("lead::a_second_controller_of_another_namespace_writes_nothing", two_controllers),
    ("lead::a_release_may_have_the_name_of_the_label_of_all", a_release_named_all),
];

fn a_document_that_cannot_be_read() -> Outcome {
    let (space, other) = ("unreadable", "unreadable-too");
    for space in [space, other] {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
    }
    let controller = Controller::start("unreadable", CONTROLLER, &[])?;
    for space in [space, other] {
        apply(&[release(space, half())])?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
    }
    let mut client = Client::of(space)?;
    agree(space, &mut client)?;
    let requests = users();
    let before = counts(&mut client, &requests)?;
    assert_eq!(controller.terminate()?, Some(0));

    // A newer Serin has written the document, and the spec of one release is not valid any more: its last good split is nowhere else.
    patch("wasmplugin", "istio-system", "serin", &json!({"spec": {"pluginConfig": {"document": "{\"version\":2}"}}}))?;
    let rules = json!([{"name": "r", "when": [{"path": {"regex": "/a("}}], "version": "v2"}]);
    patch("crel", other, "reviews", &json!({"spec": {"rules": rules}}))?;
    let written = get("wasmplugin", "istio-system", "serin")?["metadata"]["resourceVersion"].clone();
    let controller = Controller::start("unreadable", CONTROLLER, &[])?;
    let expected = format!(
        "WasmPlugin istio-system/serin holds a document that cannot be read: version: version 2 of the document is not known; \
         upgrade Serin first, since this one reads version 1. Proxies keep it, and nothing is published until each of these releases \
         can be built from its spec: {other}/reviews. Correct them, or delete the object to go on without their last good splits"
    );
    // At first it names all that it has not looked at yet.
    eventually("the message names the release that cannot be built", || {
        let message = await_reason(space, "reviews", "Programmed", "DocumentUnreadable")?;
        Ok(if message == expected { Ok(()) } else { Err(message) })
    })?;
    await_reason(other, "reviews", "Programmed", "DocumentUnreadable")?;
    await_reason(other, "reviews", "Accepted", "Invalid")?;
    assert_eq!(controller.metric("serin_document_unreadable", "")?, 1.0);
    eventually("the events are there", || {
        let events = kubectl(&["get", "events", "-n", space, "-o", "jsonpath={.items[*].reason}"], "")?;
        Ok(if events.contains("DocumentUnreadable") { Ok(()) } else { Err(events) })
    })?;
    // Also a change waits, and a release that is being deleted keeps its routes: proxies may still send requests there.
    patch("crel", space, "reviews", &json!({"spec": {"canaries": [{"version": "v2", "weight": "70%"}]}}))?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--wait=false"], "")?;
    let attempts = || controller.log().matches("cannot publish; trying again").count();
    let seen = attempts();
    eventually("it has tried again", || Ok(if attempts() > seen { Ok(()) } else { Err(seen.to_string()) }))?;
    assert_eq!(get("wasmplugin", "istio-system", "serin")?["metadata"]["resourceVersion"], written);
    assert_eq!(get("virtualservice", space, "reviews-serin")?["spec"]["http"].as_array().map(Vec::len), Some(2));
    assert_eq!(counts(&mut client, &requests)?, before);

    patch("crel", other, "reviews", &json!({"spec": {"rules": null}}))?;
    await_reason(other, "reviews", "Programmed", "Programmed")?;
    assert_eq!(controller.metric("serin_document_unreadable", "")?, 0.0);
    agree(other, &mut Client::of(other)?)?;
    for space in [space, other] {
        kubectl(&["delete", "crel", "-n", space, "reviews", "--ignore-not-found", "--timeout=60s"], "")?;
        let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
        assert_eq!(left, "");
    }
    Ok(())
}

fn long_passes() -> Outcome {
    let spaces = ["long-1", "long-2", "long-3"];
    let controller = Controller::start("long", CONTROLLER, &[])?;
    for space in spaces {
        reviews(space, &[("v1", 1), ("v2", 1)])?;
        apply(&[release(space, half())])?;
        await_reason(space, "reviews", "Programmed", "Programmed")?;
    }
    let lease = || get("lease", "serin-system", "serin").map(|lease| lease["spec"]["leaseTransitions"].clone());
    let before = lease()?;
    // As many patterns as the budget of a release allows: about 2 s for each of the three, where a leader that does not renew for 2 s has
    // lost. The last one shows when they are done.
    let rule = |name: String, regex: String| json!({"name": name, "when": [{"path": {"regex": regex}}], "version": "v2"});
    let mut rules: Vec<Value> = (0..4).map(|n| rule(format!("r{n}"), format!("(a|b)*a(a|b){{12}}x{n}"))).collect();
    rules.push(rule("last".to_owned(), "/a(".to_owned()));
    let mut spec = half();
    spec["rules"] = json!(rules);
    apply(&spaces.map(|space| release(space, spec.clone())))?;
    for space in spaces {
        let message = await_reason(space, "reviews", "Accepted", "Invalid")?;
        assert!(message.starts_with("spec.rules[4].when[0].path.regex: "), "{message}");
    }
    assert_eq!(lease()?, before, "{}", controller.log());
    assert!(!controller.log().contains("lost the lease"), "{}", controller.log());
    for space in spaces {
        kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    }
    Ok(())
}

fn two_controllers() -> Outcome {
    let (space, other) = ("two-controllers", "serin2");
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let first = Controller::start("first", CONTROLLER, &[])?;
    apply(&[release(space, half()), json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": other}})])?;
    await_reason(space, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(space)?;
    let shares = agree(space, &mut client)?;
    let written = || -> Result<Vec<Value>, Box<dyn std::error::Error>> {
        // A status may still be the first one's to write.
        let objects = [
            get("wasmplugin", "istio-system", "serin")?,
            get("virtualservice", space, "reviews-serin")?,
            get("destinationrule", space, "reviews-serin")?,
        ];
        Ok(objects.iter().map(|object| object["metadata"]["resourceVersion"].clone()).collect())
    };
    let before = written()?;
    let admin = std::path::PathBuf::from(std::env::var_os("KUBECONFIG").ok_or("KUBECONFIG is not set")?);
    let second = Controller::spawn("second", "127.0.0.1:18086", &admin, &["--namespace", other])?;
    let shows = |wanted: f64| {
        eventually("the second one says whether it is alone", || {
            let shown = second.metric("serin_another_controller", "");
            Ok(match shown {
                Ok(shown) if shown == wanted => Ok(()),
                other => Err(format!("{other:?}")),
            })
        })
    };
    eventually("the second one says that it is not alone", || {
        let log = second.log();
        Ok(if log.contains("the controller of another namespace writes to this mesh") { Ok(()) } else { Err(log) })
    })?;
    shows(1.0)?;
    assert!(second.http("/readyz").is_ok_and(|(status, _)| status == 503));
    assert_eq!((written()?, agree(space, &mut client)?), (before, shares.clone()));

    // Once the first one is gone, and a person says so, the second one takes over.
    assert_eq!(first.terminate()?, Some(0));
    let forget = ["annotate", "wasmplugin", "-n", "istio-system", "serin", "serin.dev/controller-"];
    kubectl(&forget, "")?;
    shows(0.0)?;
    eventually("its name is there", || {
        let name = get("wasmplugin", "istio-system", "serin")?["metadata"]["annotations"]["serin.dev/controller"].clone();
        Ok(if name == other { Ok(()) } else { Err(name.to_string()) })
    })?;
    assert_eq!(agree(space, &mut client)?, shares);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    assert_eq!(second.terminate()?, Some(0));
    kubectl(&forget, "")?;
    Ok(())
}

fn a_release_named_all() -> Outcome {
    let space = "named-all";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start("named-all", CONTROLLER, &[])?;
    let mut all = release(space, half());
    all["metadata"]["name"] = json!("all");
    apply(&[all])?;
    await_reason(space, "all", "Programmed", "Programmed")?;
    assert_eq!(get("virtualservice", space, "all-serin")?["metadata"]["labels"]["serin.dev/release"], "all");
    drop(controller);
    // It goes while nobody leads, with the document, so that nothing but its name says whose the objects are.
    patch("crel", space, "all", &json!({"metadata": {"finalizers": null}}))?;
    kubectl(&["delete", "crel", "-n", space, "all", "--timeout=60s"], "")?;
    kubectl(&["delete", "wasmplugin", "-n", "istio-system", "serin"], "")?;
    let controller = Controller::start("named-all", CONTROLLER, &[])?;
    eventually("what it left is gone", || {
        let left = kubectl(&["get", "virtualservice,destinationrule", "-n", space, "-o", "name"], "")?;
        Ok(if left.is_empty() { Ok(()) } else { Err(left) })
    })?;
    let plugin = get("wasmplugin", "istio-system", "serin")?;
    assert_eq!(plugin["metadata"]["labels"]["serin.dev/release"], "all");
    assert_eq!(document("istio-system", "serin")?["splits"], json!([]));
    drop(controller);
    Ok(())
}
