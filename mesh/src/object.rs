//! Objects as the API server has them, without its client: metadata that counts here, and the rest as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Map, Value, json};

/// An object; a copy shares it.
#[derive(Clone, Debug, PartialEq)]
pub struct Object(Arc<Content>);

/// What an object holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Content {
    /// What each object has.
    pub metadata: Metadata,
    /// All other fields, `spec` and `status` among them; `null` where only the metadata is known.
    pub data: Value,
}

/// The metadata that counts here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The namespace; empty for kinds without.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What tells it from an object of the same name that was there before; empty where it is unknown.
    pub uid: String,
    /// The generation of its spec.
    pub generation: i64,
    /// The resource version.
    pub resource_version: Option<String>,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
    /// The finalizers.
    pub finalizers: Vec<String>,
    /// Whether it is being deleted.
    pub deleting: bool,
    /// Who else has changed more than its status since Serin wrote it last; `None` where it is as Serin's write left it.
    pub changed_by: Option<String>,
    /// When it was made: RFC 3339 in UTC, so that texts are in the order of times.
    pub created: Option<String>,
}

/// The name of an object within its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The namespace; empty for kinds without.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Name {
    /// A name in a namespace.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl Deref for Object {
    type Target = Content;

    fn deref(&self) -> &Content {
        &self.0
    }
}

impl Object {
    /// An object of these parts.
    #[must_use]
    pub fn new(metadata: Metadata, data: Value) -> Self {
        Self(Arc::new(Content { metadata, data }))
    }

    /// An object as the API server would show it.
    #[must_use]
    pub fn from_json(value: Value) -> Self {
        let Value::Object(mut fields) = value else { return Self::new(Metadata::default(), value) };
        let metadata = fields.remove("metadata").unwrap_or_default();
        fields.remove("apiVersion");
        fields.remove("kind");
        let text = |path: &str| metadata.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let metadata = Metadata {
            namespace: text("/namespace").unwrap_or_default(),
            name: text("/name").unwrap_or_default(),
            uid: text("/uid").unwrap_or_default(),
            generation: metadata.get("generation").and_then(Value::as_i64).unwrap_or_default(),
            resource_version: text("/resourceVersion"),
            labels: string_map(metadata.get("labels")),
            annotations: string_map(metadata.get("annotations")),
            finalizers: strings(metadata.get("finalizers")).map(str::to_owned).collect(),
            deleting: metadata.get("deletionTimestamp").is_some(),
            changed_by: None,
            created: text("/creationTimestamp"),
        };
        Self::new(metadata, if fields.is_empty() { Value::Null } else { Value::Object(fields) })
    }

    /// What [`Self::from_json`] reads; of a deletion only that there is one.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let meta = &self.metadata;
        let mut metadata = Map::new();
        let mut put = |name: &str, value: Value, there: bool| {
            if there {
                metadata.insert(name.to_owned(), value);
            }
        };
        put("namespace", json!(meta.namespace), !meta.namespace.is_empty());
        put("name", json!(meta.name), true);
        put("uid", json!(meta.uid), !meta.uid.is_empty());
        put("generation", json!(meta.generation), meta.generation != 0);
        put("resourceVersion", json!(meta.resource_version), meta.resource_version.is_some());
        put("labels", json!(meta.labels), !meta.labels.is_empty());
        put("annotations", json!(meta.annotations), !meta.annotations.is_empty());
        put("finalizers", json!(meta.finalizers), !meta.finalizers.is_empty());
        put("deletionTimestamp", json!(""), meta.deleting);
        put("creationTimestamp", json!(meta.created), meta.created.is_some());
        let mut fields = self.data.as_object().cloned().unwrap_or_default();
        fields.insert("metadata".to_owned(), Value::Object(metadata));
        Value::Object(fields)
    }
}

impl Content {
    /// Its name within its kind.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::new(&*self.metadata.namespace, &*self.metadata.name)
    }

    /// `NAMESPACE/NAME`, for people.
    #[must_use]
    pub fn full_name(&self) -> String {
        self.name().to_string()
    }

    /// A label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.get(key).map(String::as_str)
    }

    /// A text, by its path as in RFC 6901.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.data.pointer(path)?.as_str()
    }

    /// The elements of a list; none where there is no list.
    pub fn list(&self, path: &str) -> impl Iterator<Item = &Value> + use<'_> {
        self.data.pointer(path).and_then(Value::as_array).into_iter().flatten()
    }

    /// The texts of a list.
    pub fn strings(&self, path: &str) -> impl Iterator<Item = &str> + use<'_> {
        strings(self.data.pointer(path))
    }

    /// The texts of a map, by their keys.
    #[must_use]
    pub fn string_map(&self, path: &str) -> BTreeMap<String, String> {
        string_map(self.data.pointer(path))
    }
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> + use<'_> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The texts of a map, by their keys; empty where there is no map.
#[must_use]
pub fn string_map(value: Option<&Value>) -> BTreeMap<String, String> {
    let entries = value.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_is_shown() {
        let shown = json!({
            "metadata": {
                "namespace": "shop", "name": "reviews", "uid": "1", "generation": 3, "resourceVersion": "17", "labels": {"app": "reviews"},
                "annotations": {"a": "b"}, "finalizers": ["serin.dev/cleanup"], "deletionTimestamp": "",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"hosts": ["a", 1, "b"], "selector": {"app": "reviews", "number": 1}},
        });
        let object = Object::from_json(shown.clone());
        assert_eq!(object.to_json(), shown);
        assert!(object.metadata.deleting);
        assert_eq!(object.strings("/spec/hosts").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(object.string_map("/spec/selector"), BTreeMap::from([("app".to_owned(), "reviews".to_owned())]));
        assert_eq!(
            (object.label("app"), object.text("/spec/hosts/0"), object.text("/spec")),
            (Some("reviews"), Some("a"), None)
        );
        assert_eq!(object.full_name(), "shop/reviews");
        assert_eq!(Object::from_json(json!({"metadata": {"name": "bare"}})).data, Value::Null);
    }
}
