//! Nobody outside asks for a version by the routing header.

use serde_json::{Value, json};
use serin_mesh::names::{routing_key, routing_value};
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, agree, all_answered, apply, await_reason, counts, document, eventually, get, half,
    kubectl, patch, release, reviews, running, users,
};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("key::a_client_does_not_choose_while_there_is_no_filter", without_a_filter),
    ("key::routes_of_an_earlier_version_are_taken_over_without_a_flip", an_upgrade),
];

/// What 200 requests of somebody who asks for v2 get, with the header as it stands and in all forms that may come to mind.
fn asked_for(client: &mut Client) -> Result<Vec<String>, Box<dyn std::error::Error>> {
    let mut versions = Vec::new();
    for value in ["v2", "v2.", ".v2", "V2", "v2.0000000000", "v2,v2"].iter().cycle().take(200) {
        let answer = client.ask("/reviews/0", &[("x-serin-version", value)])?;
        versions.push(format!("{} {}", answer.status, answer.version));
    }
    versions.sort();
    versions.dedup();
    Ok(versions)
}

fn without_a_filter() -> Outcome {
    let space = "keyed";
    reviews(space, &[("v1", 1), ("v2", 1)])?;
    // A mesh that has no filter yet.
    kubectl(&["delete", "wasmplugin", "-n", "istio-system", "serin", "--ignore-not-found"], "")?;
    let arguments = ["--filter-url", "http://127.0.0.1:1/nowhere.wasm"];
    let controller = Controller::start("keyed", CONTROLLER, &arguments)?;
    apply(&[release(space, half())])?;
    let message = await_reason(space, "reviews", "Programmed", "FilterUnreachable")?;
    assert!(
        message.starts_with(
            "proxies that do not have the filter yet cannot get it, http://127.0.0.1:1/nowhere.wasm: Connection refused"
        ),
        "{message}"
    );
    let mut client = Client::of(space)?;
    all_answered(&mut client, &users())?;
    eventually("the route is there", || {
        let asked = asked_for(&mut client)?;
        Ok(if asked == ["200 v1"] { Ok(()) } else { Err(format!("{asked:?}")) })
    })?;
    // With the filter it decides, whatever is asked for: this person has no cookie, and so gets stable.
    assert_eq!(controller.terminate()?, Some(0));
    let controller = Controller::start("keyed-filter", CONTROLLER, &[])?;
    agree(space, &mut client)?;
    assert_eq!(asked_for(&mut client)?, ["200 v1"]);
    // An app sees which version was decided, and never the key.
    let route = get("virtualservice", space, "reviews-serin")?;
    let http = route["spec"]["http"].as_array().cloned().unwrap_or_default();
    let told: Vec<&Value> = http.iter().map(|http| &http["headers"]["request"]["set"]["x-serin-version"]).collect();
    assert_eq!(told, ["v2", "v1"]);
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}

fn an_upgrade() -> Outcome {
    let space = "upgraded";
    let (controller, mut client, _) = running(space, half())?;
    let requests = users();
    let before = counts(&mut client, &requests)?;
    assert_eq!(controller.terminate()?, Some(0));

    // What an earlier version has written: no key, and the document as a Struct. First the route, after which nobody gets v2.
    let uid = get("crel", space, "reviews")?["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
    let asks_for = |value: &str| json!([{"headers": {"x-serin-version": {"exact": value}}}]);
    let keyed = asks_for(&routing_value("v2", routing_key(&uid).as_deref()));
    let mut http = get("virtualservice", space, "reviews-serin")?["spec"]["http"].clone();
    assert_eq!(http[0]["match"], keyed);
    http[0]["match"] = asks_for("v2");
    for one in http.as_array_mut().into_iter().flatten() {
        one.as_object_mut().map(|one| one.remove("headers"));
    }
    patch("virtualservice", space, "reviews-serin", &json!({"spec": {"http": http}}))?;
    eventually("the filter sends what no route asks for", || {
        let others = counts(&mut client, &requests)?.iter().filter(|version| *version != "v1").count();
        Ok(if others == 0 { Ok(()) } else { Err(others.to_string()) })
    })?;
    let mut config = document("istio-system", "serin")?;
    config["document"] = Value::Null;
    for split in config["splits"].as_array_mut().into_iter().flatten() {
        split.as_object_mut().map(|split| split.remove("routingKey"));
    }
    patch("wasmplugin", "istio-system", "serin", &json!({"spec": {"pluginConfig": config}}))?;
    eventually("the mesh is as an earlier version left it", || {
        let now = counts(&mut client, &requests)?;
        Ok(if now == before { Ok(()) } else { Err("not yet".to_owned()) })
    })?;

    // The pace that it has by itself: every proxy takes a document in within its drain, also on a busy machine.
    let pace = ["--settle-ms", "2000", "--drain-ms", "5000", "--lease-seconds", "3"];
    let controller = Controller::start("upgraded", CONTROLLER, &pace)?;
    // Few at a time, so that each state on the way is met, also where requests are slow.
    let some = &requests[..50];
    let mut rounds = 0;
    eventually("routes ask for the key alone", || {
        rounds += 1;
        assert_eq!(counts(&mut client, some)?, before[..some.len()], "round {rounds}");
        let asked = get("virtualservice", space, "reviews-serin")?["spec"]["http"][0]["match"].clone();
        Ok(if asked == keyed { Ok(()) } else { Err(asked.to_string()) })
    })?;
    assert!(rounds > 2, "{rounds}");
    assert_eq!(document("istio-system", "serin")?["splits"][0]["routingKey"].as_str(), routing_key(&uid).as_deref());
    assert_eq!(counts(&mut client, &requests)?, before);
    agree(space, &mut client)?;
    kubectl(&["delete", "crel", "-n", space, "reviews", "--timeout=60s"], "")?;
    drop(controller);
    Ok(())
}
