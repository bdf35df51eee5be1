//! The health of a version, an edge or a service.

use std::fmt;

use serde::Serialize;

use crate::number::percent;
use crate::stats::{difference, newcombe};
use crate::verdict::thresholds::Thresholds;

/// Requests, and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Those that failed.
    pub errors: u64,
    /// All.
    pub all: u64,
}

/// A state of health; the larger, the worse it is, but for what is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Nothing is known.
    #[default]
    NoData,
    /// Fewer errors than any threshold.
    Healthy,
    /// Some errors.
    Degraded,
    /// Too many errors, or more than stable has.
    Failing,
}

impl Health {
    /// Its class in pictures and pages: `no-data`, `healthy`, `degraded`, `failing`.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::NoData => "no-data",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::NoData { "no data" } else { self.class() })
    }
}

/// A state of health with the number that it comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assessment {
    /// The state.
    pub health: Health,
    /// Why, for example `12 % errors, 10 % is failing`.
    pub why: String,
}

/// The health by a version's counts and, of a canary, stable's: failing from a ratio of errors on or where it is worse than stable beyond
/// the interval, degraded from another ratio on.
///
/// ```
/// use serin_console::verdict::{Counts, Health, Thresholds, health};
///
/// let found = health(Counts { errors: 12, all: 100 }, None, &Thresholds::default());
/// assert_eq!((found.health, found.why.as_str()), (Health::Failing, "12 % errors, 10 % is failing"));
/// ```
#[must_use]
pub fn health(version: Counts, stable: Option<Counts>, thresholds: &Thresholds) -> Assessment {
    let Counts { errors, all } = version;
    if all == 0 {
        return Assessment { health: Health::NoData, why: "no requests".to_owned() };
    }
    if errors > all {
        return Assessment { health: Health::NoData, why: "more errors than requests were read".to_owned() };
    }
    let ratio = errors as f64 / all as f64;
    let of = percent(ratio);
    if ratio >= thresholds.failing {
        return Assessment {
            health: Health::Failing,
            why: format!("{of} errors, {} is failing", percent(thresholds.failing)),
        };
    }
    let worse = stable.and_then(|stable| {
        let (low, high) = newcombe(errors, all, stable.errors, stable.all).filter(|(low, _)| *low > 0.0)?;
        Some((difference(errors, all, stable.errors, stable.all)?, low, high))
    });
    if let Some((by, low, high)) = worse {
        let [by, low, high] = [by, low, high].map(percent);
        return Assessment { health: Health::Failing, why: format!("{of} errors, {by} more than stable ({low} to {high})") };
    }
    if ratio >= thresholds.degraded && errors > 0 {
        return Assessment {
            health: Health::Degraded,
            why: format!("{of} errors, {} is degraded", percent(thresholds.degraded)),
        };
    }
    Assessment { health: Health::Healthy, why: format!("{of} errors") }
}

#[cfg(test)]
mod tests {
    use super::{Counts, Health, health};
    use crate::verdict::thresholds::Thresholds;

    #[test]
    fn health_is_by_thresholds_and_by_stable() {
        let stable = Some([9, 1000]);
        for ([errors, all], stable, expected) in [
            ([0, 0], stable, "no data: no requests"),
            ([2, 1], None, "no data: more errors than requests were read"),
            ([0, 5], None, "healthy: 0 % errors"),
            ([1, 2000], None, "healthy: 0.05 % errors"),
            ([1, 1000], None, "degraded: 0.1 % errors, 0.1 % is degraded"),
            ([99, 1000], None, "degraded: 9.9 % errors, 0.1 % is degraded"),
            ([1, 10], None, "failing: 10 % errors, 10 % is failing"),
            ([9, 100], stable, "failing: 9 % errors, 8.1 % more than stable (3.83 % to 15.34 %)"),
            ([1, 100], stable, "degraded: 1 % errors, 0.1 % is degraded"),
            ([9, 100], Some([0, 0]), "degraded: 9 % errors, 0.1 % is degraded"),
            ([1, 10_000_000], None, "healthy: < 0.01 % errors"),
        ] {
            let stable = stable.map(|[errors, all]| Counts { errors, all });
            let found = health(Counts { errors, all }, stable, &Thresholds::default());
            assert_eq!(format!("{}: {}", found.health, found.why), expected);
        }
    }

    #[test]
    fn no_errors_are_healthy_whatever_the_threshold() {
        let thresholds = Thresholds { degraded: 0.0, ..Thresholds::default() };
        assert_eq!(health(Counts { errors: 0, all: 9 }, None, &thresholds).health, Health::Healthy);
        assert!(Health::NoData < Health::Healthy && Health::Degraded < Health::Failing);
    }
}
