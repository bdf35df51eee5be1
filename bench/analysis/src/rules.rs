//! What decides about a canary: Serin's tests as they are shipped, and the rules of two others as their sources have them.

use std::collections::VecDeque;

use serin_release::lifecycle::evidence::Evidence;
use serin_release::lifecycle::evidence::counts::Counts;
use serin_release::lifecycle::evidence::tolerance::Tolerance;
use serin_release::lifecycle::verdict::Verdict;
use serin_release::lifecycle::verdict::counted::Counted;
use serin_release::lifecycle::verdict::plan::Plan;

/// Seconds of a tick.
pub(crate) const TICK: u64 = 10;
/// Ticks of a minute, after which the others look again.
const MINUTE: u64 = 60 / TICK;
/// The least part of requests that has to succeed, in the examples of both.
const MINIMUM: f64 = 0.99;

/// What decides about a canary, tick by tick.
pub(crate) trait Rule {
    /// Takes in the requests of a tick, counted from 1; whether the canary is rolled back.
    fn tick(&mut self, tick: u64, canary: Counts, stable: Counts) -> bool;
}

/// Serin's tests, with one metric and one step.
pub(crate) struct Serin {
    tests: Counted,
    needed: Evidence,
}

impl Serin {
    pub(crate) fn new(planned_seconds: u64, design_effect: f64) -> Self {
        let tests = Counted::new(Tolerance { design_effect, ..Tolerance::default() });
        Self { tests, needed: Plan::new(1, 1, planned_seconds, 0.01).needed() }
    }
}

impl Rule for Serin {
    fn tick(&mut self, tick: u64, canary: Counts, stable: Counts) -> bool {
        self.tests.tick(tick * TICK, Some(canary), Some(stable), &self.needed);
        self.tests.verdict() == Verdict::Failing
    }
}

/// The sums of the last ticks.
#[derive(Default)]
struct Window(VecDeque<Counts>);

impl Window {
    fn push(&mut self, counts: Counts, ticks: usize) -> Counts {
        self.0.push_back(counts);
        if self.0.len() > ticks {
            self.0.pop_front();
        }
        Counts { bad: self.0.iter().map(|one| one.bad).sum(), all: self.0.iter().map(|one| one.all).sum() }
    }
}

fn is_below(sum: Counts) -> bool {
    1.0 - sum.rate() < MINIMUM
}

/// Flagger's: a success rate over one minute, looked at each minute; failed checks, those without values included, add up to 5.
#[derive(Default)]
pub(crate) struct Flagger {
    window: Window,
    failed: u32,
}

impl Rule for Flagger {
    fn tick(&mut self, tick: u64, canary: Counts, _: Counts) -> bool {
        let sum = self.window.push(canary, 6);
        if tick.is_multiple_of(MINUTE) {
            self.failed += u32::from(sum.all == 0 || is_below(sum));
        }
        self.failed >= 5
    }
}

/// Argo Rollouts': a success rate over five minutes, looked at each minute; more than 3 failures, or more than 4 errors in a row.
#[derive(Default)]
pub(crate) struct Argo {
    window: Window,
    failed: u32,
    errors: u32,
}

impl Rule for Argo {
    fn tick(&mut self, tick: u64, canary: Counts, _: Counts) -> bool {
        let sum = self.window.push(canary, 30);
        if tick.is_multiple_of(MINUTE) {
            self.errors = if sum.all == 0 { self.errors + 1 } else { 0 };
            self.failed += u32::from(sum.all > 0 && is_below(sum));
        }
        self.failed > 3 || self.errors > 4
    }
}
