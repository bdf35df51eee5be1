//! Which objects a release has in Istio, and their names.

use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{Routing, RoutingMode};

/// The names of a release's objects, all in its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectNames {
    /// The DestinationRule.
    pub rule: String,
    /// The VirtualService for clients in the mesh.
    pub mesh_route: String,
    /// The VirtualService at gateways.
    pub gateway_route: String,
}

impl ObjectNames {
    /// The names of a release's objects.
    #[must_use]
    pub fn of(id: &ReleaseId) -> Self {
        let name = format!("{}-serin", id.name);
        Self { rule: name.clone(), mesh_route: name, gateway_route: format!("{}-serin-gateway", id.name) }
    }
}

/// Whether a release's routes are Serin's, and those at gateways too.
pub(super) fn routes_written(routing: &Routing) -> (bool, bool) {
    (routing.mode != RoutingMode::External, routing.mode == RoutingMode::Managed && !routing.gateways.is_empty())
}

/// The name of a gateway with its namespace, as VirtualServices may leave it out.
pub(super) fn full_gateway(name: &str, namespace: &str) -> String {
    match name.contains('/') || name == "mesh" {
        true => name.to_owned(),
        false => format!("{namespace}/{name}"),
    }
}
