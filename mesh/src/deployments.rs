//! What Deployments and what scales them say by themselves: whom they run, how many, and which one is stable's.

use std::collections::BTreeMap;

use serde_json::Value;
use serin_release::api::v1alpha1::CanaryRelease;

use crate::Object;
use crate::key::scaled;
use crate::names::VERSION_LABEL;

/// Whether the pods of a Deployment have all labels of a selector; an empty one selects nothing.
pub(crate) fn selected(deployment: &Object, selector: &BTreeMap<String, String>) -> bool {
    let labels = deployment.string_map("/spec/template/metadata/labels");
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The version of a Deployment's pods.
pub(crate) fn version_of(deployment: &Object) -> Option<&str> {
    deployment.data.pointer("/spec/template/metadata/labels")?.get(VERSION_LABEL)?.as_str()
}

/// The number of pods that a Deployment shall have.
pub(crate) fn size(deployment: &Object) -> u32 {
    let replicas = deployment.data.pointer("/spec/replicas").and_then(Value::as_u64);
    replicas.map_or(1, |replicas| u32::try_from(replicas).unwrap_or(u32::MAX))
}

/// Stable's Deployment, among those that concern the release.
///
/// # Errors
/// It cannot be derived; the text says why, and what to do.
pub(crate) fn stable_deployment<'a>(
    release: &CanaryRelease,
    selector: &BTreeMap<String, String>,
    deployments: &'a BTreeMap<String, Object>,
) -> Result<&'a Object, String> {
    if let Some(name) = &release.spec.stable.deployment {
        return deployments.get(name).ok_or_else(|| format!("there is no Deployment `{name}`; correct the name"));
    }
    let version = &release.spec.stable.version;
    let of_stable =
        |deployment: &&Object| selected(deployment, selector) && version_of(deployment) == Some(version.as_str());
    let found: Vec<&Object> = deployments.values().filter(of_stable).collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(format!(
            "no Deployment of the Service's pods has the label version={version}; name the one to clone, or, where a StatefulSet or another \
             controller runs them, leave `workload` out and run the canary's pods in the same way"
        )),
        several => {
            let names: Vec<&str> = several.iter().map(|deployment| deployment.metadata.name.as_str()).collect();
            Err(format!("{} have the label version={version}; name the one to clone", names.join(" and ")))
        }
    }
}

/// The autoscaler of a Deployment that is not one of ours: the first by name, as Kubernetes takes one of several at random.
pub(crate) fn autoscaler_of<'a>(autoscalers: &'a BTreeMap<String, Object>, deployment: &Object) -> Option<&'a Object> {
    let scales = |autoscaler: &&Object| scaled(autoscaler) == Some(deployment.metadata.name.as_str());
    autoscalers.values().find(scales)
}

/// The least number of pods of an autoscaler, of which there is always one.
pub(crate) fn least(autoscaler: &Object) -> u32 {
    number(autoscaler, "minReplicas").unwrap_or(1).max(1)
}

/// A number of pods in the spec of an autoscaler.
pub(crate) fn number(autoscaler: &Object, field: &str) -> Option<u32> {
    let number = autoscaler.data.get("spec")?.get(field)?.as_u64()?;
    Some(u32::try_from(number).unwrap_or(u32::MAX))
}
