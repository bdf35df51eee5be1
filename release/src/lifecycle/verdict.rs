//! What is thought of a canary, tick by tick, and of its release.

use std::fmt;

use serde::{Deserialize, Serialize};

pub mod analysis;
pub mod counted;
pub mod metric;
pub mod plan;
pub mod sentence;
pub mod status;
#[cfg(test)]
mod tests;
pub mod watch;
pub mod watched;

/// After so many ticks in a row without a request, or without a value, there is no data.
pub const ABSENT: u64 = 3;

/// What is thought of a canary; the larger, the worse. A release is as bad as the worst of its canaries and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is shown to be good enough.
    Good,
    /// Neither is shown; so is each canary at first.
    Undecided,
    /// There is nothing to judge by, which is neither good nor bad.
    NoData,
    /// It is shown to be harmful. This stays.
    Failing,
}

impl Verdict {
    /// Its name: `good`, `undecided`, `no-data` or `failing`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Undecided => "undecided",
            Self::NoData => "no-data",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
