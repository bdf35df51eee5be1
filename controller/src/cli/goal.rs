//! What somebody waits for, and whether it has come. Pure.

use std::str::FromStr;

use serin_mesh::conditions::{ConditionType, Reason};
use serin_release::api::v1alpha1::Phase;

use super::view::View;

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The end of the steps; without steps, that the spec acts.
    Done,
    /// That a step waits for a person.
    Approval,
    /// That this step, from 1, is reached.
    Step(u32),
    /// That routes and filter are up to date.
    Programmed,
    /// That canaries get nobody.
    RolledBack,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// It has come.
    Reached,
    /// Something else has come instead.
    Otherwise,
    /// It does not come before a person acts.
    Person,
    /// It may come.
    Waiting,
}

impl FromStr for Goal {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "done" => Ok(Self::Done),
            "approval" => Ok(Self::Approval),
            "programmed" => Ok(Self::Programmed),
            "rolledBack" => Ok(Self::RolledBack),
            other => {
                let step = other.strip_prefix("step=").and_then(|step| step.parse().ok()).filter(|step| *step > 0);
                step.map(Self::Step).ok_or_else(|| "write done, approval, step=N, programmed or rolledBack".to_owned())
            }
        }
    }
}

impl Goal {
    /// How far a release is from it.
    pub(super) fn of(self, view: &View) -> Reach {
        let Some(phase) = view.phase() else { return Reach::Waiting };
        let status = view.status();
        let holds = |kind| Reason::among(&status.conditions, kind).is_some_and(Reason::holds);
        let reached = match self {
            Self::Done if view.step().is_some() => phase == Phase::Completed,
            Self::Done => matches!(phase, Phase::Active | Phase::TakenOver),
            Self::Approval => phase == Phase::AwaitingApproval,
            Self::Step(step) => {
                status.run.as_ref().is_some_and(|run| run.step + 1 > step || run.step + 1 == step && run.reached)
            }
            Self::Programmed => holds(ConditionType::Programmed) && holds(ConditionType::Accepted),
            Self::RolledBack => phase == Phase::RolledBack,
        };
        match phase {
            _ if reached => Reach::Reached,
            Phase::Refused | Phase::RolledBack | Phase::Deleting => Reach::Otherwise,
            Phase::Completed if self == Self::Approval => Reach::Otherwise,
            Phase::AwaitingApproval if matches!(self, Self::Done | Self::Step(_)) => Reach::Person,
            _ => Reach::Waiting,
        }
    }
}
