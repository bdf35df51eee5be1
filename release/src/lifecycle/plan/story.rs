//! What happened, and what comes next.

use jiff::Timestamp;

use super::{Pass, Progress};
use crate::lifecycle::control::Word;
use crate::lifecycle::run::{Happened, RunState, What};
use crate::lifecycle::schedule::Gate;
use crate::lifecycle::words::{by, shown};

impl Pass<'_> {
    /// What people did, and what a run came to.
    pub(super) fn notice(&mut self, before: &Progress) {
        let earlier = before.control.clone().unwrap_or_default();
        let hold = self.control.hold.as_ref().filter(|_| self.word.is_some());
        let (who, weights) = (by(self.control), shown(&self.weights));
        if earlier.hold.as_ref() != hold {
            let (what, to) = match self.word {
                Some(Word::Rollback(_)) => (What::RolledBack, shown(&self.served())),
                Some(Word::Takeover(version)) => (What::TakenOver, format!("{version}=100%")),
                Some(Word::Weights(_)) => (What::WeightsSet, weights.clone()),
                None => (What::Resumed, weights.clone()),
            };
            self.say(before, what, to, &who, &self.control.because);
        }
        if earlier.paused != self.control.paused {
            let what = if self.control.paused { What::Paused } else { What::Resumed };
            self.say(before, what, weights.clone(), &who, &self.control.because);
        }
        let (what, by) = match self.run.state {
            state if before.run.as_ref().is_some_and(|run| run.state == state) => return,
            RunState::AwaitingApproval => (What::ApprovalNeeded, "steps"),
            RunState::Undecided => (What::Undecided, "analysis"),
            RunState::Held if self.fails() => (What::Failing, "analysis"),
            // Whose word is taken back after the end has been told of it.
            RunState::Completed
                if before.run.as_ref().is_some_and(|run| run.id == self.run.id && run.step == self.run.step) =>
            {
                return;
            }
            RunState::Completed => (What::Completed, "steps"),
            RunState::Deadline => (What::Late, "schedule"),
            _ => return,
        };
        let steps = self.intent.steps.len();
        self.say(before, what, weights, by, &format!("step {} of {steps}", (self.step() + 1).min(steps)));
    }

    pub(super) fn say(&mut self, before: &Progress, what: What, to: String, by: &str, because: &str) {
        let (from, by, because) = (shown(&before.weights), by.to_owned(), because.to_owned());
        self.happened.push(Happened { what, from, to, by, because });
    }

    /// What comes next, in words.
    pub(super) fn next(&self, gate: &Gate) -> String {
        let until = |at: &Option<Timestamp>| at.map_or_else(String::new, |at| format!(" until {at}"));
        let step = |at: usize| {
            let goal = self.intent.steps.get(at).map(|step| self.goal(step));
            goal.map(|goal| shown(&goal.into_iter().map(|(version, buckets)| (version.to_owned(), buckets)).collect()))
        };
        let next = step(self.step() + 1).unwrap_or_else(|| "the end".to_owned());
        match self.run.state {
            RunState::Baseline => {
                format!("{} once its people were measured on a clone of stable", step(self.step()).unwrap_or_default())
            }
            RunState::Ramping => format!("{} by and by", step(self.step()).unwrap_or_default()),
            RunState::Holding => match self.look_at {
                Some(at) => format!("{next} not before {at}"),
                None => next,
            },
            RunState::AwaitingVerdict | RunState::Undecided => format!("{next} when the verdict is good"),
            RunState::AwaitingApproval => format!("{next} when somebody approves"),
            RunState::OutsideWindow => match self.look_at {
                Some(at) => format!("the next window opens at {at}"),
                None => "no window opens".to_owned(),
            },
            RunState::Frozen => match gate {
                Gate::Frozen(at, because) if because.is_empty() => format!("frozen{}", until(at)),
                Gate::Frozen(at, because) => format!("frozen{}: {because}", until(at)),
                _ => String::new(),
            },
            RunState::NotReady => "pods that are missing".to_owned(),
            _ => String::new(),
        }
    }
}
