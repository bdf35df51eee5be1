//! What a metric watches, and what it tolerates.

use crate::lifecycle::evidence::tolerance::Tolerance;

/// A metric of an analysis.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// Its name, by which ticks and reports know it.
    pub name: String,
    /// What it is made of.
    pub kind: Kind,
}

/// What a metric is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Bad requests among all requests, of the canary and of stable.
    Counts {
        /// How much worse than stable a canary may be.
        tolerance: Tolerance,
        /// What bad requests are called in sentences, such as `failures`.
        noun: String,
    },
    /// A value of the canary alone, without statistics.
    Value(Bounds),
}

/// Within what a value is good.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bounds {
    /// The smallest good value.
    pub min: Option<f64>,
    /// The largest good value.
    pub max: Option<f64>,
    /// For how many seconds without interruption a value must be beyond them to fail.
    pub lasting: u64,
}

impl Bounds {
    /// Whether a value is beyond them.
    #[must_use]
    pub fn excludes(&self, value: f64) -> bool {
        self.min.is_some_and(|min| value < min) || self.max.is_some_and(|max| value > max)
    }
}
