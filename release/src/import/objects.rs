//! The objects of the documents, by kind and name.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::file;
use crate::problem::Problem;
use crate::yaml::{Content, Node, from_node};

/// Fields that a type does not know.
pub(super) type Rest = Map<String, Value>;

/// An object of any kind.
#[derive(Clone, Debug)]
pub(super) struct Object<'n> {
    /// The group of its API, such as `networking.istio.io`.
    pub(super) group: &'n str,
    pub(super) kind: &'n str,
    pub(super) meta: Meta,
    node: &'n Node,
}

/// The part of metadata that imports read. What else stands there is the business of the cluster.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Meta {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default = "usual_namespace")]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) annotations: BTreeMap<String, String>,
}

fn usual_namespace() -> String {
    "default".to_owned()
}

impl Object<'_> {
    /// `NAMESPACE/NAME`.
    pub(super) fn id(&self) -> String {
        format!("{}/{}", self.meta.namespace, self.meta.name)
    }

    /// Its spec as a type.
    pub(super) fn spec<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let empty = Node { place: self.node.place, content: Content::Map(Vec::new()) };
        let spec = self.node.get("spec").filter(|spec| spec.content != Content::Null).unwrap_or(&empty);
        from_node(spec, "spec").map_err(|problem| problem.in_object(format!("{} {}", self.kind, self.id())))
    }

    /// Whether it is the one of this kind and name.
    pub(super) fn is(&self, kind: &str, namespace: &str, name: &str) -> bool {
        self.kind == kind && self.meta.name == name && self.meta.namespace == namespace
    }
}

/// A value as a type; nothing where it is not of it.
pub(super) fn read<T: DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_value(value.clone()).ok()
}

/// All objects of the documents, those of lists included.
pub(super) fn objects(documents: &[Node]) -> Result<Vec<Object<'_>>, Problem> {
    let mut found = Vec::new();
    for node in documents.iter().flat_map(file::objects) {
        let head = |name: &str| node.get(name).and_then(Node::scalar);
        let (Some(version), Some(kind)) = (head("apiVersion"), head("kind")) else { continue };
        let meta = match node.get("metadata") {
            Some(meta) => from_node(meta, "metadata")?,
            None => Meta { namespace: usual_namespace(), ..Meta::default() },
        };
        let group = version.split_once('/').map_or("", |(group, _)| group);
        found.push(Object { group, kind, meta, node });
    }
    Ok(found)
}

/// The label `version` of the pods that a Service of the documents selects.
pub(super) fn version_of_service(objects: &[Object<'_>], namespace: &str, name: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Service {
        #[serde(default)]
        selector: BTreeMap<String, String>,
    }
    let object = objects.iter().find(|object| object.group.is_empty() && object.is("Service", namespace, name))?;
    object.spec::<Service>().ok()?.selector.remove("version")
}

/// The label `version` of a subset of a DestinationRule of the documents; `Some(None)` where the subset has none.
pub(super) fn version_of_subset(
    objects: &[Object<'_>],
    namespace: &str,
    host: &str,
    subset: &str,
) -> Option<Option<String>> {
    #[derive(Deserialize)]
    struct DestinationRule {
        #[serde(default)]
        host: String,
        #[serde(default)]
        subsets: Vec<Subset>,
    }
    #[derive(Deserialize)]
    struct Subset {
        #[serde(default)]
        name: String,
        #[serde(default)]
        labels: BTreeMap<String, String>,
    }
    let rules = objects.iter().filter(|object| object.kind == "DestinationRule" && object.meta.namespace == namespace);
    let rules = rules.filter_map(|object| object.spec::<DestinationRule>().ok());
    let mut subsets =
        rules.filter(|rule| service(&rule.host, namespace) == service(host, namespace)).flat_map(|rule| rule.subsets);
    subsets.find(|found| found.name == subset).map(|mut found| found.labels.remove("version"))
}

/// The Service of a host: its name where it is of the namespace, else its full host.
pub(super) fn service(host: &str, namespace: &str) -> String {
    let mut parts = host.splitn(3, '.');
    let (name, own, rest) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    let in_cluster = rest.is_none_or(|rest| rest == "svc" || rest.starts_with("svc."));
    match own {
        None => name.to_owned(),
        Some(own) if own == namespace && in_cluster => name.to_owned(),
        // Of a short host of another namespace only the cluster knows the rest; this is the usual one.
        Some(own) if rest.is_none() || rest == Some("svc") => format!("{name}.{own}.svc.cluster.local"),
        Some(_) => host.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_service_of_its_namespace_or_a_full_host() {
        for (host, expected) in [
            ("cart", "cart"),
            ("cart.shop", "cart"),
            ("cart.shop.svc", "cart"),
            ("cart.shop.svc.cluster.local", "cart"),
            ("cart.depot", "cart.depot.svc.cluster.local"),
            ("cart.shop.example.com", "cart.shop.example.com"),
        ] {
            assert_eq!(service(host, "shop"), expected, "{host}");
        }
    }
}
