//! `CanaryControl`: a person's word about a release, which no tool that applies the release takes back.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serin_config::Weight;

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
