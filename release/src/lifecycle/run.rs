//! How far a release has come: what is kept of it between two looks.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serin_config::Weight;

use super::baseline::Measured;

/// A way through the steps, with one set of versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Digest of versions, workloads, steps and attempt.
    pub id: String,
    /// Digest of versions and workloads alone: failures are kept while it stays.
    pub versions: String,
    /// The attempt, as the control says it.
    #[serde(default)]
    pub attempt: u32,
    /// The step, from 0.
    pub step: u32,
    /// Whether its weights are reached.
    #[serde(default)]
    pub reached: bool,
    /// Seconds that count at this step: until its weights are reached, then since.
    #[serde(default)]
    pub counted: u64,
    /// Seconds that count since the first step.
    #[serde(default)]
    pub total: u64,
    /// Seconds for which it has waited for pods.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waited: u64,
    /// When this was looked at last, in whole seconds.
    #[schemars(with = "String")]
    pub seen: Timestamp,
    /// What it does.
    pub state: RunState,
    /// What comes next, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next: String,
    /// Versions that analysis or the deadline has rolled back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Failure>,
    /// What the people of the first step had before the canary got them; absent where that was not asked for or is not over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Vec<Measured>>,
    /// Weights from which the step began.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from: BTreeMap<String, Weight>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A version that was rolled back without a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// The version.
    pub version: String,
    /// The step at which it was.
    pub step: u32,
    /// When.
    #[schemars(with = "String")]
    pub at: Timestamp,
    /// Why, with figures.
    pub because: String,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum RunState {
    /// It was not looked at yet.
    Starting,
    /// There are no steps: weights are those of the spec.
    Active,
    /// A clone of stable has the people of the first step.
    Baseline,
    /// Weights grow to those of the step.
    Ramping,
    /// The step stays for its time.
    Holding,
    /// The next step begins.
    Stepping,
    /// The time is over, and analysis has not said that it is good.
    AwaitingVerdict,
    /// The verdict has not come in the time that it was given.
    Undecided,
    /// A person has to approve.
    AwaitingApproval,
    /// No window is open.
    OutsideWindow,
    /// Nothing grows for a while.
    Frozen,
    /// A version that shall grow, or has grown, lacks pods.
    NotReady,
    /// Somebody paused it.
    Paused,
    /// A person's word, or a takeover in the spec, holds instead.
    Held,
    /// A version failed.
    RolledBack,
    /// All steps are done.
    Completed,
    /// It is late, and stays where it is.
    Deadline,
}

impl RunState {
    /// Whether time counts while a run does this.
    #[must_use]
    pub const fn counts(self) -> bool {
        matches!(
            self,
            Self::Baseline
                | Self::Ramping
                | Self::Holding
                | Self::Stepping
                | Self::AwaitingVerdict
                | Self::Undecided
                | Self::AwaitingApproval
        )
    }
}

/// What happened to a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// What.
    pub what: What,
    /// Weights before, such as `v2=5%`.
    pub from: String,
    /// Weights after.
    pub to: String,
    /// Who: `steps`, `analysis`, `schedule`, or `control` with a name.
    pub by: String,
    /// Why; may be empty.
    pub because: String,
}

/// A kind of happening.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub enum What {
    /// A run began.
    Started,
    /// A clone of stable has had the people of the first step.
    Measured,
    /// The weights of a step are reached.
    Stepped,
    /// A step waits for a person.
    ApprovalNeeded,
    /// A step has waited for a verdict for too long.
    Undecided,
    /// All steps are done.
    Completed,
    /// A canary is shown to be worse, and the release holds.
    Failing,
    /// A version gets nobody any more.
    RolledBack,
    /// A person gave everybody to a version.
    TakenOver,
    /// A person set weights.
    WeightsSet,
    /// A person's word was taken back.
    Resumed,
    /// Somebody paused it.
    Paused,
    /// It is late.
    Late,
}
