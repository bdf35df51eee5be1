//! The cluster of the kubeconfig, as commands see it.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use kube::api::{Api, DynamicObject};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serin_mesh::resource::Resource;
use serin_mesh::{Kind, Name, Object};
use serin_release::api::v1alpha1::CanaryRelease;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::{Failure, complete};
use crate::cluster::convert::{api_resource, from_dynamic};
use crate::cluster::{cause, connect_to};

/// So long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Which cluster, and which namespace of it.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct Place {
    /// Namespace [default: that of the kubeconfig's context].
    #[arg(short, long, add = complete::namespaces())]
    pub(crate) namespace: Option<String>,
    /// Context of the kubeconfig.
    #[arg(long, add = complete::contexts())]
    context: Option<String>,
    /// Kubeconfig file [default: as kubectl has it].
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

impl Place {
    /// The place with these settings.
    pub(crate) fn of(namespace: Option<String>, context: Option<String>, kubeconfig: Option<PathBuf>) -> Self {
        Self { namespace, context, kubeconfig }
    }
}

/// A connection to a cluster.
pub(crate) struct Connection {
    client: Client,
    runtime: Runtime,
    namespace: String,
}

impl Connection {
    /// Connects.
    pub(crate) fn open(place: &Place) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
        // A client needs the runtime around it.
        let (client, namespace) = runtime.block_on(client(place))?;
        Ok(Self { client, runtime, namespace })
    }

    /// `NAME` in the namespace of the connection, or `NAMESPACE/NAME`.
    pub(crate) fn name(&self, named: &str) -> Name {
        match named.split_once('/') {
            Some((namespace, name)) => Name::new(namespace, name),
            None => Name::new(&*self.namespace, named),
        }
    }

    /// The client.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The objects of a kind in a namespace.
    pub(crate) fn api(&self, kind: Kind, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client(), namespace, &api_resource(kind))
    }

    /// The objects of a kind in the namespace of the connection, or in all.
    pub(crate) fn all(&self, kind: Kind, everywhere: bool) -> Api<DynamicObject> {
        match everywhere {
            true => Api::all_with(self.client(), &api_resource(kind)),
            false => self.api(kind, &self.namespace),
        }
    }

    /// A release; it is an error that there is none.
    pub(crate) fn release(&self, name: &Name) -> Result<Resource, Failure> {
        let found = self.find(Kind::CanaryRelease, name)?;
        let found =
            found.ok_or_else(|| Failure::Failed(format!("CanaryRelease {name} is not there; `serin list -A` shows all")))?;
        Ok(Resource::read(&from_dynamic(found)))
    }

    /// Waits for what the API server says; `None` where the request was overtaken, for a caller that writes again.
    pub(crate) fn answer<T>(
        &self,
        what: &str,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, Failure> {
        let answer = self.runtime.block_on(async { timeout(PATIENCE, request).await });
        match answer {
            Err(_) => Err(Failure::Failed(format!("cannot {what}: no answer within {PATIENCE:?}"))),
            Ok(Ok(found)) => Ok(Some(found)),
            Ok(Err(kube::Error::Api(status))) if status.is_conflict() || status.is_already_exists() => Ok(None),
            Ok(Err(error)) => {
                let told = format!("cannot {what}: {}", cause(&error));
                let is_forbidden = matches!(&error, kube::Error::Api(status) if status.is_forbidden());
                Err(if is_forbidden { Failure::Forbidden(told) } else { Failure::Failed(told) })
            }
        }
    }

    /// Waits for an answer of the API server to what nothing can overtake.
    pub(crate) fn ask<T>(&self, what: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let answer = self.answer(what, request)?;
        answer.ok_or_else(|| Failure::Failed(format!("cannot {what}: somebody else has changed it; try again")))
    }

    /// An object; `None` where there is none of this name.
    pub(crate) fn find(&self, kind: Kind, name: &Name) -> Result<Option<DynamicObject>, Failure> {
        let what = format!("read {} {name}", kind.name());
        self.ask(&what, async { self.api(kind, &name.namespace).get_opt(&name.name).await })
    }

    /// Waits.
    pub(crate) fn pause(&self, time: Duration) {
        self.runtime.block_on(async { sleep(time).await });
    }
}

/// A client of the cluster that is named, and the namespace that is meant without any.
pub(crate) async fn client(place: &Place) -> Result<(Client, String), Failure> {
    let config = config(place).await?;
    let namespace = place.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    Ok((connect_to(config, PATIENCE)?, namespace))
}

/// The configuration of the cluster that is named.
async fn config(place: &Place) -> Result<Config, Failure> {
    let options = KubeConfigOptions { context: place.context.clone(), ..KubeConfigOptions::default() };
    let not_usable = |error: &(dyn std::error::Error + 'static)| Failure::running("cannot use the kubeconfig", cause(error));
    match (&place.kubeconfig, &place.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| not_usable(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| not_usable(&error))
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| not_usable(&error)),
        (None, None) => Config::infer().await.map_err(|error| Failure::running("no cluster is configured", cause(&error))),
    }
}

/// An object of the kubeconfig's cluster; `None` where there is none of this name.
pub(crate) fn object(kind: Kind, name: &Name) -> Result<Option<Object>, Failure> {
    Ok(Connection::open(&Place::default())?.find(kind, name)?.map(from_dynamic))
}

/// The release of the same name, with its generation.
pub(crate) fn release(named: &CanaryRelease) -> Result<Option<(CanaryRelease, i64)>, Failure> {
    let name = Name::new(&*named.metadata.namespace, &*named.metadata.name);
    let Some(found) = object(Kind::CanaryRelease, &name)? else { return Ok(None) };
    let Resource { parsed, generation, .. } = Resource::read(&found);
    let release = parsed.map_err(|problem| Failure::Failed(format!("in the cluster: {problem}")))?;
    Ok(Some((release, generation)))
}
