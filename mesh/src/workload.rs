//! Workloads: stable's Deployment, and the clones of it that run a canary's image. No client required.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serin_release::api::v1alpha1::{CanaryRelease, Workload};

use crate::deployments::{selected, stable_deployment, version_of};
use crate::desired::{Desired, content, set};
use crate::names::{MANAGED_BY, RELEASE_LABEL, VERSION_LABEL, clone_name, release_of};
use crate::pass::Pass;
use crate::references::References;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::{Kind, Object};

/// Finds stable's Deployment where a canary is a clone of it, and that the clones' names are free.
///
/// # Errors
/// The first reason why a clone cannot be made.
pub fn check(pass: &Pass<'_>, release: &CanaryRelease) -> Result<Option<Object>, Refusal> {
    let (resource, references) = (pass.resource, pass.references);
    let Some(first) = release.spec.canaries.iter().position(|canary| canary.workload.is_some()) else { return Ok(None) };
    if !pass.settings.workloads {
        return Err(Refusal::WorkloadsOff(first));
    }
    let nothing = BTreeMap::new();
    let service = references.service.as_ref();
    if service.is_none() && release.spec.stable.deployment.is_none() {
        let cause = "a host without a Service has no pods to find it by; name the Deployment to clone";
        return Err(Refusal::StableDeployment(cause.to_owned()));
    }
    let selector = service.map_or(&nothing, |service| &service.selector);
    let stable = stable_deployment(release, selector, &references.deployments).map_err(Refusal::StableDeployment)?;
    let containers: Vec<&str> =
        stable.list("/spec/template/spec/containers").filter_map(|container| container.get("name")?.as_str()).collect();
    for (index, canary) in release.spec.canaries.iter().enumerate() {
        let Some(workload) = &canary.workload else { continue };
        let path = format!("spec.canaries[{index}].workload.images");
        if let Some(name) = workload.images.keys().find(|name| !containers.contains(&name.as_str())) {
            let cause = format!("stable's Deployment has no container `{name}`; use one of {}", containers.join(", "));
            return Err(Refusal::Invalid { path, cause });
        }
        let name = clone_name(stable, &release.spec.stable.version, &canary.version);
        let theirs = |found: &&Object| release_of(found) != Some(resource.id.name.as_str());
        if references.deployments.get(&name).filter(theirs).is_some() {
            return Err(Refusal::DeploymentTaken { index, name });
        }
    }
    Ok(Some(stable.clone()))
}

/// The Deployments that were made for a release: names and versions. None where Deployments are not written: those of before stay
/// as they are.
pub(crate) fn clones(pass: &Pass<'_>) -> Vec<(String, String)> {
    if !pass.settings.workloads {
        return Vec::new();
    }
    let of_release = |deployment: &&Object| release_of(deployment) == Some(pass.resource.id.name.as_str());
    let ours = pass.references.deployments.values().filter(of_release);
    ours.filter_map(|deployment| Some((deployment.metadata.name.clone(), deployment.label(VERSION_LABEL)?.to_owned())))
        .collect()
}

/// What is known of a version's pods, for people who wait for them.
pub(crate) fn state(references: &References, version: &str) -> Option<String> {
    let of_version = references.deployments.values().find(|deployment| {
        let selector = references.service.as_ref().map(|service| &service.selector);
        version_of(deployment) == Some(version) && selector.is_none_or(|selector| selected(deployment, selector))
    })?;
    let number = |path: &str| of_version.data.pointer(path).and_then(Value::as_u64);
    Some(format!(
        "Deployment {} has {} of {} pods ready",
        of_version.metadata.name,
        number("/status/readyReplicas").unwrap_or(0),
        number("/spec/replicas").unwrap_or(1)
    ))
}

/// Whether a label says by which tool, chart or version an object was made: it would be untrue of a clone, and such a tool could
/// delete what it takes for its own.
fn is_of_a_tool(label: &str) -> bool {
    const KEYS: [&str; 8] = [
        MANAGED_BY,
        RELEASE_LABEL,
        VERSION_LABEL,
        "app.kubernetes.io/instance",
        "app.kubernetes.io/version",
        "chart",
        "helm.sh/chart",
        "heritage",
    ];
    const DOMAINS: [&str; 4] =
        ["argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "objectset.rio.cattle.io/"];
    KEYS.contains(&label) || DOMAINS.iter().any(|domain| label.starts_with(domain))
}

/// A clone of stable's Deployment with other images.
#[must_use]
pub fn deployment(
    resource: &Resource,
    stable: &Object,
    stable_version: &str,
    version: &str,
    workload: &Workload,
) -> Desired {
    let mut spec = stable.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    match workload.replicas {
        Some(replicas) => set(&mut spec, &["replicas"], replicas.into()),
        // Left to whoever scales it; one pod where nobody does.
        None => {
            if let Some(spec) = spec.as_object_mut() {
                spec.remove("replicas");
            }
        }
    }
    set(&mut spec, &["selector", "matchLabels", VERSION_LABEL], version.into());
    set(&mut spec, &["template", "metadata", "labels", VERSION_LABEL], version.into());
    // A pause of stable's rollout is not one of the canary's.
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("paused");
    }
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
    let own = stable.metadata.labels.iter().filter(|(key, _)| !is_of_a_tool(key));
    let mut labels: Map<String, Value> = own.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    labels.insert(VERSION_LABEL.into(), version.into());
    content.insert("labels".into(), Value::Object(labels));
    Desired::new(Kind::Deployment, &resource.id.namespace, &name, &resource.id.name, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_not_paused_and_says_nothing_of_the_tool_that_made_stable() {
        let labels = json!({
            "app": "reviews", "team": "shop", "version": "v1", "app.kubernetes.io/managed-by": "Helm", "helm.sh/chart": "reviews-1.0.0",
            "app.kubernetes.io/version": "1.0.0", "app.kubernetes.io/instance": "reviews", "argocd.argoproj.io/instance": "shop",
            "kustomize.toolkit.fluxcd.io/name": "shop",
        });
        let container = json!({"name": "reviews", "image": "reviews:1"});
        let template = json!({
            "metadata": {"labels": {"app": "reviews", "version": "v1"}, "annotations": {"kubectl.kubernetes.io/restartedAt": "now"}},
            "spec": {"containers": [container]},
        });
        let selector = json!({"matchLabels": {"app": "reviews", "version": "v1"}});
        let stable = Object::from_json(json!({
            "metadata": {"namespace": "shop", "name": "reviews-v1", "labels": labels},
            "spec": {"replicas": 3, "paused": true, "selector": selector, "template": template},
        }));
        let release = json!({"metadata": {"namespace": "shop", "name": "reviews"}, "spec": {}});
        let workload = Workload { images: BTreeMap::from([("reviews".to_owned(), "reviews:2".to_owned())]), replicas: None };
        let clone = deployment(&Resource::read(&Object::from_json(release)), &stable, "v1", "v2", &workload);
        let labels = &clone.body["metadata"]["labels"];
        let expected = json!({
            "app": "reviews", "team": "shop", "version": "v2", "app.kubernetes.io/managed-by": "serin", "serin.dev/release": "reviews",
        });
        assert_eq!(*labels, expected);
        let template = json!({
            "metadata": {"labels": {"app": "reviews", "version": "v2"}, "annotations": {}},
            "spec": {"containers": [{"name": "reviews", "image": "reviews:2"}]},
        });
        let selector = json!({"matchLabels": {"app": "reviews", "version": "v2"}});
        assert_eq!(clone.body["spec"], json!({"selector": selector, "template": template}));
    }
}
