//! An analysis as a status shows it, and as another process goes on with it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Verdict;
use crate::lifecycle::analysis::Number;
use crate::lifecycle::evidence::counts::Counts;

/// What is thought of the canaries at the step that they are at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalysisStatus {
    /// The worst of all metrics and canaries: `Good`, `Undecided`, `NoData` or `Failing`.
    #[serde(with = "camel")]
    #[schemars(with = "String")]
    pub verdict: Verdict,
    /// When counts were read last.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// The run that it is about.
    pub run: String,
    /// The step, from 0.
    pub step: u32,
    /// Since when the step is looked at.
    #[schemars(with = "String")]
    pub began: Timestamp,
    /// Seconds from then to the last reading.
    #[serde(default)]
    pub t: u64,
    /// Each metric of each canary.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<MetricStatus>,
}

/// What is thought of a canary in one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetricStatus {
    /// The metric.
    pub name: String,
    /// The canary's version.
    pub version: String,
    /// `Good`, `Undecided`, `NoData` or `Failing`.
    #[serde(with = "camel")]
    #[schemars(with = "String")]
    pub verdict: Verdict,
    /// The canary's requests since the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Counts>,
    /// Stable's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable: Option<Counts>,
    /// Evidence that the canary is worse since the step began, as a natural logarithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Number>,
    /// The evidence from which on it is rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<Number>,
    /// The last value of a query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// The same in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub because: String,
    /// What another process needs to go on; no other tool reads it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub state: String,
}

impl Default for MetricStatus {
    fn default() -> Self {
        Self {
            name: String::new(),
            version: String::new(),
            verdict: Verdict::Undecided,
            canary: None,
            stable: None,
            evidence: None,
            needed: None,
            value: None,
            because: String::new(),
            state: String::new(),
        }
    }
}

/// Verdicts as Kubernetes writes words.
mod camel {
    use super::*;

    const ALL: [Verdict; 4] = [Verdict::Good, Verdict::Undecided, Verdict::NoData, Verdict::Failing];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    pub(super) fn serialize<S: Serializer>(verdict: &Verdict, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{verdict:?}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Verdict, D::Error> {
        let text = String::deserialize(deserializer)?;
        let known = ALL.into_iter().find(|verdict| format!("{verdict:?}") == text);
        known.ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a verdict")))
    }
}
