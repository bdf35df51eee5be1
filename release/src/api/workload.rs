//! The pods of a canary: what they are, how many, and what becomes of them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::replicas::Replicas;
use crate::lifecycle::span::Span;

/// The fields in which a clone differs from stable's Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Workload {
    /// Image of each container and init container that differs, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub images: BTreeMap<String, String>,
    /// Number of pods, or `share`: as many of stable's as the canary's weight says, rounded up. With `share` a weight acts as far as ready pods can carry it. Without `replicas` the clone starts with 1 and Serin leaves the number to whoever scales it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<Replicas>,
    /// Who scales the pods instead of `replicas`: `copy`, a clone of the HorizontalPodAutoscaler of stable's Deployment, whose least and largest number are the canary's share of stable's. A weight acts as far as ready pods can carry it, where the least number carries all. Defaults to `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<Autoscale>,
    /// What else differs in the spec of the pods: a strategic merge patch such as `{containers: [{name: reviews, env: [{name: MODE, value: new}]}]}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<Value>,
    /// Time in which its pods have to become ready, once a step waits for them. Then it is reported, and the step goes on waiting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_within: Option<Span>,
}

impl Workload {
    /// Whether stable's autoscaler is cloned too.
    #[must_use]
    pub fn copies_autoscaler(&self) -> bool {
        self.autoscale == Some(Autoscale::Copy)
    }
}

/// Who scales the pods of a canary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Autoscale {
    /// A clone of stable's HorizontalPodAutoscaler.
    Copy,
    /// Nobody of Serin's.
    None,
}

/// What becomes of pods that nobody needs any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cleanup {
    /// Pods of a canary that Serin runs, once it is rolled back and nobody gets it any more. They come back when the rollback is taken back, and before people do. Defaults to `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_rollback: Option<Leftover>,
    /// Pods of the version that was stable, once another one is and nobody gets it any more. Defaults to `keep`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_finish: Option<AfterFinish>,
    /// Pods that Serin runs of canaries that were never stable, when the release is deleted. Defaults to `delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_delete: Option<Leftover>,
}

impl Cleanup {
    /// Whether the pods of a version that was stable go.
    #[must_use]
    pub fn retires(self) -> bool {
        self.after_finish == Some(AfterFinish::ScaleDown)
    }
}

/// What becomes of pods that Serin runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Leftover {
    /// They stay.
    Keep,
    /// Their Deployment stays, without pods.
    ScaleDown,
    /// They go.
    Delete,
}

/// What becomes of the pods of a version that was stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum AfterFinish {
    /// They stay.
    Keep,
    /// Their Deployment stays, without pods.
    ScaleDown,
}
