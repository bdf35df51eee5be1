//! Where a release applies.

use crate::api::v1alpha1::CanaryRelease;

/// Where a release applies, as the resolving side knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The hosts, at least one.
    pub hosts: Vec<String>,
    /// The ports; all when empty.
    pub ports: Vec<u16>,
}

impl Target {
    /// Where a release applies in a mesh.
    #[must_use]
    pub fn in_mesh(release: &CanaryRelease) -> Self {
        let mut hosts = release.claims();
        hosts.dedup();
        Self { hosts, ports: release.spec.ports.clone() }
    }
}
