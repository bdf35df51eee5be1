//! How much worse than stable a canary may be.

/// How much worse than stable a canary may be in one metric. Rates are parts of all requests, 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Tolerance {
    /// How many times as bad as stable is still as good as stable; above 0.
    pub times: f64,
    /// By how much the canary's rate must be above that to be harmful.
    pub plus: f64,
    /// By how much the canary's rate may be above that and still be good.
    pub margin: f64,
    /// The rate that the canary must not exceed, whatever stable does.
    pub limit: Option<f64>,
    /// The least part of the bad requests of both, 0 to 1, that is taken for the doing of the canary's people.
    pub share: f64,
    /// By how much requests of one user are alike: the evidence of so many requests counts as that of one; at least 1.
    pub design_effect: f64,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { times: 1.25, plus: 0.001, margin: 0.005, limit: None, share: 0.0, design_effect: 2.0 }
    }
}

impl Tolerance {
    /// The power to which each factor of the evidence is raised.
    #[must_use]
    pub fn power(&self) -> f64 {
        1.0 / self.design_effect.max(1.0)
    }
}
