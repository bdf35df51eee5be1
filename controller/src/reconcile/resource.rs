//! A `CanaryRelease` as the API server has it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::api::API_VERSION;
use crate::api::v1alpha1::{CanaryRelease, Metadata, RoutingMode, Status};
use crate::cluster::world::Object;
use crate::release::ReleaseError;

/// The finalizer: objects of the mesh go in the safe order, before the release does.
pub const FINALIZER: &str = "serin.dev/cleanup";

/// A release with what the API server says of it. Its spec may be one that an older version of the definition let through.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// What tells it from a release of the same name that was there before.
    pub uid: String,
    /// The generation of the spec.
    pub generation: i64,
    /// The resource version.
    pub version: Option<String>,
    /// Whether it is being deleted, or is gone and has left objects behind.
    pub deleting: bool,
    /// Whether the API server still has it.
    pub exists: bool,
    /// Whether it has the finalizer.
    pub finalizer: bool,
    /// Its text, or what is wrong with it.
    pub parsed: Result<CanaryRelease, ReleaseError>,
    /// Its status.
    pub status: Status,
    created: Option<Timestamp>,
}

impl Resource {
    /// Reads an object.
    #[must_use]
    pub fn read(object: &Object) -> Self {
        let meta = &object.metadata;
        let (namespace, name) = (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default());
        let status = object.data.get("status").and_then(|status| Status::deserialize(status).ok()).unwrap_or_default();
        Self {
            parsed: parse(object, &namespace, &name, &status),
            namespace,
            name,
            uid: meta.uid.clone().unwrap_or_default(),
            generation: meta.generation.unwrap_or_default(),
            version: meta.resource_version.clone(),
            deleting: meta.deletion_timestamp.is_some(),
            exists: true,
            finalizer: meta.finalizers.iter().flatten().any(|name| name == FINALIZER),
            status,
            created: meta.creation_timestamp.as_ref().map(|time| time.0),
        }
    }

    /// A release that is gone and has left objects behind.
    #[must_use]
    pub fn gone(namespace: &str, name: &str) -> Self {
        let nothing =
            ReleaseError { release: format!("{namespace}/{name}"), path: String::new(), cause: "it is gone".into() };
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
            generation: 0,
            version: None,
            deleting: true,
            exists: false,
            finalizer: false,
            parsed: Err(nothing),
            status: Status::default(),
            created: None,
        }
    }

    /// `NAMESPACE/NAME`.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// What releases that want one host are ordered by: the older one keeps it.
    #[must_use]
    pub fn age(&self) -> (Option<Timestamp>, String) {
        (self.created, self.id())
    }

    /// The hosts that it wants to route: its Service's, and those at gateways where it writes the route there.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        let Ok(release) = &self.parsed else { return Vec::new() };
        let mut hosts = vec![release.host()];
        if let Some(routing) = release.spec.routing.as_ref().filter(|routing| routing.mode == RoutingMode::Managed) {
            hosts.extend(routing.hosts.iter().map(|host| host.to_lowercase()));
        }
        hosts
    }

    /// The names of its DestinationRule, its route in the mesh and its route at gateways.
    #[must_use]
    pub fn object_names(&self) -> (String, String, String) {
        let name = format!("{}-serin", self.name);
        (name.clone(), name, format!("{}-serin-gateway", self.name))
    }
}

fn parse(object: &Object, namespace: &str, name: &str, status: &Status) -> Result<CanaryRelease, ReleaseError> {
    let refuse = |path: String, cause: String| ReleaseError { release: format!("{namespace}/{name}"), path, cause };
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    let spec = serde_path_to_error::deserialize(spec)
        .map_err(|error| refuse(format!("spec.{}", error.path()), error.into_inner().to_string()))?;
    Ok(CanaryRelease {
        api_version: API_VERSION.to_owned(),
        kind: "CanaryRelease".to_owned(),
        metadata: Metadata { name: name.to_owned(), namespace: namespace.to_owned() },
        spec,
        status: Some(status.clone()),
    })
}
