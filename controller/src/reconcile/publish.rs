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

/// The modules of the filter: for any document, and for those that issue no cookies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// The one that also enters on responses.
    pub any: Module,
    /// The one that does not, if proxies can get it: each stream costs less there.
    pub requests: Option<Module>,
}

impl Filter {
    /// The module of a scope, by whether its document issues cookies and by the url of the WasmPlugin that is there.
    ///
    /// A proxy reads the whole document anew for another module, so a plugin that has the one for any document keeps it: a
    /// version of Serin changes the module once.
    #[must_use]
    pub fn module(&self, issues_cookies: bool, url: Option<&str>) -> &Module {
        match &self.requests {
            Some(requests) if !issues_cookies && url != Some(&self.any.url) => requests,
            _ => &self.any,
        }
    }
}

/// The documents of all scopes, and the releases that do not fit.
#[derive(Debug, Default)]
pub struct Documents {
    /// By scope, each compiled once.
    pub scopes: BTreeMap<Scope, SplitDocument>,
    /// The scopes whose document issues cookies.
    pub issuing: BTreeSet<Scope>,
    /// What they hold of each release.
    pub entries: BTreeMap<String, Entry>,
    /// Releases of which the documents hold an earlier state, or nothing.
    pub left_out: BTreeSet<String>,
}

impl Entry {
    /// Whether proxies would see no difference.
    #[must_use]
    pub fn same_for_proxies(&self, other: &Self) -> bool {
        self.served == other.served && self.waypoint == other.waypoint && self.automata == other.automata
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        let waypoint = self.waypoint.as_ref().map(|(namespace, name)| Scope::Waypoint(namespace.clone(), name.clone()));
        std::iter::once(Scope::Mesh).chain(waypoint)
    }
}

/// Makes the documents. What is published has its place; where a document would grow too large the change that does not fit
/// stays out, and so nobody loses what is there.
///
/// # Errors
/// What the gate says; each entry went through it alone before, so that this is a fault of Serin's.
pub fn documents(
    wanted: &BTreeMap<String, Entry>,
    published: &BTreeMap<String, Entry>,
    settings: &SplitDocument,
) -> Result<Documents, String> {
    let mut entries: BTreeMap<&String, &Entry> = published.iter().filter(|(id, _)| wanted.contains_key(*id)).collect();
    let mut sizes: BTreeMap<Scope, usize> = BTreeMap::new();
    for entry in entries.values() {
        for scope in entry.scopes() {
            *sizes.entry(scope).or_default() += size_of(entry);
        }
    }
    let mut left_out = BTreeSet::new();
    let (known, new): (Vec<_>, Vec<_>) = wanted.iter().partition(|(id, _)| published.contains_key(*id));
    for (id, entry) in known.into_iter().chain(new) {
        let before = entries.get(id).copied();
        if before.is_some_and(|before| before.same_for_proxies(entry)) {
            entries.insert(id, entry);
            continue;
        }
        let mut after = sizes.clone();
        for scope in before.into_iter().flat_map(Entry::scopes) {
            let sum = after.entry(scope).or_default();
            *sum = sum.saturating_sub(before.map_or(0, size_of));
        }
        for scope in entry.scopes() {
            *after.entry(scope).or_default() += size_of(entry);
        }
        if entry.scopes().all(|scope| after.get(&scope).is_none_or(|sum| *sum <= DOCUMENT_LIMIT)) {
            sizes = after;
            entries.insert(id, entry);
        } else {
            left_out.insert(id.clone());
        }
    }
    let mut scopes = BTreeMap::from([(Scope::Mesh, settings.clone())]);
    // By name, whatever order they came in: the same releases give the same text.
    for entry in entries.values() {
        for scope in entry.scopes() {
            let document = scopes.entry(scope).or_insert_with(|| settings.clone());
            document.splits.push(entry.served.clone());
            document.automata.extend(entry.automata.iter().map(|(pattern, automaton)| (pattern.clone(), automaton.clone())));
        }
    }
    let mut issuing = BTreeSet::new();
    for (scope, document) in &scopes {
        if Split::compile(document).map_err(|error| error.to_string())?.issues_cookies() {
            issuing.insert(scope.clone());
        }
    }
    let entries = entries.into_iter().map(|(id, entry)| (id.clone(), entry.clone())).collect();
    Ok(Documents { scopes, issuing, entries, left_out })
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

/// Where a WasmPlugin has its module from.
#[must_use]
pub fn url_of(plugin: &Object) -> Option<&str> {
    plugin.data.pointer("/spec/url")?.as_str()
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
