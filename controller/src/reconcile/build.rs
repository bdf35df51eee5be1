//! Step 4, build: the objects of the mesh as Serin wants them. No client required; cannot fail.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::check::Accepted;
use super::hosts::{MANAGED_BY, MANAGER, RELEASE_LABEL};
use super::references::{References, VERSION_LABEL, text};
use super::resource::Resource;
use crate::api::v1alpha1::{RoutingMode, Workload};
use crate::cluster::kind::Kind;
use crate::cluster::world::Object;

/// An object as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Wanted {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The fields that are Serin's.
    pub body: Value,
}

/// The annotation that tells which fields were applied last: also one that is no longer wanted is noticed.
pub const APPLIED: &str = "serin.dev/applied";

impl Wanted {
    /// An object with its labels, and the digest of what it shall hold.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str, release: &str, content: Map<String, Value>) -> Self {
        let digest = digest(Value::Object(content.clone()).to_string().as_bytes());
        let digest = digest.get(..16).unwrap_or_default();
        let mut body = content;
        let labels = body.remove("labels");
        let mut metadata = json!({
            "name": name, "namespace": namespace,
            "labels": {MANAGED_BY: MANAGER, RELEASE_LABEL: release},
            "annotations": {APPLIED: digest},
        });
        for (key, value) in labels.iter().filter_map(Value::as_object).flatten() {
            set(&mut metadata, &["labels", key], value.clone());
        }
        body.insert("apiVersion".into(), kind.api_version().into());
        body.insert("kind".into(), kind.name().into());
        body.insert("metadata".into(), metadata);
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned(), body: Value::Object(body) }
    }

    /// Whether an object is already as it shall be. Fields of others do not count.
    #[must_use]
    pub fn is(&self, found: &Object) -> bool {
        let Some(fields) = self.body.as_object() else { return true };
        let metadata = serde_json::to_value(&found.metadata).unwrap_or_default();
        fields.iter().all(|(name, wanted)| match name.as_str() {
            "apiVersion" | "kind" => true,
            "metadata" => contains(&metadata, wanted),
            name => found.data.get(name).is_some_and(|found| contains(found, wanted)),
        })
    }
}

/// Whether all that is wanted is there: lists are equal, objects may have more.
#[must_use]
pub fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(name, wanted)| found.get(name).is_some_and(|found| contains(found, wanted)))
        }
        // The API server adds defaults to the elements of lists too.
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| contains(found, wanted))
        }
        // A Struct carries each number as a double.
        (Value::Number(found), Value::Number(wanted)) => found == wanted || found.as_f64() == wanted.as_f64(),
        _ => found == wanted,
    }
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The subset of a version. Istio's names are DNS labels; of other versions a digest keeps them apart.
#[must_use]
pub fn subset_name(version: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if version.chars().all(fits) {
        return version.to_owned();
    }
    let readable: String = version.to_ascii_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).take(54).collect();
    format!("{readable}-{}", digest(version.as_bytes()).get(..8).unwrap_or_default())
}

/// The subsets of these versions, so that they merge with a rule of the owner's for the same host.
#[must_use]
pub fn destination_rule(resource: &Resource, host: &str, references: &References, versions: &BTreeSet<String>) -> Wanted {
    let subset = |version: &String| json!({"name": subset_name(version), "labels": {VERSION_LABEL: version}});
    let mut spec = json!({"host": host, "subsets": versions.iter().map(subset).collect::<Vec<_>>()});
    let same_host = |rule: &&Object| {
        rule.metadata.namespace.as_deref() == Some(&resource.namespace)
            && rule.data.pointer("/spec/host").and_then(Value::as_str).is_some_and(|host| !host.starts_with('*'))
    };
    match references.foreign_rules.iter().find(same_host) {
        // Rules merge only where they are exported alike.
        Some(owners) => {
            if let Some(export) = owners.data.pointer("/spec/exportTo") {
                set(&mut spec, &["exportTo"], export.clone());
            }
        }
        // A rule for a wildcard or of the root namespace acted until now, and ours hides it: its policy is carried on.
        None => {
            let wide = |rule: &&Object| rule.data.pointer("/spec/workloadSelector").is_none();
            let near = |rule: &Object| {
                let host = rule.data.pointer("/spec/host").and_then(Value::as_str).unwrap_or_default();
                (rule.metadata.namespace.as_deref() == Some(&resource.namespace), host.len())
            };
            let policy = references.foreign_rules.iter().filter(wide).max_by_key(|rule| near(rule));
            if let Some(policy) = policy.and_then(|rule| rule.data.pointer("/spec/trafficPolicy")) {
                set(&mut spec, &["trafficPolicy"], policy.clone());
            }
        }
    }
    let (name, ..) = resource.object_names();
    Wanted::new(Kind::DestinationRule, &resource.namespace, &name, &resource.name, content(spec))
}

/// The routes: one for each version that the filter may name, behind them stable. `gateway` chooses the one for gateways.
#[must_use]
pub fn virtual_service(
    accepted: &Accepted<'_>,
    resource: &Resource,
    references: &References,
    header: &str,
    stable: &str,
    versions: &BTreeSet<String>,
    gateway: bool,
) -> Wanted {
    let spec = &accepted.release.spec;
    let (host, routing) = (accepted.release.host(), &accepted.routing);
    let route = |name: &str, version: Option<&str>, port: Option<u16>, matches: Option<Value>| {
        let mut destination = json!({"host": host});
        if let Some(version) = version {
            set(&mut destination, &["subset"], subset_name(version).into());
        }
        if let Some(port) = port {
            set(&mut destination, &["port"], json!({"number": port}));
        }
        let mut http = routing.http.clone().unwrap_or_else(|| json!({}));
        set(&mut http, &["name"], name.into());
        set(&mut http, &["route"], json!([{"destination": destination}]));
        if let Some(matches) = matches {
            set(&mut http, &["match"], json!([matches]));
        }
        http
    };
    let canaries = versions.iter().filter(|version| version.as_str() != stable);
    let named = |version: &str| format!("{}.{}.{version}", resource.namespace, resource.name);
    let by_header = |version: &str| json!({"headers": {header: {"exact": version}}});
    let mut http: Vec<Value> = Vec::new();
    if gateway || routing.mode == RoutingMode::Delegate || spec.ports.is_empty() {
        let port = match gateway || routing.mode == RoutingMode::Delegate {
            true => target_port(spec.ports.as_slice(), references, gateway),
            // In the mesh a route keeps the port that the client asked for.
            false => None,
        };
        http.extend(canaries.map(|version| route(&named(version), Some(version), port, Some(by_header(version)))));
        http.push(route(&named(stable), Some(stable), port, None));
    } else {
        for &port in &spec.ports {
            let at = |matches: Value| {
                let mut matches = matches;
                set(&mut matches, &["port"], port.into());
                Some(matches)
            };
            http.extend(
                canaries.clone().map(|version| route(&named(version), Some(version), Some(port), at(by_header(version)))),
            );
            http.push(route(&named(stable), Some(stable), Some(port), at(json!({}))));
        }
        // The other ports stay as they were without a release.
        http.push(route(&format!("{}.{}.other-ports", resource.namespace, resource.name), None, None, None));
    }
    let (_, mesh_name, gateway_name) = resource.object_names();
    let (name, spec) = match (gateway, routing.mode) {
        (true, _) => (gateway_name, json!({"hosts": routing.hosts, "gateways": routing.gateways, "http": http})),
        (false, RoutingMode::Delegate) => (mesh_name, json!({"http": http})),
        (false, _) => (mesh_name, json!({"hosts": [host], "http": http})),
    };
    Wanted::new(Kind::VirtualService, &resource.namespace, &name, &resource.name, content(spec))
}

/// The port behind a gateway, where a request does not say it: the first one listed, else the Service's first one for HTTP. A
/// delegate serves the mesh too, so that it names a port only where there is one.
fn target_port(listed: &[u16], references: &References, gateway: bool) -> Option<u16> {
    let http =
        references.service.iter().flat_map(|service| service.ports.iter().filter(|port| port.http).map(|port| port.number));
    let ports: Vec<u16> = match listed.is_empty() {
        true => http.collect(),
        false => listed.to_vec(),
    };
    match gateway || ports.len() == 1 {
        true => ports.first().copied(),
        false => None,
    }
}

/// The name of the clone of stable's Deployment for a canary.
#[must_use]
pub fn clone_name(stable: &Object, stable_version: &str, version: &str) -> String {
    let name = text(stable.metadata.name.as_deref());
    let base = name.strip_suffix(&format!("-{stable_version}")).unwrap_or(&name);
    let suffix = subset_name(version);
    // A Deployment's name is a DNS label once its pods are named after it.
    let base: String = base.chars().take(62_usize.saturating_sub(suffix.len())).collect();
    format!("{base}-{suffix}")
}

/// A clone of stable's Deployment with other images.
#[must_use]
pub fn deployment(resource: &Resource, stable: &Object, stable_version: &str, version: &str, workload: &Workload) -> Wanted {
    let mut spec = stable.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    match workload.replicas {
        Some(replicas) => set(&mut spec, &["replicas"], replicas.into()),
        // Left to whoever scales it: one pod unless told.
        None => {
            if let Some(spec) = spec.as_object_mut() {
                spec.remove("replicas");
            }
        }
    }
    set(&mut spec, &["selector", "matchLabels", VERSION_LABEL], version.into());
    set(&mut spec, &["template", "metadata", "labels", VERSION_LABEL], version.into());
    if let Some(annotations) = spec.pointer_mut("/template/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/restartedAt");
    }
    let containers = spec.pointer_mut("/template/spec/containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let image = container.get("name").and_then(Value::as_str).and_then(|name| workload.images.get(name)).cloned();
        if let Some(image) = image {
            set(container, &["image"], image.into());
        }
    }
    let name = clone_name(stable, stable_version, version);
    let mut content = content(spec);
    let labels = stable.metadata.labels.clone().unwrap_or_default();
    // What marks the owner's tool would make that tool delete the clone.
    let theirs = [MANAGED_BY, RELEASE_LABEL, VERSION_LABEL, "app.kubernetes.io/instance", "argocd.argoproj.io/instance"];
    let own = |key: &String| !theirs.contains(&key.as_str());
    let mut labels: Map<String, Value> =
        labels.into_iter().filter(|(key, _)| own(key)).map(|(key, value)| (key, value.into())).collect();
    labels.insert(VERSION_LABEL.into(), version.into());
    content.insert("labels".into(), Value::Object(labels));
    Wanted::new(Kind::Deployment, &resource.namespace, &name, &resource.name, content)
}

fn content(spec: Value) -> Map<String, Value> {
    Map::from_iter([("spec".to_owned(), spec)])
}

/// Sets a field, with the objects around it.
fn set(target: &mut Value, path: &[&str], value: Value) {
    let mut place = target;
    for name in path {
        if !place.is_object() {
            *place = json!({});
        }
        let Some(fields) = place.as_object_mut() else { return };
        place = fields.entry((*name).to_owned()).or_insert(Value::Null);
    }
    *place = value;
}
