//! Step 5, publish: one document for each scope, through the gate. No client required.
//!
//! A scope is what one WasmPlugin reaches: all sidecars and gateways of the mesh, or one waypoint.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use serin_config::{ReleaseSplit, Split, SplitDocument};

use super::build::Wanted;
use crate::api::v1alpha1::Allocation;
use crate::cluster::kind::Kind;
use crate::cluster::world::Object;

/// A document may have so many bytes: the API server's store takes 1.5 MiB for an object, and there is more in it.
pub const DOCUMENT_LIMIT: usize = 1_000_000;

/// What one WasmPlugin reaches.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All sidecars and gateways.
    Mesh,
    /// A waypoint: namespace and name of its Gateway.
    Waypoint(String, String),
}

/// What is published of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its bucket maps.
    pub allocation: Allocation,
    /// What its last good spec says; a pause holds it.
    pub wanted: ReleaseSplit,
    /// The same without what cannot take requests: what the filter reads.
    pub served: ReleaseSplit,
    /// The automata of its patterns.
    pub automata: BTreeMap<String, String>,
    /// The waypoint that also needs it.
    pub waypoint: Option<(String, String)>,
}

/// How proxies get the filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The url of the WasmPlugin.
    pub url: String,
    /// The digest, where it is known.
    pub sha256: Option<String>,
}

/// The documents of all scopes, and the releases that do not fit.
#[derive(Debug, Default)]
pub struct Documents {
    /// By scope, each compiled once.
    pub scopes: BTreeMap<Scope, SplitDocument>,
    /// Releases that are left out.
    pub left_out: BTreeSet<String>,
}

/// Makes the documents. Where they grow too large the releases that were not in the last document stay out.
///
/// # Errors
/// What the gate says; each entry went through it alone before, so that this is a fault of Serin's.
pub fn documents(
    entries: &BTreeMap<String, Entry>,
    published: &BTreeSet<String>,
    settings: &SplitDocument,
) -> Result<Documents, String> {
    let mut documents = Documents::default();
    let mut sizes: BTreeMap<Scope, usize> = BTreeMap::new();
    documents.scopes.insert(Scope::Mesh, settings.clone());
    let mut order: Vec<(&String, &Entry)> = entries.iter().collect();
    order.sort_by_key(|(id, _)| !published.contains(*id));
    for (id, entry) in order {
        let waypoint = entry.waypoint.as_ref().map(|(namespace, name)| Scope::Waypoint(namespace.clone(), name.clone()));
        let size = size_of(entry);
        for scope in std::iter::once(Scope::Mesh).chain(waypoint) {
            let sum = sizes.entry(scope.clone()).or_insert(0);
            if *sum + size > DOCUMENT_LIMIT {
                documents.left_out.insert(id.clone());
                continue;
            }
            *sum += size;
            let document = documents.scopes.entry(scope).or_insert_with(|| settings.clone());
            document.splits.push(entry.served.clone());
            document.automata.extend(entry.automata.iter().map(|(pattern, automaton)| (pattern.clone(), automaton.clone())));
        }
    }
    for document in documents.scopes.values_mut() {
        // By name, whatever order they came in: the same releases give the same text.
        document.splits.sort_by(|a, b| a.release.cmp(&b.release));
        Split::compile(document).map_err(|error| error.to_string())?;
    }
    Ok(documents)
}

fn size_of(entry: &Entry) -> usize {
    let split = serde_json::to_string(&entry.served).map_or(0, |text| text.len() + 1);
    // A key of a map is in the list of managed fields once more.
    let automata = entry.automata.iter().map(|(pattern, automaton)| 2 * pattern.len() + automaton.len() + 16);
    split + automata.sum::<usize>()
}

/// The WasmPlugin of a scope.
#[must_use]
pub fn plugin(scope: &Scope, document: &SplitDocument, module: &Module, root_namespace: &str) -> Wanted {
    let mut spec = json!({
        "url": module.url,
        "imagePullPolicy": "IfNotPresent",
        // Where the filter fails requests take the default route, to stable.
        "failStrategy": "FAIL_OPEN",
        "pluginConfig": serde_json::to_value(document).unwrap_or_default(),
    });
    let Some(fields) = spec.as_object_mut() else {
        return Wanted::new(Kind::WasmPlugin, "", "", "", serde_json::Map::new());
    };
    if let Some(sha256) = &module.sha256 {
        fields.insert("sha256".into(), sha256.as_str().into());
    }
    let (namespace, name) = plugin_name(scope, root_namespace);
    match scope {
        Scope::Mesh => fields.insert("match".into(), json!([{"mode": "CLIENT"}])),
        Scope::Waypoint(_, gateway) => {
            // Before faults and CORS, which a waypoint has at the end of its chain, so that they see the route of the decision.
            fields.insert("phase".into(), "AUTHZ".into());
            fields.insert(
                "targetRefs".into(),
                json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": gateway}]),
            )
        }
    };
    Wanted::new(Kind::WasmPlugin, &namespace, &name, "all", serde_json::Map::from_iter([("spec".to_owned(), spec)]))
}

/// Namespace and name of a scope's WasmPlugin.
#[must_use]
pub fn plugin_name(scope: &Scope, root_namespace: &str) -> (String, String) {
    match scope {
        Scope::Mesh => (root_namespace.to_owned(), "serin".to_owned()),
        Scope::Waypoint(namespace, name) => (namespace.clone(), format!("serin-{name}")),
    }
}

/// The document that a WasmPlugin carries.
#[must_use]
pub fn document_of(plugin: &Object) -> Option<SplitDocument> {
    let config = plugin.data.pointer("/spec/pluginConfig").filter(|config| !config.is_null())?;
    serde_json::from_value(integers(config.clone())).ok()
}

/// Numbers that went through a Struct may have become doubles.
fn integers(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            #[expect(clippy::cast_possible_truncation, reason = "documents hold integers below 2^53")]
            Some(double) if number.as_i64().is_none() && double.fract() == 0.0 => (double as i64).into(),
            _ => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(integers).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, integers(value))).collect(),
        other => other,
    }
}
