//! The steps of a release, as their owners write them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serin_config::Weight;

use super::span::Span;

/// A step: how many requests canaries get, for how long, and what it takes to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Name of the step, unique in the release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Weight of the canary, where there is one. Write either this or `weights`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Weight>,
    /// Weight of each canary, by its version. A canary that is not listed keeps the weight that it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, Weight>,
    /// Time over which weights grow to those of the step. Without it they are set at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Span>,
    /// Time for which the step stays once its weights are reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Span>,
    /// Whether the next step waits for a person's approval. Defaults to `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub approve: bool,
    /// What analysis has to say before the next step: `pass`, the verdict is good; `watch`, nothing, but a failing version is rolled back; `off`, nothing. Defaults to `pass` where the release has an analysis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<Check>,
}

/// What analysis has to say before the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// The verdict is good.
    Pass,
    /// Nothing, but a failing version is rolled back.
    Watch,
    /// Nothing.
    Off,
}

impl Step {
    /// The buckets that a canary shall have; `None` for one that the step does not speak of. `only` says that it is the only one.
    #[must_use]
    pub fn buckets(&self, version: &str, only: bool) -> Option<u32> {
        let own = self.weights.get(version).copied();
        own.or(self.weight.filter(|_| only)).map(Weight::buckets)
    }

    /// Seconds over which weights grow.
    #[must_use]
    pub fn over_seconds(&self) -> u32 {
        self.over.map_or(0, Span::seconds)
    }

    /// Seconds for which the step stays.
    #[must_use]
    pub fn hold_seconds(&self) -> u32 {
        self.hold.map_or(0, Span::seconds)
    }
}
