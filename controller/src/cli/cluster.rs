//! What commands read of the cluster of the kubeconfig.

use std::time::Duration;

use kube::api::{Api, DynamicObject};
use serin_mesh::resource::Resource;
use serin_mesh::{Kind, Name, Object};
use serin_release::api::v1alpha1::CanaryRelease;

use super::Failure;
use crate::cluster::convert::{api_resource, from_dynamic};
use crate::cluster::{cause, connect};

/// So long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// An object of the cluster; `None` where there is none of this name.
pub(super) fn object(kind: Kind, name: &Name) -> Result<Option<Object>, Failure> {
    let full = format!("{} {}/{}", kind.name(), name.namespace, name.name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
    let found = runtime.block_on(async {
        let client = connect(PATIENCE).await?;
        let objects: Api<DynamicObject> = Api::namespaced_with(client, &name.namespace, &api_resource(kind));
        let read = tokio::time::timeout(PATIENCE, objects.get_opt(&name.name)).await;
        let read = read.map_err(|_| Failure::Failed(format!("cannot read {full}: no answer within {PATIENCE:?}")))?;
        read.map_err(|error| Failure::Failed(format!("cannot read {full}: {}", cause(&error))))
    })?;
    Ok(found.map(from_dynamic))
}

/// The release of the same name, with its generation.
pub(super) fn release(named: &CanaryRelease) -> Result<Option<(CanaryRelease, i64)>, Failure> {
    let name = Name::new(&*named.metadata.namespace, &*named.metadata.name);
    let Some(found) = object(Kind::CanaryRelease, &name)? else { return Ok(None) };
    let Resource { parsed, generation, .. } = Resource::read(&found);
    let release = parsed.map_err(|problem| Failure::Failed(format!("in the cluster: {problem}")))?;
    Ok(Some((release, generation)))
}
