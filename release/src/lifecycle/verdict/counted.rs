//! A canary in a metric that counts requests.

use super::{ABSENT, Verdict};
use crate::lifecycle::evidence::counts::{Counts, Pair};
use crate::lifecycle::evidence::text::{Reader, Writer};
use crate::lifecycle::evidence::tolerance::Tolerance;
use crate::lifecycle::evidence::{Evidence, Test, Tests, good};

/// What a test had seen when it showed harm.
#[derive(Clone, Debug, PartialEq)]
pub struct Failed {
    /// The test.
    pub test: Test,
    /// The counts that it had.
    pub seen: Pair,
    /// The natural logarithm of its evidence.
    pub evidence: f64,
}

/// A canary in a metric that counts requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    tests: Tests,
    /// Ticks in a row without a request of the canary, up to [`ABSENT`].
    empty: u64,
    failed: Option<Failed>,
}

impl Counted {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(tolerance: Tolerance) -> Self {
        Self { tests: Tests::new(tolerance), empty: 0, failed: None }
    }

    /// Adds the counts since the tick before, as far as there are any; `t` is the time since the step began, in seconds.
    pub fn tick(&mut self, t: u64, canary: Option<Counts>, stable: Option<Counts>, needed: &Evidence) {
        let counts =
            Pair { canary: canary.unwrap_or_default().consistent(), stable: stable.unwrap_or_default().consistent() };
        self.empty = if counts.canary.all == 0 { ABSENT.min(self.empty + 1) } else { 0 };
        self.tests.add(t, counts);
        if self.failed.is_none() {
            let test = Test::ALL.into_iter().find(|test| self.tests.shows(*test, needed));
            self.failed = test.map(|test| {
                let (seen, evidence) = (self.tests.seen(test), self.tests.evidence(test));
                Failed { test, seen, evidence }
            });
        }
    }

    /// The verdict after the last tick.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.failed.is_some() {
            Verdict::Failing
        } else if self.empty >= ABSENT {
            Verdict::NoData
        } else if self.tests.good() >= good::needed() {
            Verdict::Good
        } else {
            Verdict::Undecided
        }
    }

    /// The tests behind it.
    #[must_use]
    pub fn tests(&self) -> &Tests {
        &self.tests
    }

    /// What showed harm, if something did.
    #[must_use]
    pub fn failed(&self) -> Option<&Failed> {
        self.failed.as_ref()
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.number(self.empty);
        let test = |failed: &Failed| Test::ALL.iter().position(|test| *test == failed.test);
        let test = self.failed.as_ref().and_then(test).map_or(0, |at| at + 1);
        writer.number(test as u64);
        if let Some(failed) = &self.failed {
            failed.seen.write(writer);
            writer.rounded(failed.evidence);
        }
        self.tests.write(writer);
    }

    pub(crate) fn read(tolerance: Tolerance, reader: &mut Reader<'_>) -> Option<Self> {
        let empty = ABSENT.min(reader.number()?);
        let failed = match usize::try_from(reader.number()?).ok()?.checked_sub(1) {
            None => None,
            Some(at) => {
                let test = *Test::ALL.get(at)?;
                Some(Failed { test, seen: Pair::read(reader)?, evidence: reader.rounded()? })
            }
        };
        Some(Self { tests: Tests::read(tolerance, reader)?, empty, failed })
    }
}
