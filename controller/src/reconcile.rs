//! From a `CanaryRelease` in a cluster to what the mesh does, in steps.
//!
//! ```text
//! 1 dereference  copy of the cluster ─► References           reads the copy only
//! 2 validate     text, surroundings ─► Accepted | Refusal    pure (check, release::validate)
//! 3 plan         what is there, when ─► what may be written  pure; the time comes in
//! 4 build        ─► objects, entry of the document           pure; cannot fail
//! 5 publish      entries ─► documents, through the gate      pure
//! 6 apply        ─► API server                               client
//! 7 status       ─► conditions of any outcome                pure, then client
//! ```
//! A pass over a release does all that can be done now; what has to wait is due at `wake`. Nothing is kept but what another
//! process would find in the cluster too, so that a pass can end anywhere.

pub mod apply;
pub mod build;
pub mod check;
pub mod conditions;
pub mod hosts;
pub mod plan;
pub mod publish;
pub mod references;
pub mod resource;
pub mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde_json::Value;
use serin_config::{ReleaseSplit, SplitDocument};

use crate::api::v1alpha1::{Allocation, RoutingMode};
use crate::cluster::kind::Kind;
use crate::release::{self, Target};
use build::Wanted;
use check::{Accepted, Refusal};
use conditions::Condition;
use hosts::release_of;
use plan::{Ledger, Pace, Plan, Wish};
use publish::Entry;
use references::{References, VERSION_LABEL, full_name, list, string_map};
use resource::Resource;

/// What is remembered of a release between passes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Since when what is known.
    pub ledger: Ledger,
    /// What is or will be published of it.
    pub entry: Option<Entry>,
}

/// What happens to the entry of a release.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// It stays as it is.
    Keep,
    /// It becomes this one.
    Set(Box<Entry>),
    /// It goes.
    Remove,
}

/// What a pass over a release came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Objects as they shall be.
    pub objects: Vec<Wanted>,
    /// Objects that shall go.
    pub removals: Vec<(Kind, String)>,
    /// Deployments that are nobody's canary any more: they lose Serin's labels and stay.
    pub disowned: Vec<String>,
    /// The entry of the document.
    pub change: Change,
    /// Whether the finalizer shall be there; `None` leaves it as it is.
    pub finalizer: Option<bool>,
    /// The bucket maps of the spec.
    pub allocation: Allocation,
    /// Why it is refused.
    pub refusal: Option<Refusal>,
    /// The other conditions; those that cannot be told stay as they were.
    pub conditions: Vec<Condition>,
    /// When to look again.
    pub wake: Option<Instant>,
}

/// What is the same for all releases.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A document without splits.
    pub document: SplitDocument,
    /// How long to wait between steps.
    pub pace: Pace,
}

/// One pass: steps 2 to 4. `published` is the entry of the last document that was written.
pub fn pass(
    resource: &Resource,
    references: &References,
    memory: &mut Memory,
    published: Option<&ReleaseSplit>,
    settings: &Settings,
    now: Instant,
) -> Outcome {
    if resource.deleting {
        return delete(resource, references, memory, published, settings.pace, now);
    }
    match check::check(resource, references, &settings.document.routing_header) {
        Ok(accepted) => match entry(&accepted, resource, memory) {
            Ok((allocation, wanted, automata)) => {
                route(&accepted, resource, references, memory, published, settings, now, (allocation, wanted, automata))
            }
            Err(refusal) => refused(resource, refusal),
        },
        Err(refusal) => refused(resource, refusal),
    }
}

impl Outcome {
    /// All stays as it is.
    fn nothing(resource: &Resource) -> Self {
        Self {
            objects: Vec::new(),
            removals: Vec::new(),
            disowned: Vec::new(),
            change: Change::Keep,
            finalizer: None,
            allocation: resource.status.allocation.clone(),
            refusal: None,
            conditions: Vec::new(),
            wake: None,
        }
    }
}

/// The last good state stays: nothing is written but the status.
fn refused(resource: &Resource, refusal: Refusal) -> Outcome {
    Outcome { refusal: Some(refusal), ..Outcome::nothing(resource) }
}

type Parts = (Allocation, ReleaseSplit, BTreeMap<String, String>);

/// The entry that the spec asks for, through the gate on its own: one release cannot spoil the document of all.
fn entry(accepted: &Accepted<'_>, resource: &Resource, memory: &Memory) -> Result<Parts, Refusal> {
    let release = accepted.release;
    let mut hosts = resource.claims();
    hosts.dedup();
    let target = Target { hosts, ports: release.spec.ports.clone() };
    let (allocation, wanted) = match &memory.entry {
        Some(entry) if release.spec.paused => {
            (entry.allocation.clone(), release::build::frozen(release, &target, &entry.wanted))
        }
        _ => {
            let allocation = release::plan::plan(&release.spec, Some(&resource.status.allocation));
            let wanted = release::build::split(release, &target, &allocation);
            (allocation, wanted)
        }
    };
    let mut alone = SplitDocument::new(vec![wanted.clone()]);
    alone.embed_automata().map_err(|error| release::build::in_release(&[(release.clone(), target)], &error))?;
    Ok((allocation, wanted, alone.automata))
}

#[expect(clippy::too_many_arguments, reason = "the one place where all that steps 3 and 4 need comes together")]
fn route(
    accepted: &Accepted<'_>,
    resource: &Resource,
    references: &References,
    memory: &mut Memory,
    published: Option<&ReleaseSplit>,
    settings: &Settings,
    now: Instant,
    (allocation, wanted, automata): Parts,
) -> Outcome {
    let release = accepted.release;
    let spec = &release.spec;
    // Of the split, not of the spec: a pause holds stable too, and the versions that the spec no longer has.
    let stable = wanted.stable.as_str();
    let mode = accepted.routing.mode;
    let header = settings.document.routing_header.as_str();
    let gateways = mode == RoutingMode::Managed && !accepted.routing.gateways.is_empty();
    let mut versions = plan::versions_of(&wanted);
    versions
        .extend(std::iter::once(&spec.stable.version).chain(spec.canaries.iter().map(|canary| &canary.version)).cloned());
    let wish = Wish { versions: versions.clone(), routed: mode != RoutingMode::External, gateways };
    let plan = plan::plan(&wish, references, published, &mut memory.ledger, settings.pace, now);

    let mut objects = vec![build::destination_rule(resource, &release.host(), references, &plan.subsets)];
    if wish.routed && plan.routes.contains(stable) {
        objects.push(build::virtual_service(accepted, resource, references, header, stable, &plan.routes, false));
        if gateways {
            objects.push(build::virtual_service(accepted, resource, references, header, stable, &plan.routes, true));
        }
    }
    if let Some(deployment) = &accepted.stable_deployment {
        for canary in &spec.canaries {
            if let Some(workload) = &canary.workload {
                objects.push(build::deployment(resource, deployment, &spec.stable.version, &canary.version, workload));
            }
        }
    }
    let (_, mesh_name, gateway_name) = resource.object_names();
    let mut removals = Vec::new();
    if !wish.routed && references.mesh_route.is_some() {
        removals.push((Kind::VirtualService, mesh_name.clone()));
    }
    if !gateways && references.gateway_route.is_some() {
        removals.push((Kind::VirtualService, gateway_name));
    }
    let clones = clones(resource, references);
    let gone =
        |version: &str| !versions.contains(version) && (plan.unserved.contains(version) || !plan.subsets.contains(version));
    removals.extend(clones.iter().filter(|(_, version)| gone(version)).map(|(name, _)| (Kind::Deployment, name.clone())));
    let disowned =
        clones.iter().filter(|(_, version)| *version == spec.stable.version).map(|(name, _)| name.clone()).collect();

    let has_endpoints = |version: &String| references.ready.get(version).is_some_and(|ready| *ready > 0);
    let usable: BTreeSet<String> = plan.routable.iter().filter(|version| has_endpoints(version)).cloned().collect();
    let served = plan::servable(&wanted, &usable);
    let conditions = told(accepted, resource, references, &plan, &usable, &wanted, header);
    // Until a new stable version can be reached everything stays as it is.
    let change = match plan.routable.contains(stable) {
        true => Change::Set(Box::new(Entry {
            allocation: allocation.clone(),
            wanted,
            served,
            automata,
            waypoint: references.waypoint.clone(),
        })),
        false => Change::Keep,
    };
    Outcome {
        objects,
        removals,
        disowned,
        change,
        finalizer: (!resource.finalizer).then_some(true),
        allocation,
        refusal: None,
        conditions,
        wake: plan.wake,
    }
}

/// The Deployments that were made for a release, with their versions.
fn clones(resource: &Resource, references: &References) -> Vec<(String, String)> {
    let ours = references.deployments.values().filter(|deployment| release_of(deployment) == Some(resource.name.as_str()));
    ours.filter_map(|deployment| {
        let version = deployment.metadata.labels.as_ref()?.get(VERSION_LABEL)?;
        Some((deployment.metadata.name.clone()?, version.clone()))
    })
    .collect()
}

/// What the conditions `Ready`, `Programmed` and `TakenOver` say.
fn told(
    accepted: &Accepted<'_>,
    resource: &Resource,
    references: &References,
    plan: &Plan,
    usable: &BTreeSet<String>,
    wanted: &ReleaseSplit,
    header: &str,
) -> Vec<Condition> {
    let spec = &accepted.release.spec;
    let stable = spec.stable.version.as_str();
    let mut asked = vec![stable];
    let led_to = plan::versions_of(wanted);
    asked.extend(spec.canaries.iter().map(|canary| canary.version.as_str()).filter(|version| led_to.contains(*version)));
    let ready = Condition::ready(stable, &asked, &references.ready, |version| workload_state(references, version));
    let (_, mesh_name, _) = resource.object_names();
    let pending: Vec<&str> = asked.iter().copied().filter(|version| !plan.routable.contains(*version)).collect();
    let programmed = match accepted.routing.mode {
        RoutingMode::Delegate if references.delegating.is_empty() => {
            let message = format!(
                "no VirtualService delegates to this release; add `delegate: {{name: {mesh_name}, namespace: {}}}` to a route of the host's{}",
                resource.namespace,
                references
                    .foreign_routes
                    .first()
                    .map(|route| format!(", which is {}", full_name(route)))
                    .unwrap_or_default()
            );
            Condition::not_programmed("NotDelegated", message)
        }
        RoutingMode::External if !unmatched(references, &asked, stable, header).is_empty() => {
            let missing = unmatched(references, &asked, stable, header).join(", ");
            let message = format!(
                "no VirtualService of the host matches `{header}` exactly on {missing}; add such routes, before the default one"
            );
            Condition::not_programmed("NotRouted", message)
        }
        _ if !pending.is_empty() => Condition::not_programmed(
            "Pending",
            format!("routes for {} are on their way to the proxies", pending.join(", ")),
        ),
        _ => Condition::programmed(),
    };
    let acts = spec.takeover.as_ref().is_some_and(|version| usable.contains(version));
    vec![ready, programmed, Condition::taken_over(spec.takeover.as_deref(), stable, acts)]
}

/// The canaries that no VirtualService of the owner's selects by the header.
fn unmatched<'a>(references: &References, asked: &[&'a str], stable: &str, header: &str) -> Vec<&'a str> {
    let matched = |version: &str| {
        references.foreign_routes.iter().flat_map(|route| list(route, "/spec/http")).any(|http| {
            let matches = http.get("match").and_then(Value::as_array).into_iter().flatten();
            matches.filter_map(|one| one.get("headers")?.as_object()).any(|headers| {
                let mut ours = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
                // What a pattern covers is the owner's business.
                ours.any(|(_, value)| value.get("exact").is_none_or(|exact| exact.as_str() == Some(version)))
            })
        })
    };
    asked.iter().copied().filter(|version| *version != stable && !matched(version)).collect()
}

/// What is known of a version's pods, for people who wait for them.
fn workload_state(references: &References, version: &str) -> Option<String> {
    let of_version = references.deployments.values().find(|deployment| {
        let labels = string_map(deployment.data.pointer("/spec/template/metadata/labels"));
        let selected = references
            .service
            .as_ref()
            .is_none_or(|service| service.selector.iter().all(|(key, value)| labels.get(key) == Some(value)));
        selected && labels.get(VERSION_LABEL).is_some_and(|label| label == version)
    })?;
    let number = |path: &str| of_version.data.pointer(path).and_then(Value::as_u64);
    let name = of_version.metadata.name.as_deref()?;
    Some(format!(
        "Deployment {name} has {} of {} pods ready",
        number("/status/readyReplicas").unwrap_or(0),
        number("/spec/replicas").unwrap_or(1)
    ))
}

/// Takes a release out of the mesh in the reverse order: document, clones, routes, subsets, and then the finalizer.
fn delete(
    resource: &Resource,
    references: &References,
    memory: &mut Memory,
    published: Option<&ReleaseSplit>,
    pace: Pace,
    now: Instant,
) -> Outcome {
    let wish = Wish { versions: BTreeSet::new(), routed: true, gateways: references.gateway_route.is_some() };
    let plan = plan::plan(&wish, references, published, &mut memory.ledger, pace, now);
    let (rule_name, mesh_name, gateway_name) = resource.object_names();
    let stable = resource.parsed.as_ref().map(|release| release.spec.stable.version.clone()).ok();
    let mut outcome = Outcome { change: Change::Remove, wake: plan.wake, ..Outcome::nothing(resource) };

    let clones = clones(resource, references);
    let (stays, goes): (Vec<_>, Vec<_>) =
        clones.iter().partition(|(_, version)| stable.as_ref().is_none_or(|stable| stable == version));
    outcome.disowned = stays.iter().map(|(name, _)| name.clone()).collect();
    let idle =
        |version: &String| published.is_none() && (plan.unserved.contains(version) || !plan.subsets.contains(version));
    outcome.removals =
        goes.iter().filter(|(_, version)| idle(version)).map(|(name, _)| (Kind::Deployment, name.clone())).collect();

    let ours = |found: &Option<crate::cluster::world::Object>| found.as_ref().is_some_and(|found| !hosts::is_foreign(found));
    // Without a route requests go to any pod of the Service: canaries' pods have to be gone by then.
    let pods_left = goes.iter().any(|(_, version)| references.ready.get(version).is_some_and(|ready| *ready > 0));
    let routed = ours(&references.mesh_route) || ours(&references.gateway_route);
    let routes_go = published.is_none() && plan.routes.is_empty() && goes.is_empty() && !pods_left;
    if routes_go {
        for (found, name) in [(&references.mesh_route, mesh_name), (&references.gateway_route, gateway_name)] {
            if ours(found) {
                outcome.removals.push((Kind::VirtualService, name));
            }
        }
    }
    let rule_goes = published.is_none() && !routed && goes.is_empty() && plan.subsets.is_empty();
    if rule_goes && ours(&references.destination_rule) {
        outcome.removals.push((Kind::DestinationRule, rule_name));
    }
    let done = published.is_none() && !routed && goes.is_empty() && !ours(&references.destination_rule);
    outcome.finalizer = (done && resource.finalizer).then_some(false);
    outcome
}
