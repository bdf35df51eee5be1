//! How much the counts of a canary and of stable say for harm, and how much for a good canary.
//!
//! If both versions are equally bad, each bad request is the canary's with the chance π, its part of the requests. If the canary may be
//! ρ₀ times as bad, it is θ₀ = π ρ₀ / (π ρ₀ + 1 - π). The evidence for harm is the mean of likelihood ratios of 16 worse canaries to
//! that one; its expectation is at most 1 while the canary is good, at each time and for every change of π. By Ville's inequality it
//! then ever reaches 1/α with a chance of at most α, so it may be looked at after each tick. Evidence for a good canary and against a
//! limit is made the same way from the canary's own rate. All logarithms are natural.
//!
//! Sources: Ville 1939; Lindon and Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022.

use serde::Serialize;

pub mod counts;
#[cfg(test)]
mod golden;
pub mod good;
pub mod mixture;
pub mod process;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub mod tolerance;

use counts::Pair;
use good::Good;
use process::Process;
use text::{Reader, Writer};
use tolerance::Tolerance;

/// How long a window of the fast test is, in seconds.
pub const WINDOW: u64 = 300;

/// Natural logarithms of evidence, for the slow test, which runs since the step began, and for the fast one, which runs since its window
/// began: a good past makes the slow one deaf.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// Since the step began.
    pub slow: f64,
    /// Since the window began.
    pub fast: f64,
}

/// A test that shows harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Test {
    /// Worse than stable since the step began.
    Slow,
    /// Worse than stable since the window began.
    Fast,
    /// Above the limit since the step began.
    LimitSlow,
    /// Above the limit since the window began.
    LimitFast,
}

impl Test {
    /// All of them; the first that shows harm gives the reason.
    pub const ALL: [Self; 4] = [Self::Slow, Self::Fast, Self::LimitSlow, Self::LimitFast];

    /// Whether it has only the counts of its window.
    #[must_use]
    pub fn is_fast(self) -> bool {
        matches!(self, Self::Fast | Self::LimitFast)
    }

    /// Whether it compares the canary with the limit, and not with stable.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::LimitSlow | Self::LimitFast)
    }
}

/// The tests of one canary in one metric during one step.
#[derive(Clone, Debug, PartialEq)]
pub struct Tests {
    tolerance: Tolerance,
    slow: Process,
    fast: Process,
    good: Good,
    /// The window of the fast test, counted from 0.
    window: u64,
}

impl Tests {
    /// Tests that have seen nothing.
    #[must_use]
    pub fn new(tolerance: Tolerance) -> Self {
        Self { tolerance, slow: Process::default(), fast: Process::default(), good: Good::default(), window: 0 }
    }

    /// Adds what was counted since the tick before; `t` is the time since the step began, in seconds. Windows are (0, 300], (300, 600]
    /// and so on.
    pub fn add(&mut self, t: u64, counts: Pair) {
        let counts = Pair { canary: counts.canary.consistent(), stable: counts.stable.consistent() };
        let window = t.saturating_sub(1) / WINDOW;
        // A clock that goes back must not restart more windows than the threshold is for.
        if window > self.window {
            self.fast = Process::default();
            self.window = window;
        }
        for process in [&mut self.slow, &mut self.fast] {
            process.add(&counts, &self.tolerance);
        }
        let limit = self.tolerance.times * self.slow.seen.stable.rate() + self.tolerance.margin;
        self.good.add(counts.canary, limit, self.tolerance.power());
    }

    /// The evidence that the canary is worse than stable.
    #[must_use]
    pub fn harm(&self) -> Evidence {
        Evidence { slow: self.slow.harm(), fast: self.fast.harm() }
    }

    /// The evidence that the canary is above the limit, where there is one.
    #[must_use]
    pub fn above_limit(&self) -> Option<Evidence> {
        let above = |process: &Process, limit| process.above(limit, &self.tolerance);
        self.tolerance.limit.map(|limit| Evidence { slow: above(&self.slow, limit), fast: above(&self.fast, limit) })
    }

    /// The evidence that the canary is good.
    #[must_use]
    pub fn good(&self) -> f64 {
        self.good.ln()
    }

    /// What a test has counted.
    #[must_use]
    pub fn seen(&self, test: Test) -> Pair {
        if test.is_fast() { self.fast.seen } else { self.slow.seen }
    }

    /// The evidence of a test; 0 of one against a limit that is not there.
    #[must_use]
    pub fn evidence(&self, test: Test) -> f64 {
        let none = Evidence { slow: 0.0, fast: 0.0 };
        let evidence = if test.is_limit() { self.above_limit().unwrap_or(none) } else { self.harm() };
        if test.is_fast() { evidence.fast } else { evidence.slow }
    }

    /// Whether a test shows harm.
    #[must_use]
    pub fn shows(&self, test: Test, needed: &Evidence) -> bool {
        let (process, needed) = if test.is_fast() { (&self.fast, needed.fast) } else { (&self.slow, needed.slow) };
        match self.tolerance.limit {
            _ if !test.is_limit() => process.is_harmful(needed, &self.tolerance),
            Some(limit) => process.is_above(limit, needed, &self.tolerance),
            None => false,
        }
    }

    /// What they tolerate.
    #[must_use]
    pub fn tolerance(&self) -> &Tolerance {
        &self.tolerance
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.number(self.window);
        self.slow.write(writer);
        self.fast.write(writer);
        self.good.write(writer);
    }

    pub(crate) fn read(tolerance: Tolerance, reader: &mut Reader<'_>) -> Option<Self> {
        let window = reader.number()?;
        let (slow, fast) = (Process::read(reader)?, Process::read(reader)?);
        Some(Self { tolerance, slow, fast, good: Good::read(reader)?, window })
    }
}
