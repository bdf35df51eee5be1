//! `CanaryRelease`: who gets which version of a service.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_config::{BucketMap, Condition, Sticky, Weight};

pub use super::metadata::Metadata;
pub use super::replicas::Replicas;
pub use super::workload::{AfterFinish, Autoscale, Cleanup, Leftover, Workload};
use crate::domain::ClusterDomain;
use crate::lifecycle::analysis::AnalysisSpec;
use crate::lifecycle::control::{Control, Hold, HoldKind};
use crate::lifecycle::notify::Notify;
use crate::lifecycle::run::{Happened, Run, RunState, What};
use crate::lifecycle::schedule::Schedule;
use crate::lifecycle::steps::Step;
use crate::lifecycle::verdict::analysis::Setup;
use crate::lifecycle::verdict::status::AnalysisStatus;

/// A canary release of one Service: its stable version, its canaries, and which requests each of them gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryRelease {
    /// `serin.dev/v1alpha1`.
    pub api_version: String,
    /// `CanaryRelease`.
    pub kind: String,
    /// Name and namespace.
    pub metadata: Metadata,
    /// The domain of its cluster, which no object says.
    #[serde(skip)]
    pub domain: ClusterDomain,
    /// A person's word about it, in an object of its own.
    #[serde(skip)]
    pub word: Option<Control>,
    /// Versions that get nobody, whatever the spec says: a person, or what came of them, says so.
    #[serde(skip)]
    pub banned: BTreeSet<String>,
    /// Desired state of the release.
    pub spec: Spec,
    /// Observed state of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
}

/// Desired state of the release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name of the Service to release, in the namespace of this object. A name that contains a dot is used as a host unchanged.
    pub service: String,
    /// Service ports that the release routes, each from 1 to 65535. Defaults to all HTTP ports of the Service.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The version that gets every request that no rule and no canary takes.
    pub stable: Stable,
    /// The versions on trial, each with its share of the requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<Canary>,
    /// How a user is recognised, so that the same user gets the same version on every request. Without it each request is decided on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Rules, in order. The first rule that matches a request decides it; weights decide requests that no rule matches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The version that gets every request, whatever rules and weights say. A canary's version takes over; stable's version rolls back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<String>,
    /// Keeps weights, rules and stickiness as they are now, whatever this object says. `takeover` still acts. Defaults to `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Steps in which the canaries' weights grow, in order. They act instead of `canaries[].weight`, and none of them takes anything from a version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// When steps may go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Schedule>,
    /// Compares canaries with stable: one that is worse is rolled back, and steps wait until canaries are shown to be good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisSpec>,
    /// Who is told what happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notify: Vec<Notify>,
    /// What becomes of pods that nobody needs any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
    /// Where and how the mesh routes the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing: Option<Routing>,
}

/// The stable version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stable {
    /// Value of the label `version` on its pods.
    pub version: String,
    /// Name of its Deployment. Defaults to the Deployment of the Service's pods that have this version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
}

/// A version on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Canary {
    /// Value of the label `version` on its pods.
    pub version: String,
    /// Its share of the requests that no rule matches, in steps of 0.001 %, such as `12.5%`. Defaults to `0%`: only rules send requests to it.
    #[serde(default)]
    pub weight: Weight,
    /// Number of ready pods below which the canary gets nobody, as if it had none. Defaults to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ready: Option<u32>,
    /// Lets Serin run the canary's pods, as a clone of stable's Deployment. Without it the canary's pods must exist already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<Workload>,
}

/// A rule: which version the requests that match it get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// Name of the rule, unique in the release. Decisions and metrics show it.
    pub name: String,
    /// Conditions; the rule matches a request when all of them hold.
    pub when: Vec<Condition>,
    /// The version that matching requests get. Write either this or `split`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Shares of canaries among matching requests; stable gets the rest. Write either this or `version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Vec<Share>>,
    /// Stickiness of `split`. Defaults to the stickiness of the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

/// A version's share of a rule's requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Share {
    /// Version of a canary.
    pub version: String,
    /// Its share of the matching requests, such as `10%`.
    pub weight: Weight,
}

/// Where and how the mesh routes a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Routing {
    /// Who writes the VirtualService: `managed`, Serin does; `delegate`, the owner's VirtualService delegates to Serin's; `external`, the owner does and matches on the routing header. Defaults to `managed`.
    #[serde(default)]
    pub mode: RoutingMode,
    /// Istio Gateways that route the release too, as `NAME` or `NAMESPACE/NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<String>,
    /// Hosts that these gateways serve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// Settings of a VirtualService route, copied unchanged to every route of the release: timeout, retries, fault, corsPolicy, mirrors, headers, ...
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

/// Observed state of the release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The generation of the spec that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The state in one word, for people. Tools should read the conditions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// The reason of the first condition that does not hold and should; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The message of that condition: what is wrong, and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The canaries with their intended shares, such as `v2=5%, v3=1%`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub canaries: String,
    /// The intended share and the ready endpoints of each version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<VersionStatus>,
    /// Versions that were stable and whose pods `cleanup.afterFinish` takes away, until they are gone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<String>,
    /// The bucket maps: which bucket belongs to which version.
    #[serde(default)]
    pub allocation: Allocation,
    /// The generation of the CanaryControl of the same name that this status takes into account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_generation: Option<i64>,
    /// What acts of the CanaryControl of the same name; absent where nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control: Option<ControlStatus>,
    /// How far the steps have come; absent without steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// What is thought of the canaries at the step that they are at; absent without an analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStatus>,
    /// What happened, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<HistoryEntry>,
    /// The conditions `Accepted`, `Ready`, `Programmed`, `TakenOver`, `Overridden` and `Healthy`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<StatusCondition>,
}

/// What acts of a CanaryControl.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlStatus {
    /// The generation of the CanaryControl that acts.
    pub generation: i64,
    /// Who says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// The kind of hold that acts: `Rollback`, `Takeover` or `Weights`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<HoldKind>,
    /// The version of the rollback or takeover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The weights that a person set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, Weight>,
    /// Whether the split is held as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Since when this acts (RFC 3339).
    pub since: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// Something that happened to a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// When (RFC 3339).
    pub at: String,
    /// What.
    pub what: What,
    /// Weights before, such as `v2=5%`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// Weights after.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub to: String,
    /// Who: `control` with a name.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

/// The state of a release in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Something is still missing before the whole spec can act.
    Progressing,
    /// Weights and rules act as the spec says.
    Active,
    /// Steps go on by themselves, or wait for time, pods or a verdict.
    Advancing,
    /// A step waits for a person.
    AwaitingApproval,
    /// All steps are done.
    Completed,
    /// The split is frozen.
    Paused,
    /// A canary gets everything.
    TakenOver,
    /// Stable gets everything, by `takeover`.
    RolledBack,
    /// The spec was refused; the last good split keeps acting, if there was one.
    Refused,
    /// The release is being deleted.
    Deleting,
}

impl Phase {
    /// All phases.
    pub const ALL: [Self; 10] = [
        Self::Progressing,
        Self::Active,
        Self::Advancing,
        Self::AwaitingApproval,
        Self::Completed,
        Self::Paused,
        Self::TakenOver,
        Self::RolledBack,
        Self::Refused,
        Self::Deleting,
    ];

    /// The word for what a run does.
    #[must_use]
    pub const fn of_run(state: RunState) -> Self {
        match state {
            RunState::Active | RunState::Held => Self::Active,
            RunState::AwaitingApproval => Self::AwaitingApproval,
            RunState::Completed => Self::Completed,
            RunState::Paused => Self::Paused,
            RunState::RolledBack => Self::RolledBack,
            RunState::Starting
            | RunState::Baseline
            | RunState::Ramping
            | RunState::Holding
            | RunState::Stepping
            | RunState::AwaitingVerdict
            | RunState::Undecided
            | RunState::OutsideWindow
            | RunState::Frozen
            | RunState::NotReady
            | RunState::Deadline => Self::Advancing,
        }
    }

    /// Its name, as in a status and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Progressing => "Progressing",
            Self::Active => "Active",
            Self::Advancing => "Advancing",
            Self::AwaitingApproval => "AwaitingApproval",
            Self::Completed => "Completed",
            Self::Paused => "Paused",
            Self::TakenOver => "TakenOver",
            Self::RolledBack => "RolledBack",
            Self::Refused => "Refused",
            Self::Deleting => "Deleting",
        }
    }
}

/// Observed state of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VersionStatus {
    /// The version.
    pub version: String,
    /// Its intended share of the requests that no rule matches.
    pub share: Weight,
    /// Number of its ready endpoints.
    pub ready: u32,
}

/// A condition in the standard form of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusCondition {
    /// `Accepted`, `Ready`, `Programmed` or `TakenOver`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason in one word, for tools.
    pub reason: String,
    /// The reason and what to do about it, for people.
    pub message: String,
    /// Time at which `status` last changed (RFC 3339).
    pub last_transition_time: String,
    /// The generation of the spec that this condition describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
}

/// The bucket maps of a release. With them a change of weights moves only the difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Allocation {
    /// Bucket map of the canaries' weights.
    #[serde(default)]
    pub base: BucketMap,
    /// Bucket maps of the rules that have a `split`, by rule name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rules: BTreeMap<String, BucketMap>,
}

impl Status {
    /// Whether it has bucket maps: a controller wrote it, and not only a part of it.
    #[must_use]
    pub fn has_buckets(&self) -> bool {
        self.observed_generation.is_some() || self.allocation != Allocation::default()
    }
}

/// So many entries a history has, each text of so many characters.
const HISTORY: usize = 20;
const HISTORY_CHARACTERS: usize = 256;

impl Status {
    /// The control that acted at the last look.
    #[must_use]
    pub fn acting(&self) -> Option<Control> {
        let own = self.control.as_ref()?;
        let hold = own.kind.map(|kind| Hold { kind, version: own.version.clone(), weights: own.weights.clone() });
        let (by, because) = (own.by.clone(), own.because.clone());
        Some(Control { hold, paused: own.paused, by, because, ..Control::default() })
    }

    /// What happened since another status, newest first.
    pub fn happened_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = &'a HistoryEntry> {
        self.history.iter().take_while(move |entry| before.history.first() != Some(entry))
    }

    /// The history with what happened since.
    #[must_use]
    pub fn history_with(&self, happened: &[Happened], now: &str) -> Vec<HistoryEntry> {
        let short = |text: &str| text.chars().take(HISTORY_CHARACTERS).collect::<String>();
        let new = happened.iter().rev().map(|happened| HistoryEntry {
            at: now.to_owned(),
            what: happened.what,
            from: short(&happened.from),
            to: short(&happened.to),
            by: short(&happened.by),
            because: short(&happened.because),
        });
        new.chain(self.history.iter().cloned()).take(HISTORY).collect()
    }
}

impl ControlStatus {
    /// What acts of a control of this generation; `None` where nothing does. The time is that of the one before while it says the same.
    #[must_use]
    pub fn of(control: &Control, generation: i64, before: Option<&Self>, now: &str) -> Option<Self> {
        let hold = control.hold.as_ref();
        if hold.is_none() && !control.paused {
            return None;
        }
        let mut own = Self {
            generation,
            by: control.by.clone(),
            kind: hold.map(|hold| hold.kind),
            version: hold.and_then(|hold| hold.version.clone()),
            weights: hold.map(|hold| hold.weights.clone()).unwrap_or_default(),
            paused: control.paused,
            since: now.to_owned(),
            because: control.because.clone(),
        };
        let same = |before: &&Self| {
            (before.kind, &before.version, &before.weights, before.paused)
                == (own.kind, &own.version, &own.weights, own.paused)
        };
        if let Some(before) = before.filter(same) {
            own.since.clone_from(&before.since);
        }
        Some(own)
    }
}

impl Spec {
    /// What is analysed of the release; `None` without an analysis.
    #[must_use]
    pub fn analysed(&self) -> Option<Setup> {
        let canaries = self.canaries.iter().map(|canary| canary.version.clone()).collect();
        Some(self.analysis.as_ref()?.setup(&self.stable.version, canaries, &self.steps))
    }
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
            false => self.domain.host(&self.spec.service, &self.metadata.namespace),
        }
    }

    /// The hosts that the release claims: its Service's, and those at gateways if Serin writes the route there.
    #[must_use]
    pub fn claims(&self) -> Vec<String> {
        let mut hosts = vec![self.host()];
        if let Some(routing) = self.spec.routing.as_ref().filter(|routing| routing.mode == RoutingMode::Managed) {
            hosts.extend(routing.hosts.iter().map(|host| host.to_lowercase()));
        }
        hosts
    }
}
