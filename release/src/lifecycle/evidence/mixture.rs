//! A mixture of likelihood ratios: how much better the counts fit one of many alternatives than the hypothesis.
//!
//! Under the hypothesis each bad request is a hit with a chance of at most θ₀. An alternative multiplies the odds of a hit by r, so that
//! its chance is θ = θ₀ r / (1 + θ₀ (r - 1)), and `hits` of `trials` change its log likelihood ratio by
//! `hits · ln(θ/θ₀) + (trials - hits) · ln((1 - θ)/(1 - θ₀))`, which is `hits · ln r - trials · ln(1 + θ₀ (r - 1))`.

use super::text::{Reader, Writer};

/// By what the alternatives multiply the odds; each has the same weight.
pub const RATIOS: [f64; 16] = [1.25, 1.6, 2.0, 2.5, 3.2, 4.0, 5.0, 6.3, 8.0, 10.0, 13.0, 20.0, 32.0, 64.0, 128.0, 1000.0];

/// The log likelihood ratio of each alternative.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mixture([f64; RATIOS.len()]);

impl Mixture {
    /// The mixture after one count.
    #[must_use]
    pub fn of(hits: f64, trials: f64, theta: f64, power: f64) -> Self {
        let mut mixture = Self::default();
        mixture.add(hits, trials, theta, power);
        mixture
    }

    /// Adds `hits` among `trials`; `theta` is the chance of a hit under the hypothesis, 0 to 1, and each factor is raised to `power`,
    /// which is above 0 and at most 1.
    pub fn add(&mut self, hits: f64, trials: f64, theta: f64, power: f64) {
        for (sum, ratio) in self.0.iter_mut().zip(RATIOS) {
            *sum += power * (hits * ratio.ln() - trials * (theta * (ratio - 1.0)).ln_1p());
        }
    }

    /// The natural logarithm of the evidence against the hypothesis.
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

/// `ln((e^a + e^b + ..) / N)`. The largest one is taken out first, so that no power overflows.
pub(crate) fn ln_mean_exp<const N: usize>(numbers: &[f64; N]) -> f64 {
    let largest = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = numbers.iter().map(|number| (number - largest).exp()).sum();
    largest + (sum / N as f64).ln()
}
