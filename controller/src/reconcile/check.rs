//! Step 2, validate: whether a release may be routed, seen together with what is around it. No client required.
//!
//! What is wrong with the text itself `release::validate` and the publish gate say; here is what only a cluster shows.

use serde_json::Value;

use super::build::subset_name;
use super::hosts::is_foreign;
use super::references::{References, VERSION_LABEL, full_name, list, string_map};
use super::resource::Resource;
use crate::api::v1alpha1::{CanaryRelease, Routing, RoutingMode};
use crate::cluster::world::Object;
use crate::release::{self, ReleaseError};

/// Why a release is not accepted; the variant's name is the reason of the condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text is not valid.
    #[error("{path}: {cause}")]
    Invalid {
        /// Where in the object.
        path: String,
        /// What is wrong there, and what to do.
        cause: String,
    },
    /// Another release has the host.
    #[error("spec.service: release {0} is older and routes a host of this one; delete one of the two")]
    HostTaken(String),
    /// The host is of another namespace.
    #[error("spec.service: `{0}` is a Service of another namespace; create the release there")]
    OtherNamespace(String),
    /// There is no such Service.
    #[error(
        "spec.service: there is no Service and no ServiceEntry for `{0}` in this namespace; create it or correct the name"
    )]
    ServiceNotFound(String),
    /// The Service has no such port.
    #[error("spec.ports[{index}]: the Service has no port {port}; its ports are {known}")]
    PortNotFound {
        /// The position in the list.
        index: usize,
        /// The port.
        port: u16,
        /// What there is.
        known: String,
    },
    /// Somebody else routes the host.
    #[error(
        "VirtualService {0} routes a host of this release, and of two only one acts; delete it and move its settings to spec.routing.http, or \
         set spec.routing.mode to `delegate` and let it delegate to {1}, or set it to `external` and match on the header {2} there"
    )]
    ForeignVirtualService(String, String, String),
    /// An object of somebody else has the name of one of ours.
    #[error("{0} is there already and was not made by Serin; rename or delete it")]
    NameTaken(String),
    /// A rule in a client's namespace hides the subsets.
    #[error(
        "DestinationRule {rule} applies to this host for clients in its own namespace and lacks the subsets {missing}, so their requests would \
         fail; add these subsets to it or move its policy to the namespace of the Service"
    )]
    SubsetsHidden {
        /// The rule.
        rule: String,
        /// What it lacks.
        missing: String,
    },
    /// Stable's Deployment cannot be told.
    #[error("spec.stable.deployment: {0}")]
    StableDeployment(String),
    /// A Deployment of somebody else has the name that the clone would get.
    #[error(
        "spec.canaries[{index}].workload: Deployment {name} is there already and was not made by Serin; leave `workload` out to use it"
    )]
    DeploymentTaken {
        /// The canary's position.
        index: usize,
        /// The name.
        name: String,
    },
}

impl Refusal {
    /// The reason of the condition.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "Invalid",
            Self::HostTaken(_) => "HostTaken",
            Self::OtherNamespace(_) => "OtherNamespace",
            Self::ServiceNotFound(_) => "ServiceNotFound",
            Self::PortNotFound { .. } => "PortNotFound",
            Self::ForeignVirtualService(..) => "ForeignVirtualService",
            Self::NameTaken(_) => "NameTaken",
            Self::SubsetsHidden { .. } => "SubsetsHidden",
            Self::StableDeployment(_) => "StableDeployment",
            Self::DeploymentTaken { .. } => "DeploymentTaken",
        }
    }
}

impl From<ReleaseError> for Refusal {
    fn from(error: ReleaseError) -> Self {
        Self::Invalid { path: error.path, cause: error.cause }
    }
}

/// A release that may be routed.
#[derive(Clone, Debug)]
pub struct Accepted<'a> {
    /// Its text.
    pub release: &'a CanaryRelease,
    /// How it is routed.
    pub routing: Routing,
    /// Stable's Deployment, where a canary is a clone of it.
    pub stable_deployment: Option<Object>,
}

/// Route settings that are carried over; the others would take the decision away from the filter.
const ROUTE_SETTINGS: [&str; 10] = [
    "timeout",
    "retries",
    "fault",
    "corsPolicy",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "mirrors",
    "headers",
    "rewrite",
];

/// Checks a release against what is around it.
///
/// # Errors
/// The first reason why it may not be routed.
pub fn check<'a>(resource: &'a Resource, references: &References, routing_header: &str) -> Result<Accepted<'a>, Refusal> {
    let release = resource.parsed.as_ref().map_err(|error| Refusal::from(error.clone()))?;
    release::validate(release)?;
    let (rule_name, mesh_name, gateway_name) = resource.object_names();
    let namespace = &resource.namespace;
    let host = release.host();
    if let Some(older) = &references.older {
        return Err(Refusal::HostTaken(older.clone()));
    }
    if references.service.is_none() && !references.entry {
        let own = host.ends_with(&format!(".{namespace}.svc.cluster.local"));
        return Err(match host.ends_with(".svc.cluster.local") && !own {
            true => Refusal::OtherNamespace(host),
            false => Refusal::ServiceNotFound(host),
        });
    }
    check_ports(release, references)?;
    let routing = release.spec.routing.clone().unwrap_or_default();
    check_routing(&routing)?;
    if let (RoutingMode::Managed, Some(route)) = (routing.mode, references.foreign_routes.first()) {
        let ours = format!("{namespace}/{mesh_name}");
        return Err(Refusal::ForeignVirtualService(full_name(route), ours, routing_header.to_owned()));
    }
    let taken = [
        ("DestinationRule", &rule_name, &references.destination_rule),
        ("VirtualService", &mesh_name, &references.mesh_route),
        ("VirtualService", &gateway_name, &references.gateway_route),
    ];
    for (kind, name, found) in taken {
        if found.as_ref().is_some_and(is_foreign) {
            return Err(Refusal::NameTaken(format!("{kind} {namespace}/{name}")));
        }
    }
    check_hidden(release, references, namespace)?;
    let stable_deployment = check_workloads(resource, release, references)?;
    Ok(Accepted { release, routing, stable_deployment })
}

fn check_ports(release: &CanaryRelease, references: &References) -> Result<(), Refusal> {
    let Some(service) = &references.service else { return Ok(()) };
    let known: Vec<u16> = service.ports.iter().map(|port| port.number).collect();
    let missing = release.spec.ports.iter().enumerate().find(|(_, port)| !known.contains(port));
    match missing {
        Some((index, &port)) => {
            let known = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(Refusal::PortNotFound { index, port, known })
        }
        None => Ok(()),
    }
}

fn check_routing(routing: &Routing) -> Result<(), Refusal> {
    let refuse = |path: &str, cause: String| Err(Refusal::Invalid { path: path.to_owned(), cause });
    let managed = routing.mode == RoutingMode::Managed;
    if managed && routing.gateways.is_empty() != routing.hosts.is_empty() {
        let (path, cause) = match routing.hosts.is_empty() {
            true => ("spec.routing.hosts", "gateways without hosts; list the hosts that these gateways serve"),
            false => ("spec.routing.gateways", "hosts without gateways; list the gateways that serve them"),
        };
        return refuse(path, cause.to_owned());
    }
    if let Some(index) = routing.hosts.iter().position(|host| host.contains('*')) {
        return refuse(
            &format!("spec.routing.hosts[{index}]"),
            "a wildcard would take other hosts along; list the hosts one by one".to_owned(),
        );
    }
    if let Some(index) = routing.gateways.iter().position(|gateway| gateway == "mesh") {
        return refuse(&format!("spec.routing.gateways[{index}]"), "`mesh` is always routed; leave it out".to_owned());
    }
    let settings = routing.http.as_ref().and_then(Value::as_object);
    match settings.into_iter().flatten().find(|(name, _)| !ROUTE_SETTINGS.contains(&name.as_str())) {
        Some((name, _)) => refuse(
            &format!("spec.routing.http.{name}"),
            format!("`{name}` cannot be carried over; use {}", ROUTE_SETTINGS.join(", ")),
        ),
        None => Ok(()),
    }
}

/// A rule in a client's namespace is looked up before those of the Service's namespace, and only one of them acts.
fn check_hidden(release: &CanaryRelease, references: &References, namespace: &str) -> Result<(), Refusal> {
    let elsewhere = |rule: &&Object| {
        let exact = rule.data.pointer("/spec/host").and_then(Value::as_str).is_some_and(|host| !host.starts_with('*'));
        exact && rule.metadata.namespace.as_deref() != Some(namespace) && list(rule, "/spec/subsets").next().is_some()
    };
    let versions =
        std::iter::once(&release.spec.stable.version).chain(release.spec.canaries.iter().map(|canary| &canary.version));
    let versions: Vec<String> = versions.map(|version| subset_name(version)).collect();
    for rule in references.foreign_rules.iter().filter(elsewhere) {
        let has: Vec<&str> = list(rule, "/spec/subsets").filter_map(|subset| subset.get("name")?.as_str()).collect();
        let missing: Vec<&str> = versions.iter().map(String::as_str).filter(|version| !has.contains(version)).collect();
        if !missing.is_empty() {
            return Err(Refusal::SubsetsHidden { rule: full_name(rule), missing: missing.join(", ") });
        }
    }
    Ok(())
}

/// Finds stable's Deployment where a canary is a clone of it, and that the clones' names are free.
fn check_workloads(
    resource: &Resource,
    release: &CanaryRelease,
    references: &References,
) -> Result<Option<Object>, Refusal> {
    if release.spec.canaries.iter().all(|canary| canary.workload.is_none()) {
        return Ok(None);
    }
    let stable = stable_deployment(release, references).map_err(Refusal::StableDeployment)?;
    let containers: Vec<&str> =
        list(&stable, "/spec/template/spec/containers").filter_map(|container| container.get("name")?.as_str()).collect();
    for (index, canary) in release.spec.canaries.iter().enumerate() {
        let Some(workload) = &canary.workload else { continue };
        let path = format!("spec.canaries[{index}].workload.images");
        if workload.images.is_empty() {
            return Err(Refusal::Invalid { path, cause: "no image; write at least one `CONTAINER: IMAGE`".into() });
        }
        if let Some(name) = workload.images.keys().find(|name| !containers.contains(&name.as_str())) {
            let cause = format!("stable's Deployment has no container `{name}`; use one of {}", containers.join(", "));
            return Err(Refusal::Invalid { path, cause });
        }
        let name = super::build::clone_name(&stable, &release.spec.stable.version, &canary.version);
        let theirs = |found: &&Object| super::hosts::release_of(found) != Some(resource.name.as_str());
        if references.deployments.get(&name).filter(theirs).is_some() {
            return Err(Refusal::DeploymentTaken { index, name });
        }
    }
    Ok(Some(stable))
}

fn stable_deployment(release: &CanaryRelease, references: &References) -> Result<Object, String> {
    if let Some(name) = &release.spec.stable.deployment {
        return references
            .deployments
            .get(name)
            .cloned()
            .ok_or_else(|| format!("there is no Deployment `{name}`; correct the name"));
    }
    let Some(service) = &references.service else { return Err("is needed for a host without a Service; write it".into()) };
    let of_stable = |deployment: &&Object| {
        let labels = string_map(deployment.data.pointer("/spec/template/metadata/labels"));
        let selected = service.selector.iter().all(|(key, value)| labels.get(key) == Some(value));
        selected && labels.get(VERSION_LABEL) == Some(&release.spec.stable.version)
    };
    let found: Vec<&Object> = references.deployments.values().filter(of_stable).collect();
    let version = &release.spec.stable.version;
    match found.as_slice() {
        [one] => Ok(Object::clone(one)),
        [] => Err(format!("no Deployment of the Service's pods has the label version={version}; name the one to clone")),
        several => {
            let names: Vec<_> = several.iter().filter_map(|deployment| deployment.metadata.name.clone()).collect();
            Err(format!("{} have the label version={version}; name the one to clone", names.join(" and ")))
        }
    }
}
