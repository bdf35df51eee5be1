//! What the API server refuses by the definition alone, and what it leaves to the controller.

use serde_json::{Value, json};
use serin_tests::bad_specs::{self, BadSpec};

use serin_tests::mesh::{CONTROLLER, Controller, apply, await_reason, kubectl, release};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("definition::good_specs_are_taken", good_specs_are_taken),
    ("definition::bad_specs_are_refused_with_the_reason", bad_specs_are_refused),
    ("definition::deploy_is_taken_by_the_api_server", deploy_is_taken),
];

fn dry_run(spec: &Value) -> Result<String, String> {
    let object = release("default", spec.clone());
    kubectl(&["create", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-"], &object.to_string())
        .map_err(|error| error.to_string())
}

fn good_specs_are_taken() -> Outcome {
    for spec in [
        json!({}),
        bad_specs::good()?,
        json!({"sticky": {"otherwise": "stable"}}),
        json!({"canaries": [{"version": "v2", "weight": "100%"}], "takeover": "v2"}),
    ] {
        dry_run(&spec)?;
    }
    // The example of the README.
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/reviews.yaml");
    kubectl(&["create", "namespace", "bookinfo"], "")?;
    kubectl(&["create", "--dry-run=server", "--validate=strict", "-f", example], "")?;
    // Exactly everything, in thousandths.
    let thirds = json!([{"version": "a", "weight": "33.333%"}, {"version": "b", "weight": "33.333%"}, {"version": "c", "weight": "33.334%"}]);
    dry_run(&json!({"canaries": thirds}))?;
    // As many rules as fit.
    let rules: Vec<Value> = (0..1000)
        .map(|n| json!({"name": format!("r{n}"), "when": [{"header": {"name": "x-user", "exact": format!("user-{n}")}}], "version": "v1"}))
        .collect();
    dry_run(&json!({"rules": rules}))?;
    Ok(())
}

/// What a schema sees the API server refuses, and what it lets through the controller does, in the words of `serin validate`.
fn bad_specs_are_refused() -> Outcome {
    let namespace = "bad-specs";
    kubectl(&["create", "namespace", namespace], "")?;
    let controller = Controller::start(namespace, CONTROLLER, &[])?;
    let services: Vec<Value> = (0..bad_specs::all()?.len())
        .map(|index| {
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": format!("r{index}"), "namespace": namespace},
                "spec": {"ports": [{"name": "http", "port": 80}]}})
        })
        .collect();
    apply(&services)?;
    let mut taken = Vec::new();
    for (index, bad) in bad_specs::all()?.into_iter().enumerate() {
        let name = format!("r{index}");
        let object = beside_others(namespace, &name, &bad);
        let created = kubectl(&["create", "--validate=strict", "-f", "-"], &object.to_string());
        match (&bad.admission, created.map_err(|error| error.to_string())) {
            (None, Ok(_)) => taken.push((name, bad)),
            (Some(says), Err(message)) if message.contains(says.as_str()) => {}
            (expected, is) => {
                return Err(format!("{}: expected {expected:?} of the API server, it says {is:?}", bad.name).into());
            }
        }
    }
    for (name, bad) in &taken {
        let message = await_reason(namespace, name, "Accepted", "Invalid")?;
        assert_eq!(message, bad.says, "{}", bad.name);
    }
    kubectl(&["delete", "crel", "-n", namespace, "--all", "--timeout=60s"], "")?;
    controller.terminate()?;
    let mut object = release("default", bad_specs::good()?);
    object["metadata"]["name"] = json!("x".repeat(64));
    let refused = kubectl(&["create", "--dry-run=server", "-f", "-"], &object.to_string());
    assert!(refused.is_err_and(|error| error.to_string().contains("the name has more than 63 characters; shorten it")));
    Ok(())
}

/// A release of a bad spec with a Service and a host that no other one has, unless these are what is bad.
fn beside_others(namespace: &str, name: &str, bad: &BadSpec) -> Value {
    let mut object = bad_specs::release(name, &bad.spec);
    object["metadata"]["namespace"] = json!(namespace);
    if !bad.at.starts_with("/service") {
        object["spec"]["service"] = json!(name);
    }
    if !bad.at.starts_with("/routing") {
        object["spec"]["routing"]["hosts"] = json!([format!("{name}.example.com")]);
    }
    object
}

fn deploy_is_taken() -> Outcome {
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    let said = kubectl(&["apply", "--server-side", "--force-conflicts", "--validate=strict", "-k", deploy], "")?;
    for object in
        ["namespace/serin-system", "deployment.apps/serin", "service/serin", "clusterrole.rbac.authorization.k8s.io/serin"]
    {
        assert!(said.contains(object), "{object} is not in: {said}");
    }
    // Its image is not here; the tests run the controller beside the cluster.
    kubectl(&["scale", "-n", "serin-system", "deployment/serin", "--replicas=0"], "")?;
    Ok(())
}
