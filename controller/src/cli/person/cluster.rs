//! What is there of a release, and the way to write a person's word.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use serin_mesh::word::Word;
use serin_mesh::{Kind, Name};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live;

use super::Named;
use crate::cli::cluster::Connection;
use crate::cli::{Failure, report_warning};
use crate::cluster::convert::{api_resource, from_dynamic};

/// Between two looks at a status.
const APART: Duration = Duration::from_millis(50);

/// A release of a cluster.
pub(super) struct Cluster {
    connection: Connection,
    name: Name,
    timeout: Duration,
}

/// What is there of a release.
pub(super) struct Found {
    pub(super) release: CanaryRelease,
    pub(super) uid: String,
    pub(super) control: Control,
    /// The control as it was read: only this one is replaced.
    object: Option<DynamicObject>,
}

/// What became of a write.
pub(super) enum Written {
    /// It is there, with this generation.
    Whole(i64),
    /// Somebody else has written meanwhile: what was read is out of date, and nothing was written.
    Outdated,
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
        let connection = Connection::open(&named.place)?;
        let name = connection.name(&named.name);
        Ok(Self { connection, name, timeout: Duration::from_secs(named.timeout) })
    }

    /// The release and its control.
    pub(super) fn find(&self) -> Result<Found, Failure> {
        let name = &self.name;
        let resource = self.connection.release(name)?;
        let object = self.connection.find(Kind::CanaryControl, name)?;
        let word = Word::read(object.clone().map(from_dynamic).as_ref());
        if let Some(problem) = word.problem {
            // Nothing of it acts, and it must not keep anybody from a rollback.
            report_warning(&format!("CanaryControl {name} cannot be read and is replaced: {problem}"));
        }
        let release = resource.parsed.map_err(|problem| Failure::Failed(format!("CanaryRelease {name}: {problem}")))?;
        Ok(Found { release, uid: resource.uid, control: word.control, object })
    }

    /// The user as the API server knows it.
    pub(super) fn who(&self) -> Result<String, Failure> {
        let reviews: Api<SelfSubjectReview> = Api::all(self.connection.client());
        let review = self.connection.ask("ask the API server who you are", async {
            reviews.create(&PostParams::default(), &SelfSubjectReview::default()).await
        })?;
        let user = review.status.and_then(|status| status.user_info).and_then(|user| user.username);
        Ok(user.unwrap_or_default())
    }

    /// Writes the control in the place of the one that was read.
    pub(super) fn write(&self, found: &Found, control: &Control, dry_run: bool) -> Result<Written, Failure> {
        let what = format!("write CanaryControl {}", self.name);
        let controls = self.connection.api(Kind::CanaryControl, &self.name.namespace);
        let spec = serde_json::to_value(control).map_err(|error| Failure::running(&what, error))?;
        let parameters = PostParams { dry_run, ..PostParams::default() };
        let written = self.connection.answer(&what, async {
            match found.object.clone() {
                Some(mut object) => {
                    object.data = json!({"spec": spec});
                    controls.replace(&self.name.name, &parameters, &object).await
                }
                None => controls.create(&parameters, &self.new_control(found, &spec)).await,
            }
        })?;
        Ok(match written {
            Some(object) => Written::Whole(object.metadata.generation.unwrap_or_default()),
            None => Written::Outdated,
        })
    }

    /// A control that goes with its release.
    fn new_control(&self, found: &Found, spec: &Value) -> DynamicObject {
        let owner = OwnerReference {
            api_version: Kind::CanaryRelease.api_version(),
            kind: Kind::CanaryRelease.name().to_owned(),
            name: self.name.name.clone(),
            uid: found.uid.clone(),
            ..OwnerReference::default()
        };
        let kind = api_resource(Kind::CanaryControl);
        let mut object = DynamicObject::new(&self.name.name, &kind).within(&self.name.namespace);
        object.metadata.owner_references = Some(vec![owner]);
        object.data = json!({"spec": spec});
        object
    }

    /// Waits until the controller has seen a control of this generation.
    pub(super) fn wait(&self, generation: i64) -> Result<(), Failure> {
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
}
