//! What a controller that is gone has left behind, in the order in which it goes: the documents become empty, so that every request
//! goes to stable, also on connections that outlive a filter that is taken away; then the clones of canaries, since without a route any
//! pod of the Service gets requests; the routes; the subsets; the carriers of the documents; the finalizers.

use crate::names::{VERSION_LABEL, is_foreign, release_of};
use crate::resource::Resource;
use crate::{Kind, Name, Object};

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// Carriers whose document becomes empty first.
    pub carriers: Vec<(Kind, Name)>,
    /// Objects to delete after that, with those of one step together; proxies need a moment between two.
    pub steps: Vec<Vec<(Kind, Name)>>,
    /// Releases that hold on to a finalizer.
    pub releases: Vec<Name>,
    /// Deployments that stay: their pods may be stable's.
    pub kept: Vec<Name>,
}

impl Cleanup {
    /// Whether nothing is left behind.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.releases.is_empty()
    }
}

/// The plan for all objects of these kinds that a cluster has.
#[must_use]
pub fn plan(objects: &[(Kind, Object)]) -> Cleanup {
    let ours =
        |kind: Kind| objects.iter().filter(move |(of, object)| *of == kind && !is_foreign(object)).map(|(_, object)| object);
    let releases: Vec<Resource> =
        objects.iter().filter(|(kind, _)| *kind == Kind::CanaryRelease).map(|(_, object)| Resource::read(object)).collect();
    let all = |kind: Kind| -> Vec<(Kind, Name)> { ours(kind).map(|object| (kind, object.name())).collect() };
    let (canaries, kept): (Vec<&Object>, Vec<&Object>) =
        ours(Kind::Deployment).partition(|clone| is_of_canary(clone, &releases));
    let scalers = ours(Kind::HorizontalPodAutoscaler).filter(|clone| is_of_canary(clone, &releases));
    let scalers = scalers.map(|clone| (Kind::HorizontalPodAutoscaler, clone.name()));
    let clones = scalers.chain(canaries.into_iter().map(|clone| (Kind::Deployment, clone.name()))).collect();
    let carriers = all(Kind::WasmPlugin);
    let steps = [clones, all(Kind::VirtualService), all(Kind::DestinationRule), carriers.clone()];
    Cleanup {
        carriers,
        steps: steps.into_iter().filter(|step| !step.is_empty()).collect(),
        releases: releases
            .iter()
            .filter(|release| release.finalizer)
            .map(|release| Name::new(&*release.id.namespace, &*release.id.name))
            .collect(),
        kept: kept.into_iter().map(|clone| clone.name()).collect(),
    }
}

/// Whether a clone is of a version that its release says is not stable; of a release that is gone nothing says so.
fn is_of_canary(clone: &Object, releases: &[Resource]) -> bool {
    let of = |release: &&Resource| {
        release.id.namespace == clone.metadata.namespace && release_of(clone) == Some(release.id.name.as_str())
    };
    let release = releases.iter().find(of).and_then(|release| release.parsed.as_ref().ok());
    release.zip(clone.label(VERSION_LABEL)).is_some_and(|(release, version)| release.spec.stable.version != version)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_is_left_goes_in_the_safe_order() {
        let object = |kind: Kind, name: &str, more: Value| {
            let mut object = json!({"metadata": {"namespace": "shop", "name": name,
                "labels": {"app.kubernetes.io/managed-by": "serin", "serin.dev/release": "reviews"}}});
            for (field, value) in more.as_object().unwrap() {
                object["metadata"]["labels"][field] = value.clone();
            }
            (kind, Object::from_json(object))
        };
        let foreign = Object::from_json(json!({"metadata": {"namespace": "shop", "name": "theirs"}}));
        let spec = json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2"}]});
        let metadata = json!({"namespace": "shop", "name": "reviews", "finalizers": ["serin.dev/cleanup"]});
        let objects = [
            object(Kind::DestinationRule, "reviews-serin", json!({})),
            object(Kind::VirtualService, "reviews-serin", json!({})),
            (Kind::VirtualService, foreign),
            object(Kind::Deployment, "reviews-v1", json!({"version": "v1"})),
            object(Kind::Deployment, "reviews-v2", json!({"version": "v2"})),
            object(Kind::Deployment, "old-v2", json!({"version": "v2", "serin.dev/release": "gone"})),
            object(Kind::WasmPlugin, "serin", json!({"serin.dev/release": "all"})),
            (Kind::CanaryRelease, Object::from_json(json!({"metadata": metadata, "spec": spec}))),
        ];
        let name = |name: &str| Name::new("shop", name);
        let expected = Cleanup {
            carriers: vec![(Kind::WasmPlugin, name("serin"))],
            steps: vec![
                vec![(Kind::Deployment, name("reviews-v2"))],
                vec![(Kind::VirtualService, name("reviews-serin"))],
                vec![(Kind::DestinationRule, name("reviews-serin"))],
                vec![(Kind::WasmPlugin, name("serin"))],
            ],
            releases: vec![name("reviews")],
            kept: vec![name("reviews-v1"), name("old-v2")],
        };
        assert_eq!(plan(&objects), expected);
        assert!(plan(&[]).is_empty());
    }
}
