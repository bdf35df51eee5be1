//! The pods of canaries that Serin runs: which clones are made, how many pods they have, and what becomes of them. No client required.

use std::collections::BTreeSet;

use serin_release::api::v1alpha1::{Canary, Cleanup, Leftover, Replicas, Workload};

use crate::check::Accepted;
use crate::deployments::{selected, size, version_of};
use crate::names::{VERSION_LABEL, clone_name, release_of};
use crate::order::Order;
use crate::outcome::Writes;
use crate::pass::Pass;
use crate::{Kind, Object, autoscaler, capacity, workload};

/// An object that was made for a canary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) kind: Kind,
    pub(crate) name: String,
    pub(crate) version: String,
}

/// The objects that were made for canaries of a release, those that scale before those that are scaled. None where these kinds are not
/// written: those of before stay as they are.
pub(crate) fn made(pass: &Pass<'_>) -> Vec<Made> {
    if !pass.settings.workloads {
        return Vec::new();
    }
    let references = pass.references;
    let of_kind = |kind: Kind, object: &Object| {
        let is_ours = release_of(object) == Some(pass.resource.id.name.as_str());
        let version = object.label(VERSION_LABEL).filter(|_| is_ours)?.to_owned();
        Some(Made { kind, name: object.metadata.name.clone(), version })
    };
    let autoscalers = references.autoscalers.values().filter_map(|object| of_kind(Kind::HorizontalPodAutoscaler, object));
    autoscalers.chain(references.deployments.values().filter_map(|object| of_kind(Kind::Deployment, object))).collect()
}

/// Whether nothing leads to a version any more, for long enough.
pub(crate) fn is_idle(order: &Order, version: &str) -> bool {
    order.unserved.contains(version) || !order.known.contains(version)
}

/// Adds what is to write of clones. `wanted` are all versions that the release may send requests to.
pub(crate) fn write(
    pass: &Pass<'_>,
    accepted: &Accepted<'_>,
    order: &Order,
    wanted: &BTreeSet<String>,
    writes: &mut Writes,
) {
    let release = accepted.release;
    let stable = &release.spec.stable.version;
    let mut made_now = BTreeSet::new();
    for canary in &release.spec.canaries {
        let leftover = leftover(accepted, order, &canary.version);
        let Some((deployment, own)) = accepted.stable_deployment.as_ref().zip(canary.workload.as_ref()) else { continue };
        let name = clone_name(deployment, stable, &canary.version);
        let found = pass.references.deployments.get(&name);
        // Before its route is there a new pod would get a share of everybody's requests, as any pod of the Service does.
        if leftover == Leftover::Delete || !order.routable.contains(&canary.version) && found.is_none() {
            continue;
        }
        let replicas = match leftover {
            Leftover::ScaleDown => Some(0),
            _ => replicas(pass, accepted, order, (canary, own), found),
        };
        writes.objects.push(workload::deployment(pass.resource, deployment, (stable, &canary.version), own, replicas));
        made_now.insert((Kind::Deployment, name.clone()));
        if own.copies_autoscaler() && leftover == Leftover::Keep {
            writes.objects.extend(autoscaler::desired(pass, accepted, &canary.version));
            made_now.insert((Kind::HorizontalPodAutoscaler, name));
        }
    }
    for Made { kind, name, version } in made(pass) {
        let is_left = wanted.contains(&version)
            && (kind == Kind::HorizontalPodAutoscaler || leftover(accepted, order, &version) == Leftover::Delete);
        if version == *stable {
            writes.disowned.push((kind, name));
        } else if !made_now.contains(&(kind, name.clone()))
            && (is_left || !wanted.contains(&version) && is_idle(order, &version))
        {
            writes.removals.push((kind, name));
        }
    }
    writes.scaled_down = retired(pass, accepted, order);
}

/// What becomes of a canary's clone: it stays, unless the canary is rolled back and nobody gets it any more.
fn leftover(accepted: &Accepted<'_>, order: &Order, version: &str) -> Leftover {
    let says = accepted.release.spec.cleanup.and_then(|cleanup| cleanup.after_rollback);
    let is_over = accepted.release.banned.contains(version) && is_idle(order, version);
    says.filter(|_| is_over).unwrap_or(Leftover::Keep)
}

/// The number of pods of a clone; `None` where it is left to whoever scales it.
fn replicas(
    pass: &Pass<'_>,
    accepted: &Accepted<'_>,
    order: &Order,
    (canary, own): (&Canary, &Workload),
    found: Option<&Object>,
) -> Option<u32> {
    match own.replicas {
        // Pods go after people.
        Some(Replicas::Count(0)) if !is_idle(order, &canary.version) => Some(found.map_or(0, size)),
        Some(Replicas::Count(count)) => Some(count),
        Some(Replicas::Share) => {
            let all = accepted.stable_deployment.as_ref().map(size)?;
            Some(capacity::replicas(&accepted.compiled.wanted, pass.served, &canary.version, all, found.map(size)))
        }
        None => workload::revived(found),
    }
}

/// The Deployments of versions that were stable, which shall have no pods any more.
fn retired(pass: &Pass<'_>, accepted: &Accepted<'_>, order: &Order) -> Vec<String> {
    let retires = pass.settings.workloads && accepted.release.spec.cleanup.is_some_and(Cleanup::retires);
    let Some(service) = pass.references.service.as_ref().filter(|_| retires) else { return Vec::new() };
    let is_retired = |deployment: &&Object| {
        let version =
            version_of(deployment).filter(|version| pass.resource.status.retired.iter().any(|retired| retired == version));
        version.is_some_and(|version| is_idle(order, version))
            && selected(deployment, &service.selector)
            && size(deployment) > 0
    };
    pass.references.deployments.values().filter(is_retired).map(|deployment| deployment.metadata.name.clone()).collect()
}
