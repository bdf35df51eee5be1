//! Requests as they are counted, and those of a canary beside stable's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{Reader, Writer};

/// Requests that one version served, and how many of them were bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Bad requests: failures, slow ones, or what else a metric counts.
    pub bad: u64,
    /// All requests, the bad ones included.
    pub all: u64,
}

impl Counts {
    /// The bad part of all, 0 to 1; 0 without requests.
    #[must_use]
    pub fn rate(self) -> f64 {
        self.bad as f64 / self.all.max(1) as f64
    }

    /// The counts with as many requests as bad ones at least: what counts them may have read one later than the other.
    #[must_use]
    pub fn consistent(self) -> Self {
        Self { bad: self.bad, all: self.all.max(self.bad) }
    }

    pub(crate) fn add(&mut self, more: Self) {
        self.bad = self.bad.saturating_add(more.bad);
        self.all = self.all.saturating_add(more.all);
    }
}

/// The counts of a canary beside those of stable, over the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pair {
    /// The canary's.
    pub canary: Counts,
    /// Stable's.
    pub stable: Counts,
}

impl Pair {
    /// The canary's part of the requests of both, 0 to 1; 0 without requests.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.canary.all as f64 / (self.canary.all as f64 + self.stable.all as f64).max(1.0)
    }

    /// The bad requests of both.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.canary.bad.saturating_add(self.stable.bad)
    }

    pub(crate) fn add(&mut self, more: &Self) {
        self.canary.add(more.canary);
        self.stable.add(more.stable);
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        for number in [self.canary.bad, self.canary.all, self.stable.bad, self.stable.all] {
            writer.number(number);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut counts = || Some(Counts { bad: reader.number()?, all: reader.number()? });
        Some(Self { canary: counts()?, stable: counts()? })
    }
}
