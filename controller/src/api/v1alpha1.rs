//! `CanaryRelease`: who gets which version of a service.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_config::{BucketMap, Condition, Sticky, Weight};

/// A release: its stable version, its canaries, and the rules by which requests find them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryRelease {
    /// `serin.dev/v1alpha1`.
    pub api_version: String,
    /// `CanaryRelease`.
    pub kind: String,
    /// Name and namespace.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: Spec,
    /// What is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// The part of an object's metadata that counts here; the rest is allowed and ignored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The name.
    pub name: String,
    /// The namespace.
    #[serde(default = "default_namespace")]
    pub namespace: String,
}

/// What a release wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The Service, in the release's namespace; a name with dots is a host as it stands.
    pub service: String,
    /// The ports that the release routes; all HTTP ports of the Service when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The version that gets what nothing else takes.
    pub stable: Stable,
    /// The versions on trial.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<Canary>,
    /// How a person is recognised; without it each request is decided anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Rules in order; the first that matches wins over the weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The version that gets everything: a canary's takes over, stable's rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<String>,
    /// Freezes weights, rules and stickiness as they are now; `takeover` still acts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Where and how the mesh routes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

/// The stable version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stable {
    /// Label `version` of its pods.
    pub version: String,
    /// Its Deployment, when that cannot be derived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
}

/// A version on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// Label `version` of its pods.
    pub version: String,
    /// Its share, `0%` unless told: then only rules lead to it.
    #[serde(default)]
    pub weight: Weight,
    /// Its pods, as a clone of stable's Deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
}

/// What differs from stable's Deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// Container to image.
    pub images: BTreeMap<String, String>,
    /// Number of pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

/// What requests with certain properties get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The name in decisions, unique in the release.
    pub name: String,
    /// Conditions that must all hold.
    pub when: Vec<Condition>,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Or a split of its own; what it leaves over is stable's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<Share>>,
    /// The split's own stickiness; the release's unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

/// A version's share of a rule's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Share {
    /// The version.
    pub version: String,
    /// Its share.
    pub weight: Weight,
}

/// Where and how the mesh routes a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routing {
    /// Who writes the route.
    #[serde(default)]
    pub mode: RoutingMode,
    /// Gateways that route it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// The hosts at these gateways.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Settings of a route that are carried over as they stand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Value>,
}

/// Who writes the route of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum RoutingMode {
    /// Serin does.
    #[default]
    Managed,
    /// The owner's route delegates to Serin's.
    Delegate,
    /// The owner does.
    External,
}

/// What is known of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the spec that the rest of the status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state in one word, for people; tools read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The canaries with the shares that they are meant to get now, such as `v2=5%, v3=1%`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub canaries: String,
    /// What each version is meant to get now, and what there is of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionStatus>,
    /// Which bucket belongs to which version.
    #[serde(default)]
    pub allocation: Allocation,
    /// `Accepted`, `Ready`, `Programmed` and `TakenOver`, each with its reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<StatusCondition>,
}

/// The state of a release in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Something is missing before all of the spec can act.
    Progressing,
    /// Weights and rules act as the spec has them.
    Active,
    /// The split is frozen.
    Paused,
    /// A canary gets everything.
    TakenOver,
    /// Stable gets everything, by `takeover`.
    RolledBack,
    /// The spec was refused; the last good split acts, if there was one.
    Refused,
    /// The release is being deleted.
    Deleting,
}

/// A version of a release as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// The version.
    pub version: String,
    /// Its share of the requests that no rule takes.
    pub share: Weight,
    /// Its ready endpoints.
    pub ready: u32,
}

/// A condition, in the form that all of Kubernetes uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCondition {
    /// `Accepted`, `Ready`, `Programmed` or `TakenOver`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// Why, in one word for tools.
    pub reason: String,
    /// Why, and what to do, in a sentence for people.
    pub message: String,
    /// When the status last changed (RFC 3339).
    pub last_transition_time: String,
    /// The generation of the spec that it speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The bucket maps of a release: what makes a change of weights move only the difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    /// Of the base weights.
    #[serde(default)]
    pub base: BucketMap,
    /// Of the rules that have a split, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, BucketMap>,
}

impl CanaryRelease {
    /// `NAMESPACE/NAME`, as decisions and metrics name it.
    #[must_use]
    pub fn id(&self) -> String {
        format!("{}/{}", self.metadata.namespace, self.metadata.name)
    }

    /// The host of the Service in a mesh.
    #[must_use]
    pub fn host(&self) -> String {
        match self.spec.service.contains('.') {
            true => self.spec.service.clone(),
            false => format!("{}.{}.svc.cluster.local", self.spec.service, self.metadata.namespace),
        }
    }
}

fn default_namespace() -> String {
    "default".to_owned()
}
