//! What the controller may do: exactly what it does. `deploy/` and its chart are generated from here, and the tests run the
//! controller under these rules.

use serde_json::{Value, json};

use super::kind::Kind;

/// Kinds that are only read.
const READ: [Kind; 7] = [
    Kind::Namespace,
    Kind::Service,
    Kind::Pod,
    Kind::EndpointSlice,
    Kind::WorkloadEntry,
    Kind::ServiceEntry,
    Kind::CanaryRelease,
];
/// Kinds that are written too. An apply that makes an object needs `create` beside `patch`.
const WRITTEN: [Kind; 4] = [Kind::Deployment, Kind::VirtualService, Kind::DestinationRule, Kind::WasmPlugin];

/// The rules that hold in all namespaces.
#[must_use]
pub fn cluster_rules() -> Vec<Value> {
    let rule =
        |kind: Kind, verbs: &[&str]| json!({"apiGroups": [kind.group()], "resources": [kind.plural()], "verbs": verbs});
    let mut rules: Vec<Value> = READ.iter().map(|kind| rule(*kind, &["list", "watch"])).collect();
    rules.extend(WRITTEN.iter().map(|kind| rule(*kind, &["list", "watch", "create", "patch", "delete"])));
    // The finalizer, and the status.
    rules.push(rule(Kind::CanaryRelease, &["patch"]));
    rules.push(
        json!({"apiGroups": [Kind::CanaryRelease.group()], "resources": ["canaryreleases/status"], "verbs": ["patch"]}),
    );
    rules.push(json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}));
    rules
}

/// The rules that hold in the controller's own namespace: the lease, and the filters that it serves.
#[must_use]
pub fn namespace_rules() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]}),
        json!({"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["serin"], "verbs": ["get", "update"]}),
        json!({"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "create", "patch", "delete"]}),
    ]
}

/// The objects as `deploy/` has them.
#[must_use]
pub fn manifest() -> String {
    let (namespace, rbac) = ("serin-system", "rbac.authorization.k8s.io");
    let api_version = format!("{rbac}/v1");
    let role = |kind: &str, rules: Vec<Value>| json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "serin"}, "rules": rules});
    let binding = |kind: &str| {
        json!({
            "apiVersion": api_version, "kind": format!("{kind}Binding"), "metadata": {"name": "serin"},
            "roleRef": {"apiGroup": rbac, "kind": kind, "name": "serin"},
            "subjects": [{"kind": "ServiceAccount", "name": "serin", "namespace": namespace}],
        })
    };
    let within = |mut object: Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".into(), namespace.into());
        }
        object
    };
    let objects = [
        role("ClusterRole", cluster_rules()),
        binding("ClusterRole"),
        within(role("Role", namespace_rules())),
        within(binding("Role")),
    ];
    let texts: Vec<String> = objects.iter().map(yaml).collect();
    texts.join("---\n")
}

/// The rules as the chart reads them.
#[must_use]
pub fn chart_rules() -> String {
    yaml(&json!({"clusterRules": cluster_rules(), "namespaceRules": namespace_rules()}))
}

fn yaml(value: &Value) -> String {
    // A JSON value always has a YAML form.
    serde_saphyr::to_string(value).unwrap_or_default()
}
