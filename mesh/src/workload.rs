//! Workloads: stable's Deployment, and the clones of it that run a canary's image. No client required.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use serin_release::api::v1alpha1::{CanaryRelease, Workload};

use crate::deployments::{autoscaler_of, selected, size, stable_deployment, version_of};
use crate::desired::{Desired, content, set};
use crate::names::{VERSION_LABEL, clone_name, own_labels, release_of};
use crate::pass::Pass;
use crate::references::References;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::service::Service;
use crate::{Kind, Object};

/// The lists of a pod's containers that have images.
const CONTAINERS: [&str; 2] = ["containers", "initContainers"];

/// Set on a clone whose number of pods is Serin's, so that it is known where Serin leaves the number to somebody else.
pub const SIZED: &str = "serin.dev/sized";

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
    let lists = CONTAINERS.iter().flat_map(|list| stable.list(&format!("/spec/template/spec/{list}")).collect::<Vec<_>>());
    let containers: Vec<&str> = lists.filter_map(|container| container.get("name")?.as_str()).collect();
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
    check_autoscaler(pass, release, stable)?;
    Ok(Some(stable.clone()))
}

/// Looks whether there is something to clone where a canary asks for it, and that the clones' names are free.
fn check_autoscaler(pass: &Pass<'_>, release: &CanaryRelease, stable: &Object) -> Result<(), Refusal> {
    let autoscalers = &pass.references.autoscalers;
    for (index, canary) in release.spec.canaries.iter().enumerate() {
        if !canary.workload.as_ref().is_some_and(Workload::copies_autoscaler) {
            continue;
        }
        if autoscaler_of(autoscalers, stable).is_none() {
            let path = format!("spec.canaries[{index}].workload.autoscale");
            let name = &stable.metadata.name;
            let cause = format!("no HorizontalPodAutoscaler scales Deployment {name}; create one, or leave `autoscale` out");
            return Err(Refusal::Invalid { path, cause });
        }
        let name = clone_name(stable, &release.spec.stable.version, &canary.version);
        let theirs = |found: &&Object| release_of(found) != Some(pass.resource.id.name.as_str());
        if autoscalers.get(&name).filter(theirs).is_some() {
            let kind = Kind::HorizontalPodAutoscaler.name();
            return Err(Refusal::NameTaken(format!("{kind} {}/{name}", pass.resource.id.namespace)));
        }
    }
    Ok(())
}

/// What is known of a version's pods, for people who wait for them.
pub(crate) fn state(references: &References, version: &str) -> Option<String> {
    state_of(version, &references.deployments, references.service.as_ref())
}

fn state_of(version: &str, deployments: &BTreeMap<String, Object>, service: Option<&Service>) -> Option<String> {
    let nothing = BTreeMap::new();
    let selector = service.map_or(&nothing, |service| &service.selector);
    let of_version = deployments.values().find(|deployment| version_of(deployment) == Some(version))?;
    let name = &of_version.metadata.name;
    if let Some(wanted) = selector.get(VERSION_LABEL).filter(|wanted| *wanted != version) {
        return Some(format!(
            "the Service selects version={wanted}, so that pods of {name} are none of its endpoints: take `version` out of its selector"
        ));
    }
    if !selector.is_empty() && !selected(of_version, selector) {
        return None;
    }
    let number = |path: &str| of_version.data.pointer(path).and_then(Value::as_u64);
    let counts = format!(
        "Deployment {name} has {} of {} pods ready",
        number("/status/readyReplicas").unwrap_or(0),
        number("/spec/replicas").unwrap_or(1)
    );
    Some(cause(of_version).map_or_else(|| counts.clone(), |cause| format!("{counts}: {cause}")))
}

/// Why pods of a Deployment are missing, in Kubernetes' words: the first condition that says so.
fn cause(deployment: &Object) -> Option<&str> {
    let conditions: Vec<&Value> = deployment.list("/status/conditions").collect();
    let bad = [("ReplicaFailure", "True"), ("Progressing", "False")].into_iter().find_map(|(kind, status)| {
        let is_bad = |condition: &&&Value| condition["type"] == kind && condition["status"] == status;
        conditions.iter().find(is_bad).copied()
    });
    bad?.get("message")?.as_str()
}

/// A clone of stable's Deployment for another version, of so many pods; without a number it is left to whoever scales it, one pod
/// where nobody does.
#[must_use]
pub fn deployment(
    resource: &Resource,
    stable: &Object,
    (stable_version, version): (&str, &str),
    workload: &Workload,
    replicas: Option<u32>,
) -> Desired {
    let mut spec = stable.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("replicas");
        // A pause of stable's rollout is not one of the canary's.
        spec.remove("paused");
    }
    if let Some(replicas) = replicas {
        set(&mut spec, &["replicas"], replicas.into());
    }
    set(&mut spec, &["selector", "matchLabels", VERSION_LABEL], version.into());
    set(&mut spec, &["template", "metadata", "labels", VERSION_LABEL], version.into());
    if let Some(annotations) = spec.pointer_mut("/template/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/restartedAt");
    }
    if let Some(pod) = spec.pointer_mut("/template/spec").and_then(Value::as_object_mut) {
        change_pod(pod, workload);
    }
    let name = clone_name(stable, stable_version, version);
    let mut content = content(spec);
    let mut labels = own_labels(stable);
    labels.insert(VERSION_LABEL.into(), version.into());
    content.insert("labels".into(), Value::Object(labels));
    let clone = Desired::new(Kind::Deployment, &resource.id.namespace, &name, &resource.id.name, content);
    if replicas.is_some() { clone.annotated(SIZED, "true") } else { clone }
}

/// Puts in what differs in the pods of a canary.
fn change_pod(pod: &mut Map<String, Value>, workload: &Workload) {
    for list in CONTAINERS {
        for container in pod.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let image = container.get("name").and_then(Value::as_str).and_then(|name| workload.images.get(name)).cloned();
            if let Some(image) = image {
                set(container, &["image"], image.into());
            }
        }
    }
    if let Some(patch) = workload.patch.as_ref().and_then(Value::as_object) {
        serin_release::patch::merge(pod, patch);
    }
}

/// The number of pods for a clone that is left to whoever scales it: nobody scales what Serin has left without pods.
pub(crate) fn revived(found: Option<&Object>) -> Option<u32> {
    let is_empty = found.is_some_and(|found| found.metadata.annotations.contains_key(SIZED) && size(found) == 0);
    is_empty.then_some(1)
}

/// The number of pods that a clone has and that Serin is about to leave to whoever scales it. Another owner of the field has to hold
/// it first: with the last one the API server takes the field away, and the Deployment has one pod.
#[must_use]
pub fn left_to_others(wanted: &Desired, found: &Object) -> Option<u32> {
    let is_sized = found.metadata.annotations.contains_key(SIZED) && wanted.kind == Kind::Deployment;
    (is_sized && wanted.body.pointer("/spec/replicas").is_none()).then(|| size(found))
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
        let workload =
            Workload { images: BTreeMap::from([("reviews".to_owned(), "reviews:2".to_owned())]), ..Workload::default() };
        let clone = deployment(&Resource::read(&Object::from_json(release)), &stable, ("v1", "v2"), &workload, None);
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

    #[test]
    fn images_of_init_containers_and_a_patch_are_put_in() {
        let pod = json!({
            "containers": [{"name": "reviews", "image": "reviews:1"}], "initContainers": [{"name": "migrate", "image": "migrate:1"}],
        });
        let stable = Object::from_json(json!({
            "metadata": {"namespace": "shop", "name": "reviews-v1"},
            "spec": {"selector": {"matchLabels": {"version": "v1"}}, "template": {"metadata": {"labels": {"version": "v1"}}, "spec": pod}},
        }));
        let release = json!({"metadata": {"namespace": "shop", "name": "reviews"}, "spec": {}});
        let workload = Workload {
            images: BTreeMap::from([("migrate".to_owned(), "migrate:2".to_owned())]),
            patch: Some(json!({"containers": [{"name": "reviews", "env": [{"name": "MODE", "value": "new"}]}]})),
            ..Workload::default()
        };
        let clone = deployment(&Resource::read(&Object::from_json(release)), &stable, ("v1", "v2"), &workload, Some(3));
        let pod = json!({
            "containers": [{"name": "reviews", "image": "reviews:1", "env": [{"name": "MODE", "value": "new"}]}],
            "initContainers": [{"name": "migrate", "image": "migrate:2"}],
        });
        assert_eq!((&clone.body["spec"]["template"]["spec"], &clone.body["spec"]["replicas"]), (&pod, &json!(3)));
    }

    #[test]
    fn a_number_of_pods_that_was_serins_is_left_to_others_as_it_is() {
        let found = |annotations: Value| {
            Object::from_json(
                json!({"metadata": {"name": "reviews-v2", "annotations": annotations}, "spec": {"replicas": 5}}),
            )
        };
        let wanted = |spec: Value| Desired::new(Kind::Deployment, "shop", "reviews-v2", "reviews", content(spec));
        let sized = found(json!({SIZED: "true"}));
        assert_eq!(left_to_others(&wanted(json!({})), &sized), Some(5));
        assert_eq!(left_to_others(&wanted(json!({"replicas": 2})), &sized), None);
        assert_eq!(left_to_others(&wanted(json!({})), &found(json!({}))), None);
    }

    #[test]
    fn why_pods_are_missing_is_passed_on() {
        let service = |selector: Value| Service::read(&Object::from_json(json!({"spec": {"selector": selector}})));
        let of = |conditions: Value, selector: Value| {
            let template = json!({"metadata": {"labels": {"app": "reviews", "version": "v2"}}});
            let clone = Object::from_json(json!({
                "metadata": {"name": "reviews-v2"}, "spec": {"replicas": 2, "template": template}, "status": {"conditions": conditions},
            }));
            let deployments = BTreeMap::from([("reviews-v2".to_owned(), clone)]);
            state_of("v2", &deployments, Some(&service(selector)))
        };
        let app = || json!({"app": "reviews"});
        let failure = json!({"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods"});
        let late = |status: &str| json!({"type": "Progressing", "status": status, "message": "has timed out progressing"});
        let counts = "Deployment reviews-v2 has 0 of 2 pods ready";
        assert_eq!(of(json!([late("True")]), app()).as_deref(), Some(counts));
        assert_eq!(of(json!([late("False")]), app()), Some(format!("{counts}: has timed out progressing")));
        assert_eq!(of(json!([late("False"), failure]), app()), Some(format!("{counts}: exceeded quota: pods")));
        let selects = "the Service selects version=v1, so that pods of reviews-v2 are none of its endpoints: take `version` out of its selector";
        assert_eq!(of(json!([]), json!({"app": "reviews", "version": "v1"})).as_deref(), Some(selects));
        assert_eq!(of(json!([]), json!({"app": "other"})), None);
    }
}
