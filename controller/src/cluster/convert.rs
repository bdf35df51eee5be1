//! Objects between kube's client and the mesh: the one place that knows both forms.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{DynamicObject, ObjectMeta};
use kube::core::{ApiResource, GroupVersionKind, PartialObjectMeta};
use serde_json::Value;
use serin_mesh::names::MANAGER;
use serin_mesh::{Kind, Metadata, Object};

use super::apply::SCALE_MANAGER;

/// What the client needs to address the objects of a kind.
pub(crate) fn api_resource(kind: Kind) -> ApiResource {
    let gvk = GroupVersionKind::gvk(kind.group(), kind.version(), kind.name());
    ApiResource::from_gvk_with_plural(&gvk, kind.plural())
}

/// An object as the client has it.
pub(crate) fn from_dynamic(object: DynamicObject) -> Object {
    Object::new(metadata(object.metadata), object.data)
}

/// An object of which the client has the metadata alone.
pub(crate) fn from_metadata(object: PartialObjectMeta<DynamicObject>) -> Object {
    Object::new(metadata(object.metadata), Value::Null)
}

/// Who has changed an object of Serin's last, other than its status, if that was not Serin. The API server tells times in whole seconds.
fn changed_by(fields: &[ManagedFieldsEntry]) -> Option<String> {
    let at = |entry: &ManagedFieldsEntry| entry.time.as_ref().map(|time| time.0);
    let is_ours = |entry: &&ManagedFieldsEntry| entry.manager.as_deref() == Some(MANAGER);
    let of_object = fields.iter().filter(|entry| entry.subresource.as_deref() != Some("status"));
    let ours = of_object.clone().filter(is_ours).filter_map(at).max()?;
    let others = of_object.filter(|entry| !is_ours(entry) && entry.manager.as_deref() != Some(SCALE_MANAGER));
    others.filter(|entry| at(entry) >= Some(ours)).max_by_key(|entry| at(entry))?.manager.clone()
}

/// Who wrote which field is left behind but for that: nobody asks, and it is half of the memory.
fn metadata(meta: ObjectMeta) -> Metadata {
    let changed_by = changed_by(meta.managed_fields.as_deref().unwrap_or_default());
    Metadata {
        changed_by,
        namespace: meta.namespace.unwrap_or_default(),
        name: meta.name.unwrap_or_default(),
        uid: meta.uid.unwrap_or_default(),
        generation: meta.generation.unwrap_or_default(),
        resource_version: meta.resource_version,
        labels: meta.labels.unwrap_or_default(),
        annotations: meta.annotations.unwrap_or_default(),
        finalizers: meta.finalizers.unwrap_or_default(),
        deleting: meta.deletion_timestamp.is_some(),
        created: meta.creation_timestamp.map(|time| time.0.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_of_the_client_is_the_one_that_its_json_is() {
        let shown = serde_json::json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
            "metadata": {
                "namespace": "shop", "name": "reviews", "uid": "1", "generation": 3, "resourceVersion": "17", "labels": {"a": "b"},
                "annotations": {"c": "d"}, "finalizers": ["serin.dev/cleanup"], "deletionTimestamp": "2026-01-02T00:00:00Z",
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "serin"}],
            },
            "spec": {"service": "reviews"},
        });
        let object: DynamicObject = serde_json::from_value(shown.clone()).unwrap();
        assert_eq!(from_dynamic(object), Object::from_json(shown));
    }

    #[test]
    fn who_changed_an_object_last_is_told_unless_it_was_serin_or_the_status() {
        let entry = |manager: &str, second: u8, subresource: Option<&str>| ManagedFieldsEntry {
            manager: Some(manager.to_owned()),
            subresource: subresource.map(str::to_owned),
            time: Some(serde_json::from_value(serde_json::json!(format!("2026-01-01T00:00:{second:02}Z"))).unwrap()),
            ..ManagedFieldsEntry::default()
        };
        let serin = || entry(MANAGER, 10, None);
        let by = |others: Vec<ManagedFieldsEntry>| changed_by(&[vec![serin()], others].concat());
        assert_eq!(changed_by(&[]), None);
        // What Serin has never written is nobody's change of it.
        assert_eq!(changed_by(&[entry("kubectl", 11, None)]), None);
        assert_eq!(by(vec![]), None);
        assert_eq!(by(vec![entry("kubectl", 9, None)]), None);
        assert_eq!(by(vec![entry("kubectl", 11, None)]), Some("kubectl".to_owned()));
        // Times are whole seconds: within one Serin may have been the first.
        assert_eq!(by(vec![entry("kubectl", 10, None)]), Some("kubectl".to_owned()));
        assert_eq!(by(vec![entry("kubectl", 11, None), entry("argocd", 12, None)]), Some("argocd".to_owned()));
        assert_eq!(by(vec![entry("deployment-controller", 12, Some("status"))]), None);
        assert_eq!(by(vec![entry(SCALE_MANAGER, 12, None)]), None);
    }

    #[test]
    fn each_kind_is_addressed_by_its_group_version_and_plural() {
        let resource = api_resource(Kind::WasmPlugin);
        assert_eq!(
            (resource.api_version.as_str(), resource.kind.as_str(), resource.plural.as_str()),
            ("extensions.istio.io/v1alpha1", "WasmPlugin", "wasmplugins")
        );
        assert_eq!(Kind::ALL.map(Kind::api_version), Kind::ALL.map(|kind| api_resource(kind).api_version));
    }
}
