//! The admission policies of `deploy/`: who sets a field of a release that stands for another right must have that right; who
//! deletes a release whose canary has everything is told what that does; and a CanaryControl names who wrote it, which histories tell.
//!
//! The controller writes Deployments and VirtualServices with its own rights, so a release could lend them to somebody who has none.
//! A field that stays as it is asks for nothing: a rollback, a weight and the controller's own finalizer always pass.

use serde_json::{Value, json};

use super::rbac::stream;
use serin_mesh::Kind;

/// The names of the policies, and of their bindings.
const RIGHTS: &str = "serin";
const DELETION: &str = "serin-deletion";
const AUTHOR: &str = "serin-author";

/// Names for expressions, which later ones use.
const VARIABLES: [(&str, &str); 8] = [
    ("old", "request.operation == 'CREATE' ? dyn({}) : dyn(oldObject.spec)"),
    ("clones", "object.spec.?canaries.orValue([]).filter(c, has(c.workload))"),
    ("oldCanaries", "variables.old.?canaries.orValue([])"),
    ("routing", "object.spec.?routing.orValue({})"),
    ("oldRouting", "variables.old.?routing.orValue({})"),
    // A clone is known by its version. What it is a clone of counts too: another Deployment has another account and other Secrets.
    (
        "runs",
        "variables.clones.exists(c, !variables.oldCanaries.exists(o, o.version == c.version && has(o.workload) && o.workload == c.workload)) \
         || (variables.clones.size() > 0 && (object.spec.service != variables.old.?service.orValue('') \
         || object.spec.stable.?deployment.orValue('') != variables.old.?stable.?deployment.orValue('')))",
    ),
    // A `service` with a dot is a host too, of a ServiceEntry, and nobody has proven that it is this namespace's.
    (
        "claims",
        "['hosts', 'gateways'].exists(f, f in variables.routing && variables.routing[f].exists(v, \
         !(f in variables.oldRouting && v in variables.oldRouting[f]))) || (object.spec.service.contains('.') \
         && !object.spec.service.contains('.' + request.namespace + '.svc.') \
         && object.spec.service != variables.old.?service.orValue(''))",
    ),
    (
        "mirrors",
        "['mirror', 'mirrors', 'mirrorPercent', 'mirrorPercentage'].exists(f, has(variables.routing.http) && f in variables.routing.http && \
         !(has(variables.oldRouting.http) && f in variables.oldRouting.http && variables.routing.http[f] == variables.oldRouting.http[f]))",
    ),
];

/// An expression that must hold, and what to say where it does not.
fn validation(asked: &str, kind: Kind, what: &str, instead: &str) -> Value {
    let (group, plural) = (kind.group(), kind.plural());
    let expression = format!(
        "!({asked}) || authorizer.group('{group}').resource('{plural}').namespace(request.namespace).check('create').allowed()"
    );
    let message = format!(
        "'{what}, and ' + request.userInfo.username + ' may not create {plural}.{group} in namespace ' + request.namespace + \
         '; {instead}, or ask who grants roles in this namespace for that right'"
    );
    json!({"expression": expression, "messageExpression": message, "reason": "Forbidden"})
}

/// What a policy matches.
fn matches(kind: Kind, operations: &[&str]) -> Value {
    json!({"resourceRules": [{
        "apiGroups": [kind.group()], "apiVersions": ["*"], "resources": [kind.plural()], "operations": operations,
    }]})
}

/// What the policy says, for the API server.
fn spec() -> Value {
    let variables: Vec<Value> =
        VARIABLES.iter().map(|(name, expression)| json!({"name": name, "expression": expression})).collect();
    json!({
        "failurePolicy": "Fail",
        "matchConstraints": matches(Kind::CanaryRelease, &["CREATE", "UPDATE"]),
        "variables": variables,
        "validations": [
            validation(
                "variables.runs",
                Kind::Deployment,
                "`workload` runs pods, as a clone of another Deployment",
                "leave `workload` and what it clones as they were",
            ),
            validation(
                "variables.claims || variables.mirrors",
                Kind::VirtualService,
                "hosts, gateways and mirrors act as a VirtualService does",
                "leave them as they were",
            ),
        ],
    })
}

/// What the policy for deletions says: a warning, which nobody has to heed.
fn deletion() -> Value {
    json!({
        "failurePolicy": "Ignore",
        "matchConstraints": matches(Kind::CanaryRelease, &["DELETE"]),
        "validations": [{
            "expression": "!has(oldObject.spec.takeover) || oldObject.spec.takeover == oldObject.spec.stable.version",
            "messageExpression": "'everybody goes from ' + oldObject.spec.takeover + ' back to stable ' + oldObject.spec.stable.version + \
                                  ', and pods that Serin made for ' + oldObject.spec.takeover + ' go; to keep it, make it stable first: set \
                                  spec.stable.version to ' + oldObject.spec.takeover + ', and leave out takeover and its canary'",
        }],
    })
}

/// Says that a control is by whoever writes it. Who changes labels or owners alone says nothing.
fn author() -> Value {
    json!({
        "failurePolicy": "Fail",
        "matchConstraints": matches(Kind::CanaryControl, &["CREATE", "UPDATE"]),
        "validations": [{
            "expression": "object.spec.?by.orValue('') == request.userInfo.username || (request.operation == 'UPDATE' && object.spec == oldObject.spec)",
            "messageExpression": "'spec.by must be ' + request.userInfo.username + ', who writes this; `serin` fills it in'",
        }],
    })
}

/// Writes who it is, whatever was said; needs Kubernetes 1.36.
fn filled_author() -> Value {
    json!({
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": matches(Kind::CanaryControl, &["CREATE", "UPDATE"]),
        "matchConditions": [{
            "name": "spec-changes", "expression": "request.operation == 'CREATE' || object.spec != oldObject.spec",
        }],
        "mutations": [{
            "patchType": "ApplyConfiguration",
            "applyConfiguration": {"expression": "Object{spec: Object.spec{by: request.userInfo.username}}"},
        }],
    })
}

/// A policy and its binding.
fn policy(kind: &str, name: &str, spec: &Value, binding: &Value) -> [Value; 2] {
    let object = |kind: &str, spec: &Value| json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec});
    [object(kind, spec), object(&format!("{kind}Binding"), binding)]
}

fn validating(name: &str, spec: &Value, action: &str) -> [Value; 2] {
    policy("ValidatingAdmissionPolicy", name, spec, &json!({"policyName": name, "validationActions": [action]}))
}

/// The policies and their bindings as `deploy/` has them.
#[must_use]
pub fn manifest() -> String {
    stream(
        &[
            validating(RIGHTS, &spec(), "Deny"),
            validating(DELETION, &deletion(), "Warn"),
            validating(AUTHOR, &author(), "Deny"),
        ]
        .concat(),
    )
}

/// The policy that fills in who writes a control, and its binding.
#[must_use]
pub fn author_manifest() -> String {
    stream(&policy("MutatingAdmissionPolicy", AUTHOR, &filled_author(), &json!({"policyName": AUTHOR})))
}

/// What the policies say, as the chart reads it.
#[must_use]
pub fn chart_spec() -> String {
    super::rbac::yaml(&json!({
        "rights": spec(), "deletion": deletion(), "author": author(), "filledAuthor": filled_author(),
    }))
}
