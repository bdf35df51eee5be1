//! A canary in a metric that watches a value.

use super::metric::Bounds;
use super::{ABSENT, Verdict};
use crate::lifecycle::evidence::text::{Reader, Writer};

/// A canary in a metric that watches a value. No statistics are claimed.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    bounds: Bounds,
    /// The last value, unless there is no data.
    value: Option<f64>,
    /// Since when the value is beyond the bounds, and at which time it was last seen there; in seconds since the step began.
    beyond: Option<(u64, u64)>,
    /// Ticks in a row without a value, up to [`ABSENT`].
    absent: u64,
    has_failed: bool,
}

impl Watched {
    /// One that has seen nothing.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, value: None, beyond: None, absent: 0, has_failed: false }
    }

    /// Takes the value at a time, `t` seconds since the step began; one that is not a finite number is absent. A value that is absent
    /// for less than [`ABSENT`] ticks interrupts nothing.
    pub fn tick(&mut self, t: u64, value: Option<f64>) {
        let value = value.filter(|value| value.is_finite());
        self.absent = if value.is_some() { 0 } else { ABSENT.min(self.absent + 1) };
        // What failed is shown as it was then.
        if self.has_failed {
            return;
        }
        match value {
            Some(value) => {
                let since = self.beyond.map_or(t, |(since, _)| since);
                self.beyond = self.bounds.excludes(value).then_some((since, t));
                self.value = Some(value);
                self.has_failed = self.beyond_for().is_some_and(|seconds| seconds >= self.bounds.lasting);
            }
            None if self.absent >= ABSENT => (self.value, self.beyond) = (None, None),
            None => {}
        }
    }

    /// The verdict after the last tick.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        if self.has_failed {
            Verdict::Failing
        } else if self.absent >= ABSENT {
            Verdict::NoData
        } else if self.value.is_some() && self.beyond.is_none() {
            Verdict::Good
        } else {
            Verdict::Undecided
        }
    }

    /// The last value, unless there is no data; where it failed, the value then.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value
    }

    /// For how many seconds the value has been beyond the bounds, if it is.
    #[must_use]
    pub fn beyond_for(&self) -> Option<u64> {
        self.beyond.map(|(since, until)| until.saturating_sub(since))
    }

    /// Within what it is good.
    #[must_use]
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    pub(crate) fn write(&self, writer: &mut Writer) {
        writer.number(self.absent);
        writer.number(self.has_failed.into());
        writer.number(self.value.is_some().into());
        self.value.iter().for_each(|value| writer.exact(*value));
        writer.number(self.beyond.is_some().into());
        if let Some((since, until)) = &self.beyond {
            writer.number(*since);
            writer.number(*until);
        }
    }

    pub(crate) fn read(bounds: Bounds, reader: &mut Reader<'_>) -> Option<Self> {
        let absent = ABSENT.min(reader.number()?);
        let has_failed = reader.number()? != 0;
        let value = if reader.number()? != 0 { Some(reader.exact()?) } else { None };
        let beyond = if reader.number()? != 0 { Some((reader.number()?, reader.number()?)) } else { None };
        Some(Self { bounds, value, beyond, absent, has_failed })
    }
}
