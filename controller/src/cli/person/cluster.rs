//! The cluster of the kubeconfig: what is there of a release, and the way to write a person's word.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DynamicObject, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};
use serin_mesh::Kind;
use serin_mesh::resource::Resource;
use serin_mesh::word::Word;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live;
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use super::Named;
use crate::cli::Failure;
use crate::cluster::cause;
use crate::cluster::convert::{api_resource, from_dynamic};

/// So long a cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// So often a control is written that somebody else writes too.
const TRIES: u32 = 5;
/// The status of a write that somebody else came before.
const CONFLICT: u16 = 409;
/// Between two looks at a status.
const APART: Duration = Duration::from_millis(50);

/// A connection to the cluster.
pub(super) struct Cluster {
    client: Client,
    runtime: Runtime,
    namespace: String,
    name: String,
    timeout: Duration,
}

/// What is there of a release.
pub(super) struct Found {
    pub(super) release: CanaryRelease,
    pub(super) uid: String,
    pub(super) control: Control,
}

impl Found {
    /// The weights in the bucket map.
    pub(super) fn weights(&self) -> BTreeMap<String, u32> {
        self.release.status.as_ref().map(|status| live::weights(&status.allocation.base)).unwrap_or_default()
    }
}

impl Cluster {
    /// Connects to the cluster that is named.
    pub(super) fn connect(named: &Named) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
        let config = runtime.block_on(config(named))?;
        let (namespace, name) = match named.name.split_once('/') {
            Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
            None => (named.namespace.clone().unwrap_or_else(|| config.default_namespace.clone()), named.name.clone()),
        };
        let client = {
            // A client needs the runtime around it.
            let _inside = runtime.enter();
            Client::try_from(config)
        };
        let client =
            client.map_err(|error| Failure::running("cannot use the configuration of the cluster", cause(&error)))?;
        Ok(Self { client, runtime, namespace, name, timeout: Duration::from_secs(named.timeout) })
    }

    fn full(&self) -> String {
        format!("CanaryRelease {}/{}", self.namespace, self.name)
    }

    fn api(&self, kind: Kind) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &api_resource(kind))
    }

    /// Waits for an answer of the API server.
    fn ask<T>(&self, what: &str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Failure> {
        let answer = self.runtime.block_on(async { timeout(PATIENCE, request).await });
        let answer = answer.map_err(|_| Failure::Failed(format!("cannot {what}: no answer within {PATIENCE:?}")))?;
        answer.map_err(|error| Failure::Failed(format!("cannot {what}: {}", cause(&error))))
    }

    /// The release and its control.
    pub(super) fn find(&self) -> Result<Found, Failure> {
        let full = self.full();
        let release =
            self.ask(&format!("read {full}"), async { self.api(Kind::CanaryRelease).get_opt(&self.name).await })?;
        let release =
            release.ok_or_else(|| Failure::Failed(format!("{full} is not there; `kubectl get crel -A` lists all")))?;
        let resource = Resource::read(&from_dynamic(release));
        let control =
            self.ask("read its CanaryControl", async { self.api(Kind::CanaryControl).get_opt(&self.name).await })?;
        let word = Word::read(control.map(from_dynamic).as_ref());
        if let Some(problem) = word.problem {
            return Err(Failure::Failed(format!("CanaryControl {}/{}: {problem}", self.namespace, self.name)));
        }
        let release = resource.parsed.map_err(|problem| Failure::Failed(format!("{full}: {problem}")))?;
        Ok(Found { release, uid: resource.uid, control: word.control })
    }

    /// The user as the API server knows it.
    pub(super) fn who(&self) -> Result<String, Failure> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.client.clone());
        let review = self.ask("ask the API server who you are", async {
            reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await
        })?;
        let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
        Ok(user.unwrap_or_default())
    }

    /// Writes the control, and answers with its generation.
    pub(super) fn write(&self, found: &Found, control: &Control, dry_run: bool) -> Result<i64, Failure> {
        let what = format!("write CanaryControl {}/{}", self.namespace, self.name);
        let controls = self.api(Kind::CanaryControl);
        let spec = serde_json::to_value(control).map_err(|error| Failure::running(&what, error))?;
        let parameters = PostParams { dry_run, ..PostParams::default() };
        let written = self.ask(&what, async {
            // Who comes in between is overruled: the last word acts.
            for _ in 0..TRIES {
                let tried = match controls.get_opt(&self.name).await? {
                    Some(mut object) => {
                        object.data = json!({"spec": spec});
                        controls.replace(&self.name, &parameters, &object).await
                    }
                    None => controls.create(&parameters, &self.new_control(found, &spec)).await,
                };
                match tried {
                    Err(kube::Error::Api(status)) if status.code == CONFLICT => {}
                    other => return other,
                }
            }
            controls.get(&self.name).await
        })?;
        Ok(written.metadata.generation.unwrap_or_default())
    }

    /// A control that goes with its release.
    fn new_control(&self, found: &Found, spec: &Value) -> DynamicObject {
        let owner = OwnerReference {
            api_version: Kind::CanaryRelease.api_version(),
            kind: Kind::CanaryRelease.name().to_owned(),
            name: self.name.clone(),
            uid: found.uid.clone(),
            ..OwnerReference::default()
        };
        let mut object = DynamicObject::new(&self.name, &api_resource(Kind::CanaryControl)).within(&self.namespace);
        object.metadata.owner_references = Some(vec![owner]);
        object.data = json!({"spec": spec});
        object
    }

    /// Waits until the controller has seen a control of this generation.
    pub(super) fn wait(&self, generation: i64) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let release =
                self.ask(&format!("read {}", self.full()), async { self.api(Kind::CanaryRelease).get(&self.name).await })?;
            let seen = release.data.pointer("/status/controlGeneration").and_then(Value::as_i64);
            if seen.is_some_and(|seen| seen >= generation) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Failure::GaveUp(format!(
                    "it is written, and the controller has not taken it up within {:?}; look at `kubectl get crel {} -n {}` and at the controller",
                    self.timeout, self.name, self.namespace
                )));
            }
            self.runtime.block_on(async { sleep(APART).await });
        }
    }
}

/// The configuration of the cluster that is named.
async fn config(named: &Named) -> Result<Config, Failure> {
    // Two providers in one process would make rustls refuse to choose.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let options = KubeConfigOptions { context: named.context.clone(), ..KubeConfigOptions::default() };
    let not_usable = |error: &(dyn std::error::Error + 'static)| Failure::running("cannot use the kubeconfig", cause(error));
    let mut config = match (&named.kubeconfig, &named.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| not_usable(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| not_usable(&error))?
        }
        (None, Some(_)) => Config::from_kubeconfig(&options).await.map_err(|error| not_usable(&error))?,
        (None, None) => {
            Config::infer().await.map_err(|error| Failure::running("no cluster is configured", cause(&error)))?
        }
    };
    config.connect_timeout = Some(PATIENCE);
    Ok(config)
}
