//! What commands read of a cluster.

use std::time::Duration;

use kube::api::{Api, DynamicObject};
use serin_mesh::Kind;
use serin_mesh::resource::Resource;
use serin_release::api::v1alpha1::CanaryRelease;

use super::Failure;
use crate::cluster::convert::{api_resource, from_dynamic};
use crate::cluster::{cause, connect};

/// So long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The release of the same name in the cluster of the kubeconfig, and its generation.
pub(super) fn release(named: &CanaryRelease) -> Result<(Option<CanaryRelease>, Option<i64>), Failure> {
    let full = format!("CanaryRelease {}", named.id());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
    let found = runtime.block_on(async {
        let client = connect(PATIENCE).await?;
        let releases: Api<DynamicObject> =
            Api::namespaced_with(client, &named.metadata.namespace, &api_resource(Kind::CanaryRelease));
        let read = tokio::time::timeout(PATIENCE, releases.get_opt(&named.metadata.name)).await;
        let read = read.map_err(|_| Failure::Failed(format!("cannot read {full}: no answer within {PATIENCE:?}")))?;
        read.map_err(|error| Failure::Failed(format!("cannot read {full}: {}", cause(&error))))
    })?;
    let Some(found) = found else { return Ok((None, None)) };
    let resource = Resource::read(&from_dynamic(found));
    let release = resource.parsed.map_err(|problem| Failure::Failed(format!("{full} in the cluster: {problem}")))?;
    Ok((Some(release), Some(resource.generation)))
}
