//! A `CanaryRelease` as the API server has it.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;
use serin_release::api::API_VERSION;
use serin_release::api::v1alpha1::{CanaryRelease, Metadata, Status};
use serin_release::domain::ClusterDomain;
use serin_release::yaml::from_value;
use serin_release::{Problem, ReleaseId};

use crate::Object;

/// The finalizer: objects of the mesh go in the safe order, before the release does.
pub const FINALIZER: &str = "serin.dev/cleanup";

/// Where a release is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is there.
    Live,
    /// It is being deleted.
    Leaving,
    /// It is gone and has left objects behind.
    Gone,
}

/// A release with what the API server says of it. Its spec may be one that an older version of the definition let through.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its name.
    pub id: ReleaseId,
    /// What tells it from a release of the same name that was there before.
    pub uid: String,
    /// The generation of the spec.
    pub generation: i64,
    /// The resource version.
    pub revision: Option<String>,
    /// Where it is in its life.
    pub life: Life,
    /// Whether it has the finalizer.
    pub finalizer: bool,
    /// Its text, or what is wrong with it.
    pub parsed: Result<CanaryRelease, Problem>,
    /// Its status.
    pub status: Status,
    created: Option<String>,
}

/// What releases that want one host are ordered by: the older one keeps it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Age {
    /// When it was created; nothing is older than a text.
    pub created: Option<String>,
    /// Of two that were created in one second.
    pub id: ReleaseId,
}

impl Resource {
    /// Reads an object of a cluster of the usual domain.
    #[must_use]
    pub fn read(object: &Object) -> Self {
        Self::read_in(&ClusterDomain::default(), object)
    }

    /// Reads an object.
    #[must_use]
    pub fn read_in(domain: &ClusterDomain, object: &Object) -> Self {
        let meta = &object.metadata;
        let id = ReleaseId::new(&*meta.namespace, &*meta.name);
        let status = object.data.get("status").and_then(|status| Status::deserialize(status).ok()).unwrap_or_default();
        Self {
            parsed: parse(object, &id, &status, domain),
            id,
            uid: meta.uid.clone(),
            generation: meta.generation,
            revision: meta.resource_version.clone(),
            life: if meta.deleting { Life::Leaving } else { Life::Live },
            finalizer: meta.finalizers.iter().any(|name| name == FINALIZER),
            status,
            created: meta.created.clone(),
        }
    }

    /// A release that is gone and has left objects behind.
    #[must_use]
    pub fn gone(id: ReleaseId) -> Self {
        let nothing = Problem::new("", "the release is gone", "").in_object(id.to_string());
        Self {
            id,
            uid: String::new(),
            generation: 0,
            revision: None,
            life: Life::Gone,
            finalizer: false,
            parsed: Err(nothing),
            status: Status::default(),
            created: None,
        }
    }

    /// Whether it goes, or is gone.
    #[must_use]
    pub fn leaves(&self) -> bool {
        self.life != Life::Live
    }

    /// The hosts that it wants to route.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        self.parsed.as_ref().map(CanaryRelease::claims).unwrap_or_default()
    }

    /// Its age among those that want the same host.
    #[must_use]
    pub fn age(&self) -> Age {
        Age { created: self.created.clone(), id: self.id.clone() }
    }
}

fn parse(object: &Object, id: &ReleaseId, status: &Status, domain: &ClusterDomain) -> Result<CanaryRelease, Problem> {
    let spec = object.data.get("spec").unwrap_or(&Value::Null);
    let spec = from_value(spec, "spec").map_err(|problem| problem.in_object(id.to_string()))?;
    Ok(CanaryRelease {
        api_version: API_VERSION.to_owned(),
        kind: "CanaryRelease".to_owned(),
        metadata: Metadata { name: id.name.clone(), namespace: id.namespace.clone() },
        domain: domain.clone(),
        word: None,
        banned: BTreeSet::new(),
        spec,
        status: Some(status.clone()),
    })
}
