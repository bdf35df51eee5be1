//! What is seen of releases at one moment: what pages are made of, beside figures and traces.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use serin_config::{BUCKETS, ReleaseSplit, Weight};
use serin_release::api::v1alpha1::{CanaryRelease, Status};
use serin_release::lifecycle::control::Control;

/// All releases at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// A number that grows with each change.
    pub revision: u64,
    /// The releases, by `NAMESPACE/NAME`.
    pub releases: BTreeMap<String, Arc<Subject>>,
    /// What concerns all of them, for people: a text that was refused while the last good one goes on.
    pub notices: Vec<String>,
}

/// A release and what is around it.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The release as its owner wrote it, with its status.
    pub release: CanaryRelease,
    /// What a person said of it.
    pub control: Control,
    /// Its entry in the document that proxies have; `None` where nothing is published of it.
    pub entry: Option<ReleaseSplit>,
    /// The services that it routes.
    pub services: Vec<Service>,
}

/// A service with what stands behind each version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Addresses or pods, by version.
    pub versions: BTreeMap<String, Vec<Endpoint>>,
}

/// Something that answers requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// An address, or the name of a pod.
    pub name: String,
    /// Whether it takes requests; `None` where nobody knows.
    pub ready: Option<bool>,
}

impl Subject {
    /// `NAMESPACE/NAME`.
    #[must_use]
    pub fn id(&self) -> String {
        self.release.id()
    }

    /// Its status; an empty one where nobody wrote any.
    #[must_use]
    pub fn status(&self) -> Status {
        self.release.status.clone().unwrap_or_default()
    }

    /// Host and port of each service that it routes.
    #[must_use]
    pub fn addresses(&self) -> Vec<(String, u16)> {
        self.services.iter().map(|service| (service.host.clone(), service.port)).collect()
    }

    /// A text that is another one when its owner or a person said something else.
    #[must_use]
    pub fn revision(&self) -> String {
        let said = (serde_json::to_string(&self.release.spec), serde_json::to_string(&self.control));
        let mut hasher = DefaultHasher::new();
        (said.0.unwrap_or_default(), said.1.unwrap_or_default()).hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }

    /// Its versions, stable first.
    #[must_use]
    pub fn versions(&self) -> Vec<&str> {
        let spec = &self.release.spec;
        let canaries = spec.canaries.iter().map(|canary| canary.version.as_str());
        std::iter::once(spec.stable.version.as_str()).chain(canaries).collect()
    }

    /// The share of the requests that no rule takes, by version, as the document says it; that of the status where there is none.
    #[must_use]
    pub fn intended(&self) -> BTreeMap<String, Weight> {
        match &self.entry {
            Some(entry) => shares(entry),
            None => self.status().versions.into_iter().map(|own| (own.version, own.share)).collect(),
        }
    }
}

/// The shares in an entry, by version.
#[must_use]
pub fn shares(entry: &ReleaseSplit) -> BTreeMap<String, Weight> {
    if let Some(takeover) = &entry.takeover {
        return [(takeover.clone(), Weight::ALL)].into();
    }
    let mut buckets: BTreeMap<String, u32> = BTreeMap::new();
    for (version, count) in &entry.buckets {
        let own = buckets.entry(version.clone()).or_default();
        *own = own.saturating_add(*count);
    }
    let taken: u32 = buckets.values().fold(0, |sum, count| sum.saturating_add(*count));
    *buckets.entry(entry.stable.clone()).or_default() += BUCKETS.saturating_sub(taken);
    buckets.into_iter().map(|(version, count)| (version, Weight::from_buckets(count).unwrap_or(Weight::ALL))).collect()
}
