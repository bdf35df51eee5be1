//! Rights: what the controller may do, which is exactly what it does, and what its users may be granted. `deploy/` and its chart are
//! generated from here, and the tests run the controller under these rules.

use serde_json::{Value, json};

use serin_mesh::Kind;

/// The API group of roles.
const GROUP: &str = "rbac.authorization.k8s.io";
/// What an apply that makes an object needs `create` for, beside `patch`.
const WRITE: [&str; 3] = ["create", "patch", "delete"];

fn rule(kind: Kind, verbs: &[&str]) -> Value {
    json!({"apiGroups": [kind.group()], "resources": [kind.plural()], "verbs": verbs})
}

/// The rules that hold in all namespaces, whatever the controller is set to.
#[must_use]
pub fn cluster_rules() -> Vec<Value> {
    let mut rules: Vec<Value> = Kind::ALL.into_iter().map(|kind| rule(kind, &["list", "watch"])).collect();
    let written = Kind::ALL.into_iter().filter(|kind| kind.is_written() && !kind.is_of_workloads());
    rules.extend(written.map(|kind| rule(kind, &WRITE)));
    // The finalizer, and the status.
    rules.push(rule(Kind::CanaryRelease, &["patch"]));
    rules.push(
        json!({"apiGroups": [Kind::CanaryRelease.group()], "resources": ["canaryreleases/status"], "verbs": ["patch"]}),
    );
    rules.push(json!({"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]}));
    rules
}

/// What clones for canaries with a `workload` need; nothing else does.
#[must_use]
pub fn workload_rules() -> Vec<Value> {
    Kind::ALL.into_iter().filter(|kind| kind.is_of_workloads()).map(|kind| rule(kind, &WRITE)).collect()
}

/// What it takes to ask who reads metrics, and whether they may.
#[must_use]
pub fn metrics_rules() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}),
        json!({"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]}),
    ]
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

const READ: [&str; 3] = ["get", "list", "watch"];
const EDIT: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

/// What `serin-view` grants: to read releases and what people say of them.
#[must_use]
pub fn view_rules() -> Vec<Value> {
    vec![rule(Kind::CanaryRelease, &READ), rule(Kind::CanaryControl, &READ)]
}

/// What `serin-edit` grants: to read and to write both. The status of a release is the controller's.
#[must_use]
pub fn edit_rules() -> Vec<Value> {
    vec![rule(Kind::CanaryRelease, &EDIT), rule(Kind::CanaryControl, &EDIT)]
}

/// What `serin-operator` grants, to who is on call: to read releases, and to roll back, take over, set weights and pause.
#[must_use]
pub fn operator_rules() -> Vec<Value> {
    vec![rule(Kind::CanaryRelease, &READ), rule(Kind::CanaryControl, &EDIT)]
}

/// What `serin-metrics-reader` grants, as the controller asks for it: to read its metrics.
#[must_use]
pub fn reader_rules() -> Vec<Value> {
    vec![json!({"nonResourceURLs": [super::access::PATH], "verbs": ["get"]})]
}

fn role(kind: &str, name: &str, rules: Vec<Value>) -> Value {
    json!({"apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": {"name": name}, "rules": rules})
}

/// A role that Kubernetes adds to its own ones of these names.
fn aggregated(name: &str, to: &[&str], rules: Vec<Value>) -> Value {
    let labels = to.iter().map(|role| (format!("{GROUP}/aggregate-to-{role}"), Value::from("true")));
    let mut role = role("ClusterRole", name, rules);
    if let Some(metadata) = role.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("labels".into(), labels.collect::<serde_json::Map<_, _>>().into());
    }
    role
}

/// The controller's objects as `deploy/` has them.
#[must_use]
pub fn manifest() -> String {
    let namespace = "serin-system";
    let binding = |kind: &str| {
        json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": format!("{kind}Binding"), "metadata": {"name": "serin"},
            "roleRef": {"apiGroup": GROUP, "kind": kind, "name": "serin"},
            "subjects": [{"kind": "ServiceAccount", "name": "serin", "namespace": namespace}],
        })
    };
    let within = |mut object: Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("namespace".into(), namespace.into());
        }
        object
    };
    stream(&[
        role("ClusterRole", "serin", [cluster_rules(), workload_rules(), metrics_rules()].concat()),
        binding("ClusterRole"),
        within(role("Role", "serin", namespace_rules())),
        within(binding("Role")),
        role("ClusterRole", "serin-metrics-reader", reader_rules()),
    ])
}

/// The controller's ClusterRole where no Deployment is written.
#[must_use]
pub fn without_workloads() -> String {
    yaml(&role("ClusterRole", "serin", [cluster_rules(), metrics_rules()].concat()))
}

/// The roles for users, which Kubernetes' own ones `view`, `edit` and `admin` take up.
#[must_use]
pub fn user_roles() -> String {
    stream(&[
        aggregated("serin-view", &["view"], view_rules()),
        aggregated("serin-edit", &["edit", "admin"], edit_rules()),
        role("ClusterRole", "serin-viewer", view_rules()),
        role("ClusterRole", "serin-operator", operator_rules()),
    ])
}

/// The rules as the chart reads them.
#[must_use]
pub fn chart_rules() -> String {
    yaml(&json!({
        "clusterRules": cluster_rules(), "workloadRules": workload_rules(), "metricsRules": metrics_rules(),
        "namespaceRules": namespace_rules(), "viewRules": view_rules(), "editRules": edit_rules(), "operatorRules": operator_rules(), "readerRules": reader_rules(),
    }))
}

/// Objects as one text.
pub(crate) fn stream(objects: &[Value]) -> String {
    objects.iter().map(yaml).collect::<Vec<_>>().join("---\n")
}

pub(crate) fn yaml(value: &Value) -> String {
    // A JSON value always has a YAML form.
    serde_saphyr::to_string(value).unwrap_or_default()
}
