//! The way through the steps: ramps, holds, verdicts, approvals, the deadline.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serin_config::{BUCKETS, Weight};

use super::Pass;
use crate::lifecycle::baseline;
use crate::lifecycle::control::Approval;
use crate::lifecycle::run::{Happened, RunState, What};
use crate::lifecycle::schedule::{Gate, OnDeadline};
use crate::lifecycle::steps::{Check, Step};
use crate::lifecycle::verdict::Verdict;
use crate::lifecycle::words::{as_weights, shown};

/// A ramp has at most so many weights, and each of them for at least so many seconds.
const RAMP_WEIGHTS: u64 = 100;
const RAMP_SECONDS: u64 = 30;

impl<'a> Pass<'a> {
    pub(super) fn step(&self) -> usize {
        usize::try_from(self.run.step).unwrap_or(usize::MAX)
    }

    /// A person's weights. The step begins anew from there.
    pub(super) fn set(&mut self, weights: &BTreeMap<String, Weight>) {
        let of = |version: &str| weights.get(version).map_or(0, |weight| weight.buckets());
        self.weights = self.intent.canaries.iter().map(|canary| (canary.version.to_owned(), of(canary.version))).collect();
        self.run.from = as_weights(&self.weights);
        (self.run.counted, self.run.reached) = (0, false);
    }

    pub(super) fn buckets(&self, version: &str) -> u32 {
        self.weights.get(version).copied().unwrap_or(0)
    }

    /// What a step leads to: it never shrinks a version.
    pub(super) fn goal(&self, step: &Step) -> BTreeMap<&'a str, u32> {
        let only = self.intent.canaries.len() == 1;
        let goal = |version: &str| step.buckets(version, only).unwrap_or(0).max(self.buckets(version));
        self.intent.canaries.iter().map(|canary| (canary.version, goal(canary.version))).collect()
    }

    pub(super) fn step_on(&mut self, step: &Step, gate: &Gate) -> RunState {
        match gate {
            Gate::Open(until) => self.look(*until),
            Gate::OutsideWindow(until) => {
                self.look(*until);
                return RunState::OutsideWindow;
            }
            Gate::Frozen(until, _) => {
                self.look(*until);
                return RunState::Frozen;
            }
        }
        if let Some(state) = self.measure(step) {
            return state;
        }
        let goal = self.goal(step);
        let growing: Vec<&str> =
            goal.iter().filter(|(version, buckets)| **buckets > self.buckets(version)).map(|(v, _)| *v).collect();
        let acting: Vec<&str> = goal.iter().filter(|(_, buckets)| **buckets > 0).map(|(version, _)| *version).collect();
        let asked = if growing.is_empty() { &acting } else { &growing };
        let lacks = |version: &&str| !self.signals.ready.contains(*version);
        let starves = |version: &&str| growing.is_empty() && self.signals.lacking.contains(*version);
        if asked.iter().any(|version| lacks(version) || starves(version)) {
            self.await_pods(asked);
            return RunState::NotReady;
        }
        if self.is_late() {
            return self.late();
        }
        match self.run.reached {
            false => self.ramp(step, &goal),
            true => self.hold(step, &acting),
        }
    }

    /// Before the first step its people have a baseline for a while; `None` once that is over, or was not asked for.
    fn measure(&mut self, step: &Step) -> Option<RunState> {
        let seconds = self.intent.baseline.map(u64::from)?;
        if self.run.step > 0 || self.run.reached || self.run.measured.is_some() {
            return None;
        }
        // Who has people already has no first ones.
        let goal = self.goal(step).into_iter().filter(|(version, goal)| *goal > 0 && self.buckets(version) == 0);
        let goal: Vec<(String, u32)> = goal.map(|(version, buckets)| (baseline::version(version), buckets)).collect();
        if goal.is_empty() {
            self.run.measured = Some(Vec::new());
            return None;
        }
        if goal.iter().any(|(version, _)| !self.signals.ready.contains(version)) {
            return Some(RunState::NotReady);
        }
        self.weights.extend(goal.iter().cloned());
        let left = seconds.saturating_sub(self.run.counted);
        if left > 0 || self.signals.pending {
            self.look_in(left);
            return Some(RunState::Baseline);
        }
        let from = shown(&self.weights);
        self.weights.retain(|version, _| !goal.iter().any(|(own, _)| own == version));
        let because = baseline::said(&self.signals.measured);
        self.happened.push(Happened {
            what: What::Measured,
            from,
            to: shown(&self.weights),
            by: "steps".to_owned(),
            because,
        });
        (self.run.measured, self.run.counted) = (Some(self.signals.measured.clone()), 0);
        None
    }

    /// Weights grow to those of the step, in few enough weights that proxies are not busy with documents.
    pub(super) fn ramp(&mut self, step: &Step, goal: &BTreeMap<&str, u32>) -> RunState {
        let over = u64::from(step.over_seconds());
        let pieces = (over / RAMP_SECONDS).clamp(1, RAMP_WEIGHTS);
        // Without a time it is there at once.
        let piece = (self.run.counted * pieces).checked_div(over).unwrap_or(pieces).min(pieces);
        let from = shown(&self.weights);
        for (version, goal) in goal {
            let base = self.run.from.get(*version).map_or(0, |weight| weight.buckets());
            let grown = u64::from(goal.saturating_sub(base)) * piece / pieces;
            let buckets = base.saturating_add(u32::try_from(grown).unwrap_or(BUCKETS)).max(self.buckets(version));
            self.weights.insert((*version).to_owned(), buckets);
        }
        if piece < pieces {
            // The second in which the next weight is due.
            let due = ((piece + 1) * over).div_ceil(pieces);
            self.look_in(due.saturating_sub(self.run.counted));
            return RunState::Ramping;
        }
        (self.run.reached, self.run.counted) = (true, 0);
        let to = shown(&self.weights);
        let because = format!("step {} of {}", self.run.step + 1, self.intent.steps.len());
        self.happened.push(Happened { what: What::Stepped, from, to, by: "steps".to_owned(), because });
        self.look_in(u64::from(step.hold_seconds()));
        RunState::Holding
    }

    /// The step stays for its time; then analysis and people have a say.
    pub(super) fn hold(&mut self, step: &Step, acting: &[&str]) -> RunState {
        let left = u64::from(step.hold_seconds()).saturating_sub(self.run.counted);
        if left > 0 {
            self.look_in(left);
        }
        if left > 0 || self.signals.pending {
            return RunState::Holding;
        }
        let good = |version: &&str| matches!(self.verdict(version), Some((Verdict::Good, _)));
        if self.asks(step) && !acting.iter().all(good) {
            return self.await_verdict(step);
        }
        let approved = |approval: &Approval| approval.run == self.run.id && approval.step == self.run.step;
        if step.approve && !self.control.approved.iter().any(approved) {
            return RunState::AwaitingApproval;
        }
        self.run.step += 1;
        (self.run.reached, self.run.counted) = (false, 0);
        self.run.from = as_weights(&self.weights);
        match self.step() < self.intent.steps.len() {
            true => {
                self.look_in(0);
                RunState::Stepping
            }
            false => RunState::Completed,
        }
    }

    /// Says it once when pods take longer than they may.
    fn await_pods(&mut self, asked: &[&str]) {
        let is_missing = |version: &str| asked.contains(&version) && !self.signals.ready.contains(version);
        let missing: Vec<_> = self.intent.canaries.iter().filter(|canary| is_missing(canary.version)).collect();
        for canary in missing {
            let Some(within) = canary.ready_within.map(u64::from) else { continue };
            match within.checked_sub(self.run.waited).filter(|left| *left > 0) {
                Some(left) => self.look_in(left),
                None if self.waited_before < within => {
                    let weights = shown(&self.weights);
                    let because = format!("{} has no ready pod after {within}s", canary.version);
                    let (from, to, by) = (weights.clone(), weights, "steps".to_owned());
                    self.happened.push(Happened { what: What::Late, from, to, by, because });
                }
                None => {}
            }
        }
    }

    /// Waits for a verdict, and says so when that takes too long.
    fn await_verdict(&mut self, step: &Step) -> RunState {
        let waited = self.run.counted.saturating_sub(u64::from(step.hold_seconds()));
        match self.intent.undecided_for.map(u64::from).map(|most| most.saturating_sub(waited)) {
            Some(0) => RunState::Undecided,
            left => {
                left.into_iter().for_each(|left| self.look_in(left));
                RunState::AwaitingVerdict
            }
        }
    }

    /// Whether a step needs a good verdict.
    pub(super) fn asks(&self, step: &Step) -> bool {
        step.analysis.map_or(self.intent.analysed, |check| check == Check::Pass)
    }

    pub(super) fn is_late(&mut self) -> bool {
        let Some(deadline) = self.intent.schedule.and_then(|schedule| schedule.deadline) else { return false };
        let left = u64::from(deadline.seconds()).checked_sub(self.run.total).filter(|left| *left > 0);
        if let Some(left) = left {
            self.look_in(left);
        }
        left.is_none()
    }

    pub(super) fn late(&mut self) -> RunState {
        let rolls_back = self.intent.schedule.is_some_and(|schedule| schedule.on_deadline == OnDeadline::RollBack);
        if !rolls_back {
            return RunState::Deadline;
        }
        let versions: Vec<String> =
            self.weights.iter().filter(|(_, buckets)| **buckets > 0).map(|(v, _)| v.clone()).collect();
        for version in versions {
            self.roll_back(&version, "schedule", "the deadline is over");
        }
        if self.run.failed.is_empty() { RunState::Deadline } else { RunState::RolledBack }
    }

    pub(super) fn look(&mut self, at: Option<Timestamp>) {
        self.look_at = self.look_at.into_iter().chain(at).min();
    }

    pub(super) fn look_in(&mut self, seconds: u64) {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        self.look(self.now.checked_add(SignedDuration::from_secs(seconds)).ok());
    }
}
