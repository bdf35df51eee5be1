//! A whole mesh: API server, istiod, Envoys, pods. `tests/stack/` starts it; this is the inside of its network namespace.
#![expect(clippy::indexing_slicing, reason = "a field that a JSON value does not have is null")]

mod client;
mod controller;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::patience::Patience;

pub use client::{Answer, Client, Request, Watcher, agree, agree_within, all_answered, counts, explained, users};
pub use controller::Controller;

/// How long anything in the mesh may take.
pub const CAP: Duration = Duration::from_secs(60);
/// Where the controller serves.
pub const CONTROLLER: &str = "127.0.0.1:18085";

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Waits until something holds.
///
/// # Errors
/// It does not hold within [`CAP`]; the message says what was last seen.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Result<std::result::Result<T, String>>) -> Result<T> {
    eventually_within(CAP, what, look)
}

/// The split document that a WasmPlugin of the mesh carries, as `serin document` prints it.
///
/// # Errors
/// There is no such plugin, or it carries none.
pub fn document(namespace: &str, plugin: &str) -> Result<Value> {
    let plugin = kubectl(&["get", "wasmplugin", "-n", namespace, plugin, "-o", "yaml"], "")?;
    let printed = run(Command::new(crate::command()?).args(["document", "-f", "-"]), &plugin)?;
    Ok(serde_json::from_str(&printed)?)
}

/// The same with another cap.
///
/// # Errors
/// It does not hold within `cap`.
pub fn eventually_within<T>(
    cap: Duration,
    what: &str,
    mut look: impl FnMut() -> Result<std::result::Result<T, String>>,
) -> Result<T> {
    let mut patience = Patience::new(cap);
    loop {
        let seen = match look() {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => seen,
            Err(error) => error.to_string(),
        };
        if patience.is_over(Duration::from_millis(50)) {
            return Err(format!("not within {cap:?}: {what}; last seen: {seen}").into());
        }
    }
}

/// Runs a program with a text on its standard input and answers with its standard output.
fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    // A program that fails may not read all of it.
    let _ = writer.join();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into()),
    }
}

fn variable(name: &str) -> Result<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set; run tests/stack/run.sh").into())
}

/// `kubectl` with these arguments and this standard input.
///
/// # Errors
/// What it says.
pub fn kubectl(arguments: &[&str], input: &str) -> Result<String> {
    run(Command::new(variable("KUBECTL")?).args(arguments), input)
}

/// Applies objects, each as its owner would.
///
/// # Errors
/// What the API server says.
pub fn apply(objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl(&["apply", "-f", "-"], &list.to_string()).map(|_| ())
}

/// An object.
///
/// # Errors
/// It is not there.
pub fn get(kind: &str, namespace: &str, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl(&["get", kind, "-n", namespace, name, "-o", "json"], "")?)?)
}

/// Changes an object by a merge patch.
///
/// # Errors
/// What the API server says.
pub fn patch(kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<()> {
    kubectl(&["patch", kind, "-n", namespace, name, "--type=merge", "-p", &patch.to_string()], "").map(|_| ())
}

/// Starts, stops, kills or restarts a process of the mesh, such as `etcd` or `istiod`.
///
/// # Errors
/// What the stack says.
pub fn process(action: &str, name: &str) -> Result<()> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("stack/ctl.sh");
    run(Command::new(script).args([action, name]), "").map(|_| ())
}

/// The domain of the cluster: `MESH_DOMAIN`, where a mesh was started with another one.
#[must_use]
pub fn domain() -> String {
    std::env::var("MESH_DOMAIN").unwrap_or_else(|_| serin_release::domain::ClusterDomain::USUAL.to_owned())
}

/// A Service `reviews` in a namespace of its own, with Deployments of these versions and numbers of pods, all of them ready.
///
/// # Errors
/// They do not become ready, or another test has the namespace, whose objects would act here.
pub fn reviews(namespace: &str, versions: &[(&str, u32)]) -> Result<()> {
    static TAKEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if !TAKEN.lock().is_ok_and(|mut taken| taken.insert(namespace.to_owned())) {
        return Err(format!("the namespace {namespace} is another test's").into());
    }
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews", "namespace": namespace},
            "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080, "targetPort": 8000}]}}),
    ];
    objects.extend(versions.iter().map(|(version, replicas)| deployment(namespace, version, *replicas)));
    apply(&objects)?;
    for (version, _) in versions {
        kubectl(&["rollout", "status", "-n", namespace, &format!("deployment/reviews-{version}"), "--timeout=60s"], "")?;
    }
    Ok(())
}

/// A Deployment of `reviews`.
#[must_use]
pub fn deployment(namespace: &str, version: &str, replicas: u32) -> Value {
    let labels = json!({"app": "reviews", "version": version});
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("reviews-{version}"), "namespace": namespace, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "reviews", "image": format!("examples-bookinfo-reviews-{version}:1.16.2")}]}}}})
}

/// A release `reviews` with this spec, whose Service and stable version are `reviews` and `v1` unless it says otherwise.
#[must_use]
pub fn release(namespace: &str, spec: Value) -> Value {
    let mut whole = json!({"service": "reviews", "stable": {"version": "v1"}});
    for (name, value) in spec.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "reviews", "namespace": namespace}, "spec": whole})
}

/// The condition of a release: status, reason and message.
///
/// # Errors
/// It is not there.
pub fn condition(namespace: &str, name: &str, kind: &str) -> Result<(String, String, String)> {
    let object = get("crel", namespace, name)?;
    let found = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let condition = found
        .into_iter()
        .find(|condition| condition["type"] == kind)
        .ok_or_else(|| format!("no condition {kind}: {object}"))?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("reason"), text("message")))
}

/// Waits until the status speaks of the current spec, and a condition has this reason.
///
/// # Errors
/// It never has.
pub fn await_reason(namespace: &str, name: &str, kind: &str, reason: &str) -> Result<String> {
    eventually(&format!("{kind} of {namespace}/{name} is {reason}"), || {
        let object = get("crel", namespace, name)?;
        if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
            return Ok(Err(format!("generation {} observed", object["status"]["observedGeneration"])));
        }
        let (_, found, message) = condition(namespace, name, kind)?;
        Ok(if found == reason { Ok(message) } else { Err(format!("{found}: {message}")) })
    })
}

/// Half of the users, by the cookie `user`, on v2.
#[must_use]
pub fn half() -> Value {
    json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": {"by": [{"cookie": "user"}]}})
}

/// A controller, and a client of `reviews` in v1 and v2 with a release of this spec, once everybody gets what `serin explain` says; with how
/// many of the 1 000 users each version has.
///
/// # Errors
/// It does not come so far.
pub fn running(namespace: &str, spec: Value) -> Result<(Controller, Client, BTreeMap<String, usize>)> {
    reviews(namespace, &[("v1", 1), ("v2", 1)])?;
    let controller = Controller::start(namespace, CONTROLLER, &[])?;
    apply(&[release(namespace, spec)])?;
    await_reason(namespace, "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of(namespace)?;
    let shares = agree(namespace, &mut client)?;
    Ok((controller, client, shares))
}

/// Installs the definition, the namespace and the rights of the controller.
///
/// # Errors
/// What the API server says.
pub fn install() -> Result<()> {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "serin-system"}});
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "serin", "namespace": "serin-system"}});
    apply(&[namespace, account])?;
    for file in ["crds", "rbac.yaml", "roles.yaml", "policy.yaml"] {
        let path = deploy.join(file);
        kubectl(&["apply", "--server-side", "-f", path.to_str().ok_or("the path is not UTF-8")?], "")?;
    }
    let definitions = ["crd/canaryreleases.serin.dev", "crd/canarycontrols.serin.dev"];
    kubectl(&[&["wait", "--for=condition=established", "--timeout=60s"], &definitions[..]].concat(), "").map(|_| ())
}

/// Removes what a failed test has left: releases, controls, and what a controller has made of them.
///
/// # Errors
/// Something stays.
pub fn tidy() -> Result<()> {
    kubectl(&["delete", "cctl", "-A", "--all"], "")?;
    eventually("nothing of Serin's is left", || {
        // It is refused while the lease of a controller that was killed runs.
        let cleanup = ["cleanup", "--yes", "--drain-ms", "0"];
        Ok(run(Command::new(crate::command()?).args(cleanup), "").map_err(|error| error.to_string()))
    })?;
    kubectl(&["delete", "crel", "-A", "--all", "--timeout=60s"], "").map(|_| ())
}

/// A kubeconfig of the ServiceAccount of the controller.
///
/// # Errors
/// There is no token for it.
pub fn kubeconfig() -> Result<PathBuf> {
    kubeconfig_of("serin")
}

/// A token of a ServiceAccount in the namespace `serin-system`.
///
/// # Errors
/// There is no such account.
pub fn token(account: &str) -> Result<String> {
    Ok(kubectl(&["create", "token", "-n", "serin-system", account, "--duration=2h"], "")?.trim().to_owned())
}

/// A kubeconfig of a ServiceAccount in the namespace `serin-system`.
///
/// # Errors
/// There is no token for it.
pub fn kubeconfig_of(account: &str) -> Result<PathBuf> {
    let path = variable("RUN")?.join(format!("{account}.kubeconfig"));
    if path.is_file() {
        return Ok(path);
    }
    let token = token(account)?;
    let admin: Value = serde_saphyr::from_str(&std::fs::read_to_string(variable("KUBECONFIG")?)?)?;
    let config = json!({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": "u", "user": {"token": token}}], "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}
