//! Why a release is not accepted.

use serin_release::{Problem, ReleaseId};

use crate::conditions::{Condition, Reason};

/// Why a release is not accepted: each variant is a reason of the condition `Accepted`.
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
    #[error("spec.service: release {0} has a host of this one already; delete one of the two")]
    HostTaken(ReleaseId),
    /// The host is of another namespace.
    #[error("spec: `{0}` is the host of a Service of another namespace; create the release there")]
    OtherNamespace(String),
    /// There is no such Service.
    #[error("spec.service: this namespace has neither a Service nor a ServiceEntry for `{host}`; {fix}")]
    ServiceNotFound {
        /// The host.
        host: String,
        /// What to do.
        fix: String,
    },
    /// The Service has no such port.
    #[error("spec.ports[{index}]: the Service has no port {port}; use one of {known}")]
    PortNotFound {
        /// The position in the list.
        index: usize,
        /// The port.
        port: u16,
        /// The Service's ports.
        known: String,
    },
    /// The Service has no port that speaks HTTP, or one that is listed does not.
    #[error("{path}: {cause}")]
    NotHttp {
        /// Where in the object.
        path: String,
        /// What is wrong there, and what to do.
        cause: String,
    },
    /// The Service is a name of something outside.
    #[error("spec.service: a Service of type ExternalName has no pods to tell apart; name the Service that has them")]
    ExternalName,
    /// No pod has stable's label.
    #[error("spec.stable.version: no ready pod of the Service has the label version={version}; {seen}")]
    StableNotFound {
        /// The version.
        version: String,
        /// What its pods have, and what to do.
        seen: String,
    },
    /// Somebody else routes the host.
    #[error(
        "VirtualService {route} already routes a host of this release, and Istio would use only one of the two; either (a) delete it \
         and move its settings to spec.routing.http, or (b) set spec.routing.mode to `delegate` and let it delegate to {ours}, or \
         (c) set it to `external` and match on the header {header} there"
    )]
    ForeignVirtualService {
        /// The VirtualService.
        route: String,
        /// The name that Serin's has or would have.
        ours: String,
        /// The routing header.
        header: String,
    },
    /// A Gateway that is not there.
    #[error("spec.routing.gateways[{index}]: there is no Gateway {name}; create it, or correct the name (NAMESPACE/NAME)")]
    GatewayNotFound {
        /// The position in the list.
        index: usize,
        /// Its full name.
        name: String,
    },
    /// No Gateway serves the host to this namespace.
    #[error(
        "spec.routing.hosts[{index}]: {gateways} does not serve `{host}` to routes of namespace {namespace}; let its owner add \
         `{namespace}/{host}` to the hosts of a server that speaks HTTP, or correct the host"
    )]
    HostNotServed {
        /// The position in the list.
        index: usize,
        /// The host.
        host: String,
        /// The Gateways that the release lists.
        gateways: String,
        /// The namespace of the release.
        namespace: String,
    },
    /// An administrator does not let the namespace have the host.
    #[error(
        "spec.routing.hosts[{index}]: an administrator lets namespace {namespace} have {hosts} at gateways, and not `{host}`; ask one to add it to \
         --gateway-hosts, or correct the host"
    )]
    HostNotAllowed {
        /// The position in the list.
        index: usize,
        /// The host.
        host: String,
        /// The namespace of the release.
        namespace: String,
        /// What it may have.
        hosts: String,
    },
    /// An object of somebody else has the name of one of ours.
    #[error("{0} exists already and was not created by Serin; rename or delete it")]
    NameTaken(String),
    /// A rule of the owner's has a subset by the name of a version's that is another one.
    #[error(
        "DestinationRule {rule} has a subset `{subset}` without the label version={version}, and Istio would use it instead of Serin's; add the \
         label there, or rename the subset"
    )]
    SubsetTaken {
        /// The DestinationRule.
        rule: String,
        /// The subset.
        subset: String,
        /// The version.
        version: String,
    },
    /// Stable's Deployment cannot be derived.
    #[error("spec.stable.deployment: {0}")]
    StableDeployment(String),
    /// This controller writes no Deployments.
    #[error(
        "spec.canaries[{0}].workload: this cluster's administrator has switched `workload` off, so that Serin runs no pods; leave it out \
         and create the canary's Deployment yourself"
    )]
    WorkloadsOff(usize),
    /// A Deployment of somebody else has the name that the clone would get.
    #[error(
        "spec.canaries[{index}].workload: Deployment {name} exists already and was not created by Serin; leave `workload` out to use it"
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
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Invalid { .. } => Reason::Invalid,
            Self::HostTaken(_) => Reason::HostTaken,
            Self::OtherNamespace(_) => Reason::OtherNamespace,
            Self::ServiceNotFound { .. } => Reason::ServiceNotFound,
            Self::PortNotFound { .. } => Reason::PortNotFound,
            Self::NotHttp { .. } | Self::ExternalName => Reason::NotHttp,
            Self::StableNotFound { .. } => Reason::StableNotFound,
            Self::ForeignVirtualService { .. } => Reason::ForeignVirtualService,
            Self::GatewayNotFound { .. } => Reason::GatewayNotFound,
            Self::HostNotServed { .. } => Reason::HostNotServed,
            Self::HostNotAllowed { .. } => Reason::HostNotAllowed,
            Self::NameTaken(_) => Reason::NameTaken,
            Self::SubsetTaken { .. } => Reason::SubsetTaken,
            Self::StableDeployment(_) => Reason::StableDeployment,
            Self::WorkloadsOff(_) => Reason::WorkloadsOff,
            Self::DeploymentTaken { .. } => Reason::DeploymentTaken,
        }
    }

    /// The condition `Accepted` of a release that has it.
    #[must_use]
    pub fn condition(&self) -> Condition {
        Condition::new(self.reason(), self.to_string())
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Invalid { cause: problem.sentence(), path: problem.path }
    }
}
