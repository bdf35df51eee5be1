//! Evidence that a canary is good: its rate of bad requests is below what is tolerated and a margin.

use super::counts::Counts;
use super::mixture::ln_mean_exp;
use super::text::{Reader, Writer};
use super::tolerance::Tolerance;

/// The rates of the alternatives, as parts of the limit; each has the same weight.
pub const PARTS: [f64; 4] = [0.0, 0.25, 0.5, 0.75];

/// A canary is called good wrongly in at most this part of the releases that are as bad as the limit.
pub const WRONGLY_GOOD: f64 = 0.05;

/// The smallest rate of an alternative: with 0 the first failure would rule it out for ever.
const LEAST_RATE: f64 = 1e-12;

/// The evidence that is needed for good, as a natural logarithm.
#[must_use]
pub fn needed() -> f64 {
    -WRONGLY_GOOD.ln()
}

/// The requests of a canary without a single fault that show it to be good, where stable has none either.
#[must_use]
pub fn least_requests(tolerance: &Tolerance) -> f64 {
    // Each of them speaks for the alternative without faults, which has a part of the weight.
    let parts = PARTS.len() as f64;
    let each = -(1.0 - tolerance.margin.clamp(1e-6, 0.9)).ln() / tolerance.design_effect;
    (needed() + parts.ln()) / each
}

/// The log likelihood ratio of each alternative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Good([f64; PARTS.len()]);

impl Good {
    /// Adds a canary's counts; `limit` is the rate, 0 to 1, at which it would not be good any more.
    pub fn add(&mut self, canary: Counts, limit: f64, power: f64) {
        let limit = limit.clamp(1e-6, 0.9);
        let (bad, fine) = (canary.bad as f64, canary.all.saturating_sub(canary.bad) as f64);
        for (sum, part) in self.0.iter_mut().zip(PARTS) {
            let rate = (part * limit).max(LEAST_RATE);
            *sum += power * (bad * (rate / limit).ln() + fine * ((1.0 - rate) / (1.0 - limit)).ln());
        }
    }

    /// The natural logarithm of the evidence.
    #[must_use]
    pub fn ln(&self) -> f64 {
        ln_mean_exp(&self.0)
    }

    #[cfg(test)]
    pub(crate) fn largest(&self) -> f64 {
        self.0.iter().map(|sum| sum.abs()).fold(0.0, f64::max)
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.all_rounded(&self.0);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        reader.all_rounded().map(Self)
    }
}
