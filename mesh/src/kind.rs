//! The kinds of objects that the controller reads and writes.

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `serin.dev` CanaryRelease.
    CanaryRelease,
    /// `serin.dev` CanaryControl.
    CanaryControl,
    /// Namespace, its metadata alone: for the label that names a waypoint.
    Namespace,
    /// Service.
    Service,
    /// EndpointSlice.
    EndpointSlice,
    /// Pod, its metadata alone: for the label `version`.
    Pod,
    /// Deployment.
    Deployment,
    /// HorizontalPodAutoscaler.
    HorizontalPodAutoscaler,
    /// Istio's WorkloadEntry.
    WorkloadEntry,
    /// Istio's ServiceEntry.
    ServiceEntry,
    /// Istio's Gateway.
    Gateway,
    /// Istio's Sidecar.
    Sidecar,
    /// Istio's VirtualService.
    VirtualService,
    /// Istio's DestinationRule.
    DestinationRule,
    /// Istio's WasmPlugin.
    WasmPlugin,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 15] = [
        Self::CanaryRelease,
        Self::CanaryControl,
        Self::Namespace,
        Self::Service,
        Self::EndpointSlice,
        Self::Pod,
        Self::Deployment,
        Self::HorizontalPodAutoscaler,
        Self::WorkloadEntry,
        Self::ServiceEntry,
        Self::Gateway,
        Self::Sidecar,
        Self::VirtualService,
        Self::DestinationRule,
        Self::WasmPlugin,
    ];

    /// Group, version, kind and plural.
    const fn names(self) -> [&'static str; 4] {
        match self {
            Self::CanaryRelease => ["serin.dev", "v1alpha1", "CanaryRelease", "canaryreleases"],
            Self::CanaryControl => ["serin.dev", "v1alpha1", "CanaryControl", "canarycontrols"],
            Self::Namespace => ["", "v1", "Namespace", "namespaces"],
            Self::Service => ["", "v1", "Service", "services"],
            Self::EndpointSlice => ["discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"],
            Self::Pod => ["", "v1", "Pod", "pods"],
            Self::Deployment => ["apps", "v1", "Deployment", "deployments"],
            Self::HorizontalPodAutoscaler => ["autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"],
            Self::WorkloadEntry => ["networking.istio.io", "v1", "WorkloadEntry", "workloadentries"],
            Self::ServiceEntry => ["networking.istio.io", "v1", "ServiceEntry", "serviceentries"],
            Self::Gateway => ["networking.istio.io", "v1", "Gateway", "gateways"],
            Self::Sidecar => ["networking.istio.io", "v1", "Sidecar", "sidecars"],
            Self::VirtualService => ["networking.istio.io", "v1", "VirtualService", "virtualservices"],
            Self::DestinationRule => ["networking.istio.io", "v1", "DestinationRule", "destinationrules"],
            Self::WasmPlugin => ["extensions.istio.io", "v1alpha1", "WasmPlugin", "wasmplugins"],
        }
    }

    /// The name of the kind.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let [_, _, name, _] = self.names();
        name
    }

    /// The API group; empty for the core group.
    #[must_use]
    pub const fn group(self) -> &'static str {
        let [group, ..] = self.names();
        group
    }

    /// The plural, as in RBAC rules.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        let [_, _, _, plural] = self.names();
        plural
    }

    /// The version of the API group.
    #[must_use]
    pub const fn version(self) -> &'static str {
        let [_, version, ..] = self.names();
        version
    }

    /// `apiVersion` of its objects.
    #[must_use]
    pub fn api_version(self) -> String {
        let [group, version, ..] = self.names();
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
    }

    /// Whether Serin makes, changes and deletes its objects; of a release it writes the status and the finalizer alone.
    #[must_use]
    pub const fn is_written(self) -> bool {
        self.is_of_workloads() || matches!(self, Self::VirtualService | Self::DestinationRule | Self::WasmPlugin)
    }

    /// Whether its objects run pods, which Serin writes only where it is let.
    #[must_use]
    pub const fn is_of_workloads(self) -> bool {
        matches!(self, Self::Deployment | Self::HorizontalPodAutoscaler)
    }

    /// Whether only the metadata of its objects is of interest.
    #[must_use]
    pub const fn metadata_only(self) -> bool {
        matches!(self, Self::Namespace | Self::Pod)
    }

    /// The label selector of a watch, where not all objects are of interest.
    #[must_use]
    pub const fn selector(self) -> Option<&'static str> {
        match self {
            Self::Pod => Some("version"),
            Self::EndpointSlice => Some("kubernetes.io/service-name"),
            _ => None,
        }
    }
}
