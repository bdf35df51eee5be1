//! Who is told what of a release.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run::What;

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// Who: a name that the administrator has set up.
    pub to: String,
    /// What of. Defaults to everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Occasion>,
}

/// Something that somebody is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Occasion {
    /// Steps began.
    Started,
    /// The weights of a step are reached.
    Stepped,
    /// A step waits for a person.
    ApprovalNeeded,
    /// A step has waited for a verdict for too long.
    Undecided,
    /// A canary is worse than stable, and the release holds.
    Failing,
    /// A version gets nobody any more.
    RolledBack,
    /// All steps are done.
    Completed,
    /// The release is late.
    Deadline,
    /// A person took over, set weights, paused or resumed.
    ByHand,
}

impl Notify {
    /// Whether something that happened is told.
    #[must_use]
    pub fn tells(&self, what: What) -> bool {
        self.on.is_empty() || self.on.contains(&Occasion::of(what))
    }
}

impl Occasion {
    const fn of(what: What) -> Self {
        match what {
            What::Started => Self::Started,
            What::Measured | What::Stepped => Self::Stepped,
            What::ApprovalNeeded => Self::ApprovalNeeded,
            What::Undecided => Self::Undecided,
            What::Failing => Self::Failing,
            What::RolledBack => Self::RolledBack,
            What::Completed => Self::Completed,
            What::Late => Self::Deadline,
            What::TakenOver | What::WeightsSet | What::Resumed | What::Paused => Self::ByHand,
        }
    }
}
