//! What objects are looked up by. The same keys say who is concerned when one of them changes.

use crate::names::RELEASE_LABEL;
use crate::object::string_map;
use crate::{Content, Kind, Name};

/// What an object is found by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The object of this name.
    Object(Kind, Name),
    /// Objects of a namespace that have this label, or make pods that have it.
    Label {
        /// Their kind.
        kind: Kind,
        /// Their namespace.
        namespace: String,
        /// The label.
        label: String,
        /// Its value.
        value: String,
    },
    /// Objects of any namespace that name this host, or a pattern such as `*.example.com`.
    Host(Kind, String),
    /// Objects of the first kind, of any namespace, that point at this object of the second kind.
    Target(Kind, Kind, Name),
}

impl Key {
    /// A key of objects with a label.
    pub fn label(kind: Kind, namespace: &str, label: impl Into<String>, value: impl Into<String>) -> Self {
        Self::Label { kind, namespace: namespace.to_owned(), label: label.into(), value: value.into() }
    }
}

/// The label of an EndpointSlice that names its Service.
pub(crate) const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The keys of an object of a kind that each home reads, beside its name. A home adds those of its own kinds.
#[must_use]
pub fn common_keys(kind: Kind, object: &Content) -> Vec<Key> {
    let namespace = object.metadata.namespace.as_str();
    match kind {
        Kind::EndpointSlice => object
            .label(SERVICE_NAME)
            .map(|service| Key::label(kind, namespace, SERVICE_NAME, service))
            .into_iter()
            .collect(),
        Kind::Deployment => {
            let pods = object.string_map("/spec/template/metadata/labels");
            let release = object.label(RELEASE_LABEL).map(|name| (RELEASE_LABEL.to_owned(), name.to_owned()));
            pods.into_iter().chain(release).map(|(label, value)| Key::label(kind, namespace, label, value)).collect()
        }
        Kind::HorizontalPodAutoscaler => {
            let release = object.label(RELEASE_LABEL).map(|name| Key::label(kind, namespace, RELEASE_LABEL, name));
            let scaled = scaled(object).map(|name| Key::Target(kind, Kind::Deployment, Name::new(namespace, name)));
            release.into_iter().chain(scaled).collect()
        }
        _ => Vec::new(),
    }
}

/// The Deployment that an autoscaler scales.
pub(crate) fn scaled(autoscaler: &Content) -> Option<&str> {
    let target = autoscaler.data.pointer("/spec/scaleTargetRef")?;
    let text = |field: &str| target.get(field).and_then(serde_json::Value::as_str);
    let is_deployment = text("kind") == Some(Kind::Deployment.name())
        && text("apiVersion").is_none_or(|version| version.split('/').next() == Some(Kind::Deployment.group()));
    text("name").filter(|_| is_deployment)
}

/// The keys of labels that an object has under a path.
pub(crate) fn label_keys(kind: Kind, object: &Content, path: &str) -> Vec<Key> {
    let labels = string_map(object.data.pointer(path)).into_iter();
    labels.map(|(label, value)| Key::label(kind, &object.metadata.namespace, label, value)).collect()
}
