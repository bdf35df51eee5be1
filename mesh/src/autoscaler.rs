//! Clones of stable's HorizontalPodAutoscaler for canaries of `autoscale: copy`. No client required.
//!
//! The least and the largest number of pods are the canary's share of stable's, and its weight grows only as far as ready pods carry
//! it where the least number carries everything: an autoscaler adds pods for load, which comes with people.

use serde_json::{Value, json};

use crate::capacity;
use crate::check::Accepted;
use crate::deployments::{autoscaler_of, least, number};
use crate::desired::{Desired, content, set};
use crate::names::{VERSION_LABEL, clone_name, own_labels};
use crate::pass::Pass;
use crate::resource::Resource;
use crate::{Kind, Object};

/// The clone of stable's autoscaler for a canary, sized by its share.
pub(crate) fn desired(pass: &Pass<'_>, accepted: &Accepted<'_>, version: &str) -> Option<Desired> {
    let stable = accepted.stable_deployment.as_ref()?;
    let autoscaler = autoscaler_of(&pass.references.autoscalers, stable)?;
    let name = clone_name(stable, &accepted.release.spec.stable.version, version);
    let now = pass.references.autoscalers.get(&name);
    let sized = |field: &str, all: u32| {
        let now = now.and_then(|now| number(now, field));
        capacity::replicas(&accepted.compiled.wanted, pass.served, version, all, now)
    };
    let (least, most) = (least(autoscaler), number(autoscaler, "maxReplicas").unwrap_or(1));
    let sizes = (sized("minReplicas", least), sized("maxReplicas", most.max(least)));
    Some(clone(pass.resource, autoscaler, (&name, version), sizes))
}

fn clone(resource: &Resource, autoscaler: &Object, (name, version): (&str, &str), (least, most): (u32, u32)) -> Desired {
    let mut spec = autoscaler.data.get("spec").cloned().unwrap_or_else(|| json!({}));
    set(&mut spec, &["scaleTargetRef", "name"], name.into());
    set(&mut spec, &["minReplicas"], least.into());
    set(&mut spec, &["maxReplicas"], most.into());
    let mut content = content(spec);
    let mut labels = own_labels(autoscaler);
    labels.insert(VERSION_LABEL.into(), version.into());
    content.insert("labels".into(), Value::Object(labels));
    Desired::new(Kind::HorizontalPodAutoscaler, &resource.id.namespace, name, &resource.id.name, content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::scaled;

    #[test]
    fn a_clone_scales_the_canary_as_stable_is_scaled() {
        let metrics = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}]);
        let spec = json!({
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "reviews-v1"}, "minReplicas": 4, "maxReplicas": 10,
            "metrics": metrics, "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        });
        let labels = json!({"team": "shop", "helm.sh/chart": "reviews-1"});
        let stable =
            Object::from_json(json!({"metadata": {"namespace": "shop", "name": "reviews", "labels": labels}, "spec": spec}));
        assert_eq!((scaled(&stable), least(&stable)), (Some("reviews-v1"), 4));
        let release = json!({"metadata": {"namespace": "shop", "name": "reviews"}, "spec": {}});
        let clone = clone(&Resource::read(&Object::from_json(release)), &stable, ("reviews-v2", "v2"), (1, 3));
        let mut expected = spec;
        expected["scaleTargetRef"]["name"] = "reviews-v2".into();
        (expected["minReplicas"], expected["maxReplicas"]) = (1.into(), 3.into());
        assert_eq!(clone.body["spec"], expected);
        let labels = json!({"team": "shop", "version": "v2", "app.kubernetes.io/managed-by": "serin", "serin.dev/release": "reviews"});
        assert_eq!((clone.name.as_str(), &clone.body["metadata"]["labels"]), ("reviews-v2", &labels));
        let of_a_set =
            json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "reviews-v1"}}});
        assert_eq!(scaled(&Object::from_json(of_a_set)), None);
    }
}
