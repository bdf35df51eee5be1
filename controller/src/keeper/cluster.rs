//! A release of a cluster, and the way to write a person's word there.

use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use serin_mesh::word::Word;
use serin_mesh::{Kind, Name};
use serin_release::lifecycle::control::Control;

use super::{Found, Keeper, Written};
use crate::cli::cluster::{Connection, Place};
use crate::cli::{Failure, report_warning};
use crate::cluster::convert::{api_resource, from_dynamic};

/// Between two looks at a status.
const APART: Duration = Duration::from_millis(50);

/// A release of a cluster.
pub(crate) struct Cluster {
    connection: Connection,
    name: Name,
    timeout: Duration,
}

/// What was read of a release.
pub(crate) struct Read {
    uid: String,
    /// The control as it was read: only this one is replaced.
    object: Option<DynamicObject>,
}

impl Cluster {
    /// Connects to the cluster that is named; so many seconds are waited until the controller has seen a word.
    pub(crate) fn connect(place: &Place, name: &str, seconds: u64) -> Result<Self, Failure> {
        let connection = Connection::open(place)?;
        let name = connection.name(name);
        Ok(Self { connection, name, timeout: Duration::from_secs(seconds) })
    }

    /// A control that goes with its release.
    fn new_control(&self, read: &Read, spec: &Value) -> DynamicObject {
        let owner = OwnerReference {
            api_version: Kind::CanaryRelease.api_version(),
            kind: Kind::CanaryRelease.name().to_owned(),
            name: self.name.name.clone(),
            uid: read.uid.clone(),
            ..OwnerReference::default()
        };
        let kind = api_resource(Kind::CanaryControl);
        let mut object = DynamicObject::new(&self.name.name, &kind).within(&self.name.namespace);
        object.metadata.owner_references = Some(vec![owner]);
        object.data = json!({"spec": spec});
        object
    }
}

impl Keeper for Cluster {
    type Read = Read;

    fn find(&self) -> Result<(Found, Read), Failure> {
        let name = &self.name;
        let resource = self.connection.release(name)?;
        let object = self.connection.find(Kind::CanaryControl, name)?;
        let word = Word::read(object.clone().map(from_dynamic).as_ref());
        if let Some(problem) = word.problem {
            // Nothing of it acts, and it must not keep anybody from a rollback.
            report_warning(&format!("CanaryControl {name} cannot be read and is replaced: {problem}"));
        }
        let release = resource.parsed.map_err(|problem| Failure::Failed(format!("CanaryRelease {name}: {problem}")))?;
        Ok((Found { release, control: word.control }, Read { uid: resource.uid, object }))
    }

    fn who(&self) -> Result<String, Failure> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.connection.client());
        let review = self.connection.ask("ask the API server who you are", async {
            reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await
        })?;
        let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
        Ok(user.unwrap_or_default())
    }

    fn write(&self, read: &Read, control: &Control, dry_run: bool) -> Result<Written, Failure> {
        let what = format!("write CanaryControl {}", self.name);
        let controls = self.connection.api(Kind::CanaryControl, &self.name.namespace);
        let spec = serde_json::to_value(control).map_err(|error| Failure::running(&what, error))?;
        let parameters = PostParams { dry_run, ..PostParams::default() };
        let written = self.connection.answer(&what, async {
            match read.object.clone() {
                Some(mut object) => {
                    object.data = json!({"spec": spec});
                    controls.replace(&self.name.name, &parameters, &object).await
                }
                None => controls.create(&parameters, &self.new_control(read, &spec)).await,
            }
        })?;
        Ok(match written {
            Some(object) => Written::Whole(object.metadata.generation.unwrap_or_default()),
            None => Written::Outdated,
        })
    }

    fn wait(&self, generation: i64) -> Result<(), Failure> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let release = self.connection.find(Kind::CanaryRelease, &self.name)?;
            let seen = release.and_then(|release| release.data.pointer("/status/controlGeneration").and_then(Value::as_i64));
            if seen.is_some_and(|seen| seen >= generation) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Failure::GaveUp(format!(
                    "it is written, and the controller has not taken it up within {:?}; look at `kubectl get crel {} -n {}` and at the controller",
                    self.timeout, self.name.name, self.name.namespace
                )));
            }
            self.connection.pause(APART);
        }
    }

    fn place(&self) -> String {
        "kubectl get cctl".to_owned()
    }
}
