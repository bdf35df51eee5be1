//! One run of the tests over counts: since the step began, or since a window began.

use super::counts::Pair;
use super::mixture::Mixture;
use super::text::{Reader, Writer};
use super::tolerance::Tolerance;

/// Fewer bad requests of a canary are no proof, whatever the odds.
const LEAST_BAD: u64 = 5;

/// The counts of a run, and the evidence for harm.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Process {
    /// All counts of the run.
    pub seen: Pair,
    harm: Mixture,
}

impl Process {
    /// Adds what was counted since the last time.
    pub fn add(&mut self, counts: &Pair, tolerance: &Tolerance) {
        self.seen.add(counts);
        let share = counts.share().max(tolerance.share.min(1.0 - f64::EPSILON));
        let odds = tolerance.times * share / (1.0 - share);
        // Where only one of them served requests, there is nothing to compare.
        if counts.canary.all > 0 && counts.stable.all > 0 {
            let trials = counts.canary.bad as f64 + counts.stable.bad as f64;
            self.harm.add(counts.canary.bad as f64, trials, odds / (1.0 + odds), tolerance.power());
        }
    }

    /// The natural logarithm of the evidence that the canary is worse than stable, more than is tolerated.
    #[must_use]
    pub fn harm(&self) -> f64 {
        self.harm.ln()
    }

    /// The same for the canary alone against a rate, 0 to 1. It needs no state of its own, since the hypothesis never changes.
    #[must_use]
    pub fn above(&self, limit: f64, tolerance: &Tolerance) -> f64 {
        let canary = self.seen.canary;
        Mixture::of(canary.bad as f64, canary.all as f64, limit, tolerance.power()).ln()
    }

    /// Whether the canary is worse than stable: by the evidence, by the number of bad requests, and by their rates.
    #[must_use]
    pub fn is_harmful(&self, needed: f64, tolerance: &Tolerance) -> bool {
        let Pair { canary, stable } = self.seen;
        let more = canary.rate() - tolerance.times * stable.rate();
        self.harm() >= needed && canary.bad >= LEAST_BAD && more >= tolerance.plus
    }

    /// Whether the canary is above a rate, in the same way.
    #[must_use]
    pub fn is_above(&self, limit: f64, needed: f64, tolerance: &Tolerance) -> bool {
        let canary = self.seen.canary;
        self.above(limit, tolerance) >= needed && canary.bad >= LEAST_BAD && canary.rate() > limit
    }

    #[cfg(test)]
    pub(crate) fn largest(&self) -> f64 {
        self.harm.largest()
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        self.seen.write(writer);
        self.harm.write(writer);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self { seen: Pair::read(reader)?, harm: Mixture::read(reader)? })
    }
}
