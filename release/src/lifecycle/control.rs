//! `CanaryControl`: a person's word about a release, which no tool that applies the release takes back.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serin_config::{BUCKETS, Weight};

use crate::api::metadata::Metadata;
use crate::problem::Problem;

/// A person's word about the release of its name and namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CanaryControl {
    /// `serin.dev/v1alpha1`.
    pub api_version: String,
    /// `CanaryControl`.
    pub kind: String,
    /// Name and namespace: those of the release.
    pub metadata: Metadata,
    /// What the person says.
    #[serde(default)]
    pub spec: Control,
}

/// What a person says of a release. It acts until it is taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Control {
    /// What holds instead of steps and weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// Keeps the split as it is. Rollbacks act all the same. Defaults to `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Steps that may be left, each of one run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approved: Vec<Approval>,
    /// Number of times that the release was tried again after a failure: another number begins another run from the first step.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempt: u32,
    /// Who says so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Control {
    /// What of it acts on a release of these versions.
    #[must_use]
    pub fn acting(&self, stable: &str, canaries: &BTreeSet<&str>) -> Self {
        let hold = self.hold.clone().filter(|hold| hold.word(stable, canaries).is_some());
        Self { hold, ..self.clone() }
    }

    /// Who has done what, and why: `bob has rolled v2 back (5xx on checkout)`; `None` where it holds nothing.
    #[must_use]
    pub fn said(&self) -> Option<String> {
        let paused = self.paused.then(|| "paused it".to_owned());
        let done: Vec<String> = self.hold.iter().map(Hold::done).chain(paused).collect();
        let who = if self.by.is_empty() { "somebody" } else { &self.by };
        let because = if self.because.is_empty() { String::new() } else { format!(" ({})", self.because) };
        (!done.is_empty()).then(|| format!("{who} has {}{because}", done.join(" and ")))
    }

    /// Checks what the definition checks on a cluster.
    ///
    /// # Errors
    /// What its hold lacks or has too much.
    pub fn check(&self) -> Result<(), Problem> {
        let Some(hold) = &self.hold else { return Ok(()) };
        let (has_version, has_weights) = (hold.version.is_some(), !hold.weights.is_empty());
        let sum: u64 = hold.weights.values().map(|weight| u64::from(weight.buckets())).sum();
        match hold.kind {
            HoldKind::Takeover if !has_version => {
                Err(Problem::new("spec.hold", "a Takeover names the version that gets everybody", "add `version`"))
            }
            HoldKind::Weights if !has_weights || has_version => Err(Problem::new(
                "spec.hold",
                "the kind Weights has `weights`, and no `version`",
                "write such as `{kind: Weights, weights: {v2: 25%}}`",
            )),
            HoldKind::Rollback | HoldKind::Takeover if has_weights => {
                Err(Problem::new("spec.hold.weights", "`weights` belong to the kind Weights", "leave them out"))
            }
            _ if sum > u64::from(BUCKETS) => Err(Problem::new(
                "spec.hold.weights",
                "the weights sum to more than 100%",
                "lower one, stable gets what they leave over",
            )),
            _ => Ok(()),
        }
    }
}

/// What holds instead of steps and weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hold {
    /// `Rollback`, a canary gets nobody; `Takeover`, a version gets everybody; `Weights`, canaries get these.
    pub kind: HoldKind,
    /// The version of a rollback or takeover. A rollback without one is that of each canary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The weight of each canary, for `Weights`. One that is not listed gets nobody.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, Weight>,
}

/// A kind of hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum HoldKind {
    /// A canary gets nobody.
    Rollback,
    /// A version gets everybody.
    Takeover,
    /// Canaries get these weights.
    Weights,
}

/// Leave to go on after a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Approval {
    /// The run that it is for: `status.run.id`.
    pub run: String,
    /// The step, from 0: `status.run.step`.
    pub step: u32,
}

/// A hold as it acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// These versions get nobody: one, or each canary.
    Rollback(Option<&'a str>),
    /// This version gets everybody.
    Takeover(&'a str),
    /// Canaries get these weights.
    Weights(&'a BTreeMap<String, Weight>),
}

impl Hold {
    /// What a person has done by it.
    fn done(&self) -> String {
        let version = self.version.as_deref();
        match self.kind {
            HoldKind::Rollback => format!("rolled {} back", version.unwrap_or("every canary")),
            HoldKind::Takeover => format!("given everybody to {}", version.unwrap_or_default()),
            HoldKind::Weights => {
                let weights = self.weights.iter().map(|(version, weight)| format!("{version}={weight}"));
                format!("set {}", weights.collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// The hold as it acts on a release of these versions. A person's word is about versions: where the release does not have them
    /// it acts on nobody, so that it does not hold up another canary.
    #[must_use]
    pub fn word(&self, stable: &str, canaries: &BTreeSet<&str>) -> Option<Word<'_>> {
        let version = self.version.as_deref();
        match self.kind {
            HoldKind::Rollback => {
                version.is_none_or(|version| canaries.contains(version)).then_some(Word::Rollback(version))
            }
            HoldKind::Takeover => {
                version.filter(|version| *version == stable || canaries.contains(version)).map(Word::Takeover)
            }
            HoldKind::Weights => {
                let known = self.weights.keys().all(|version| canaries.contains(version.as_str()));
                (known && !self.weights.is_empty()).then_some(Word::Weights(&self.weights))
            }
        }
    }
}
