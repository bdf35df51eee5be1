//! Step 6, apply: writes, by server-side apply under one field manager. Client required.
//!
//! Each write names the revision that it was computed from, so that a leader that was stopped in the middle and wakes up after
//! another one took over changes nothing: the API server refuses it.

use std::time::Duration;

use kube::api::{Api, DeleteParams, Patch, PatchParams, Preconditions};
use kube::{Client, Error};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::convert::{api_resource, from_dynamic};
use super::lease::Fence;
use super::metrics::{Metrics, Verb};
use kube::api::DynamicObject;
use serin_mesh::desired::{APPLIED, Desired};
use serin_mesh::names::{MANAGED_BY, MANAGER, RELEASE_LABEL};
use serin_mesh::resource::{FINALIZER, Resource};
use serin_mesh::workload::SIZED;
use serin_mesh::{Kind, Object};
use serin_release::api::v1alpha1::Status;

/// Holds the number of pods of a clone that is left to whoever scales it, until somebody does.
pub(crate) const SCALE_MANAGER: &str = "serin-scale";

/// Why a write did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WriteError {
    /// This process leads no more.
    #[error("this controller does not lead any more")]
    NotLeader,
    /// The object changed since it was read; the next pass sees it as it is.
    #[error("{0} changed in between")]
    Conflict(String),
    /// The API server refused it or did not answer.
    #[error("cannot write {object}: {cause}")]
    Failed {
        /// The kind and name.
        object: String,
        /// What the API server said.
        cause: String,
    },
}

/// The way to the API server.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    fence: Fence,
    metrics: Metrics,
    patience: Duration,
}

impl Writer {
    /// A writer that writes only while `fence` holds, and gives a request up after `patience`.
    #[must_use]
    pub const fn new(client: Client, fence: Fence, metrics: Metrics, patience: Duration) -> Self {
        Self { client, fence, metrics, patience }
    }

    fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &api_resource(kind))
    }

    /// Makes an object as it shall be.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn apply(&self, wanted: &Desired, found: Option<&Object>) -> Result<Object, WriteError> {
        let mut body = wanted.body.clone();
        at_revision(&mut body, found.and_then(|found| found.metadata.resource_version.as_deref()));
        let api = self.api(wanted.kind, &wanted.namespace);
        let request = async { api.patch(&wanted.name, &parameters(), &Patch::Apply(&body)).await };
        self.run(wanted.kind, Verb::Apply, &wanted.namespace, &wanted.name, request).await.map(from_dynamic)
    }

    /// Deletes an object, if it is still the one that was found.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn delete(&self, kind: Kind, found: &Object) -> Result<(), WriteError> {
        let name = found.name();
        let uid = Some(found.metadata.uid.clone()).filter(|uid| !uid.is_empty());
        let preconditions = Preconditions { uid, resource_version: None };
        let parameters = DeleteParams::background().preconditions(preconditions);
        let api = self.api(kind, &name.namespace);
        let request = async {
            match api.delete(&name.name, &parameters).await {
                Err(Error::Api(status)) if status.code == 404 => Ok(()),
                other => other.map(|_| ()),
            }
        };
        self.run(kind, Verb::Delete, &name.namespace, &name.name, request).await
    }

    /// Sets the number of a Deployment's pods, and lets another field manager hold it: it stays when Serin leaves it to whoever scales.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn scale(&self, found: &Object, replicas: u32) -> Result<Object, WriteError> {
        let (kind, name) = (Kind::Deployment, found.name());
        let metadata = json!({"name": name.name, "namespace": name.namespace});
        let mut body = json!({"apiVersion": kind.api_version(), "kind": kind.name(), "metadata": metadata, "spec": {"replicas": replicas}});
        at_revision(&mut body, found.metadata.resource_version.as_deref());
        let api = self.api(kind, &name.namespace);
        let request =
            async { api.patch(&name.name, &PatchParams::apply(SCALE_MANAGER).force(), &Patch::Apply(&body)).await };
        self.run(kind, Verb::Apply, &name.namespace, &name.name, request).await.map(from_dynamic)
    }

    /// Takes Serin's labels off an object that stays.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn disown(&self, kind: Kind, namespace: &str, name: &str) -> Result<Object, WriteError> {
        let body = json!({"metadata": {"labels": {MANAGED_BY: null, RELEASE_LABEL: null}, "annotations": {APPLIED: null, SIZED: null}}});
        let api = self.api(kind, namespace);
        let parameters = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let request = async { api.patch(name, &parameters, &Patch::Merge(&body)).await };
        self.run(kind, Verb::Disown, namespace, name, request).await.map(from_dynamic)
    }

    /// Adds or removes the finalizer of a release.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn finalizer(&self, resource: &Resource, revision: Option<&str>, present: bool) -> Result<Object, WriteError> {
        let finalizers: &[&str] = if present { &[FINALIZER] } else { &[] };
        let mut body = head(resource, json!({"finalizers": finalizers}));
        at_revision(&mut body, revision);
        let api = self.api(Kind::CanaryRelease, &resource.id.namespace);
        let request = async { api.patch(&resource.id.name, &parameters(), &Patch::Apply(&body)).await };
        self.run(Kind::CanaryRelease, Verb::Finalizer, &resource.id.namespace, &resource.id.name, request)
            .await
            .map(from_dynamic)
    }

    /// Writes the status of a release.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn status(&self, resource: &Resource, revision: Option<&str>, status: &Status) -> Result<Object, WriteError> {
        let mut body = head(resource, json!({}));
        if let Some(fields) = body.as_object_mut() {
            fields.insert("status".into(), serde_json::to_value(status).unwrap_or_default());
        }
        at_revision(&mut body, revision);
        let api = self.api(Kind::CanaryRelease, &resource.id.namespace);
        let request = async { api.patch_status(&resource.id.name, &parameters(), &Patch::Apply(&body)).await };
        self.run(Kind::CanaryRelease, Verb::Status, &resource.id.namespace, &resource.id.name, request)
            .await
            .map(from_dynamic)
    }

    async fn run<T>(
        &self,
        kind: Kind,
        verb: Verb,
        namespace: &str,
        name: &str,
        request: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, WriteError> {
        if !self.fence.holds() {
            return Err(WriteError::NotLeader);
        }
        let object = format!("{} {namespace}/{name}", kind.name());
        let result = match timeout(self.patience, request).await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Error::Api(status))) if status.code == 409 => Err(WriteError::Conflict(object.clone())),
            Ok(Err(error)) => Err(WriteError::Failed { object: object.clone(), cause: super::cause(&error) }),
            Err(_) => {
                Err(WriteError::Failed { object: object.clone(), cause: format!("no answer within {:?}", self.patience) })
            }
        };
        self.metrics.wrote(kind, verb, result.as_ref().err());
        tracing::debug!(object, verb = verb.name(), error = result.as_ref().err().map(tracing::field::display), "write");
        result
    }
}

fn parameters() -> PatchParams {
    PatchParams::apply(MANAGER).force()
}

fn head(resource: &Resource, metadata: Value) -> Value {
    let mut metadata = metadata;
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert("name".into(), resource.id.name.as_str().into());
        fields.insert("namespace".into(), resource.id.namespace.as_str().into());
    }
    json!({"apiVersion": Kind::CanaryRelease.api_version(), "kind": Kind::CanaryRelease.name(), "metadata": metadata})
}

fn at_revision(body: &mut Value, revision: Option<&str>) {
    let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
    if let (Some(metadata), Some(revision)) = (metadata, revision) {
        metadata.insert("resourceVersion".into(), revision.into());
    }
}
