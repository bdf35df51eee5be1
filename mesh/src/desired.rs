//! Objects as Serin wants them, and whether one already is as it shall be. No client required.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::digest::short_digest;
use crate::names::{MANAGED_BY, MANAGER, RELEASE_LABEL};
use crate::{Kind, Object};

/// An object as it shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct Desired {
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

impl Desired {
    /// An object with its labels, and the digest of what it shall hold.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str, release: &str, content: Map<String, Value>) -> Self {
        let digest = short_digest(Value::Object(content.clone()).to_string().as_bytes(), 16);
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

    /// The same with an annotation.
    #[must_use]
    pub fn annotated(mut self, key: &str, value: &str) -> Self {
        set(&mut self.body, &["metadata", "annotations", key], value.into());
        self
    }

    /// Whether an object is already as it shall be. Fields of others do not count.
    #[must_use]
    pub fn is(&self, found: &Object) -> bool {
        let Some(fields) = self.body.as_object() else { return true };
        fields.iter().all(|(name, wanted)| match name.as_str() {
            // What it was found by.
            "apiVersion" | "kind" => true,
            "metadata" => marked(found, wanted),
            name => found.data.get(name).is_some_and(|found| contains(found, wanted)),
        })
    }

    /// Whether an object is as the API server has kept what was applied last: an admission webhook or policy may have changed it on
    /// the way, and would do so again.
    #[must_use]
    pub fn was_applied(&self, found: &Object) -> bool {
        let metadata = self.body.get("metadata");
        found.metadata.changed_by.is_none() && metadata.is_some_and(|wanted| marked(found, wanted))
    }
}

/// Whether an object has all wanted labels and annotations.
fn marked(found: &Object, wanted: &Value) -> bool {
    let has = |field: &str, found: &BTreeMap<String, String>| {
        let wanted = wanted.get(field).and_then(Value::as_object).into_iter().flatten();
        wanted.into_iter().all(|(key, value)| found.get(key).map(String::as_str) == value.as_str())
    };
    has("labels", &found.metadata.labels) && has("annotations", &found.metadata.annotations)
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

/// The content of an object that has nothing but a spec.
pub(crate) fn content(spec: Value) -> Map<String, Value> {
    Map::from_iter([("spec".to_owned(), spec)])
}

/// Sets a field, with the objects around it.
pub(crate) fn set(target: &mut Value, path: &[&str], value: Value) {
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
