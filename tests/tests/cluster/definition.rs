//! What the API server refuses by the definition alone.

use serde_json::{Value, json};
use serin_tests::mesh::{kubectl, release};

use crate::{Outcome, Tests};

pub(crate) const TESTS: Tests = &[
    ("definition::good_specs_are_taken", good_specs_are_taken),
    ("definition::bad_specs_are_refused_with_the_reason", bad_specs_are_refused),
    ("definition::deploy_is_taken_by_the_api_server", deploy_is_taken),
];

/// A spec with everything in it that the contract shows.
fn full() -> Value {
    json!({
        "canaries": [{"version": "v2", "weight": "12.345%"}, {"version": "v3"}],
        "sticky": {"by": [
            {"cookie": "user"}, {"header": "x-user-id"}, {"query": "uid"}, {"jwtClaim": {"claim": "sub", "header": "authorization"}},
            {"baggage": "user"}, {"sourceAddress": {"ipv4Prefix": 32, "ipv6Prefix": 64}}],
            "otherwise": {"issueCookie": {"name": "serin", "maxAge": 3600, "sameSite": "Lax", "secure": true, "httpOnly": true}},
            "salt": "bookinfo/reviews", "algorithm": "serin"},
        "rules": [{"name": "all", "version": "v2", "when": [
            {"header": {"name": "x-team", "in": ["qa", "dev"]}}, {"cookie": {"name": "beta", "exact": "1"}},
            {"query": {"name": "v", "regex": "2(\\.[0-9]+)?"}}, {"path": {"pathPrefix": "/api"}}, {"method": {"in": ["GET", "HEAD"]}},
            {"not": {"header": {"name": "x-bot", "present": true}}}, {"os": {"in": ["ios", "android"]}},
            {"anyOf": [{"cookie": {"name": "ring", "exact": "alpha"}}, {"not": {"header": {"name": "x-ring", "exact": "stable", "ignoreCase": true}}},
                {"sourceAddress": {"in": ["10.0.0.0/8"]}}]}]},
            {"name": "some", "when": [{"authority": {"suffix": ".example.com"}}], "split": [{"version": "v2", "weight": "10%"}],
                "sticky": {"by": [{"cookie": "user"}], "otherwise": "random", "cohort": "spring-train"}}],
        "takeover": "v1", "paused": false,
        "routing": {"mode": "managed", "gateways": ["gateway"], "hosts": ["bookinfo.example.com"], "http": {"timeout": "5s"}},
    })
}

fn dry_run(spec: &Value) -> Result<String, String> {
    let object = release("default", spec.clone());
    kubectl(&["create", "--dry-run=server", "--validate=strict", "-o", "name", "-f", "-"], &object.to_string())
        .map_err(|error| error.to_string())
}

fn good_specs_are_taken() -> Outcome {
    for spec in [
        json!({}),
        full(),
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

/// One change of a good spec, by a JSON pointer, and what the refusal must say.
fn bad_specs_are_refused() -> Outcome {
    let cases: &[(&str, Value, &str)] = &[
        ("/canaries/0/version", json!("v1"), "a canary has stable's version"),
        ("/canaries/1/version", json!("v2"), "Duplicate value"),
        ("/canaries/1/weight", json!("87.656%"), "more than 100%"),
        ("/canaries/0/weight", json!("0.0001%"), "spec.canaries[0].weight"),
        ("/canaries/0/weight", json!(50), "spec.canaries[0].weight"),
        ("/canaries/0/version", json!("-v2"), "spec.canaries[0].version"),
        ("/takeover", json!("v9"), "`takeover` names no version"),
        ("/rules/0/version", json!("v9"), "a rule names no version"),
        ("/rules/0/split", json!([{"version": "v2", "weight": "1%"}]), "either `version` or `split`"),
        ("/rules/1/version", json!("v1"), "either `version` or `split`"),
        ("/rules/1/split/0/version", json!("v9"), "split names no canary"),
        (
            "/rules/1/split",
            json!([{"version": "v2", "weight": "60%"}, {"version": "v3", "weight": "41%"}]),
            "the weights of the split sum to more than 100%",
        ),
        ("/rules/1/name", json!("all"), "Duplicate value"),
        ("/rules/0/sticky", json!({"by": [{"cookie": "user"}]}), "`sticky` belongs to a `split`"),
        ("/rules/0/when/0", json!({}), "exactly one source"),
        (
            "/rules/0/when/0",
            json!({"header": {"name": "a", "exact": "b"}, "cookie": {"name": "a", "exact": "b"}}),
            "exactly one source",
        ),
        ("/rules/0/when/0/header", json!({"name": "a"}), "exactly one operator"),
        ("/rules/0/when/0/header", json!({"name": "a", "exact": "b", "in": ["c"]}), "exactly one operator"),
        ("/rules/0/when/5/not", json!({}), "exactly one source"),
        ("/rules/0/when/7/anyOf/0", json!({"cookie": {"name": "a", "exact": "b", "prefix": "c"}}), "exactly one operator"),
        ("/rules/0/when/7/anyOf/1/not/header", json!({"name": "a"}), "exactly one operator"),
        ("/rules/0/when/6/os/in/0", json!("beos"), "Unsupported value"),
        ("/sticky/cohort", json!("train"), "both `salt` and `cohort`"),
        ("/sticky/by/0", json!({"cookie": "user", "header": "x"}), "exactly one source"),
        ("/sticky/by/0", json!({"cookies": "user"}), "unknown field"),
        ("/sticky/otherwise", json!("sometimes"), "spec.sticky.otherwise"),
        ("/sticky/otherwise", json!({"issue": {}}), "spec.sticky.otherwise"),
        ("/sticky/algorithm", json!("md5"), "Unsupported value"),
        ("/routing/mode", json!("automatic"), "Unsupported value"),
        ("/service", json!("Reviews"), "spec.service"),
        ("/stable", json!({}), "spec.stable.version"),
        ("/weight", json!("5%"), "unknown field"),
    ];
    for (path, value, says) in cases {
        let mut spec = release("default", full())["spec"].clone();
        put(&mut spec, path, value.clone());
        match dry_run(&spec) {
            Ok(_) => return Err(format!("{path}: {value} was taken").into()),
            Err(message) => assert!(message.contains(says), "{path}: {value}: `{says}` is not in: {message}"),
        }
    }
    let mut object = release("default", full());
    object["metadata"]["name"] = json!("x".repeat(64));
    let refused = kubectl(&["create", "--dry-run=server", "-f", "-"], &object.to_string());
    assert!(refused.is_err_and(|error| error.to_string().contains("the name has more than 63 characters; shorten it")));
    Ok(())
}

/// Sets what a JSON pointer names, also where nothing is yet.
fn put(target: &mut Value, path: &str, value: Value) {
    let (parent, name) = path.rsplit_once('/').unwrap();
    let parent = target.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(list) => list[name.parse::<usize>().unwrap()] = value,
        other => other[name] = value,
    }
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
