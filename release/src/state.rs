//! What is kept of releases between two documents.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::ReleaseSplit;

use crate::api::v1alpha1::Allocation;
use crate::lifecycle::run::Run;
use crate::lifecycle::verdict::status::AnalysisStatus;

/// What is kept of each release between two documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(pub BTreeMap<String, Kept>);

/// What is kept of one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its bucket maps.
    pub allocation: Allocation,
    /// Its last good split, which a pause holds.
    pub split: ReleaseSplit,
    /// How far its steps have come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<Run>,
    /// What is thought of its canaries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<AnalysisStatus>,
}
