//! A version beside stable.

use std::fmt;

use serde::Serialize;

use crate::stats::{Bins, newcombe};
use crate::verdict::health::Counts;

/// A version beside stable, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Comparison {
    /// It is worse beyond the interval.
    Worse,
    /// The difference may be chance, or is within one bucket.
    NotDistinguishable,
    /// It is better beyond the interval.
    Better,
    /// One of both has no data.
    NoData,
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Worse => "worse",
            Self::NotDistinguishable => "not distinguishable",
            Self::Better => "better",
            Self::NoData => "no data",
        })
    }
}

/// A version's success beside stable's: distinguishable where Newcombe's interval of the difference of errors is without 0.
///
/// ```
/// use serin_console::verdict::{Comparison, Counts, compare_success};
///
/// let (version, stable) = (Counts { errors: 20, all: 100 }, Counts { errors: 9, all: 1000 });
/// assert_eq!(compare_success(version, stable), Comparison::Worse);
/// ```
#[must_use]
pub fn compare_success(version: Counts, stable: Counts) -> Comparison {
    match newcombe(version.errors, version.all, stable.errors, stable.all) {
        None => Comparison::NoData,
        Some((low, _)) if low > 0.0 => Comparison::Worse,
        Some((_, high)) if high < 0.0 => Comparison::Better,
        Some(_) => Comparison::NotDistinguishable,
    }
}

/// A quantile of a version's latencies beside stable's, `q` from 0 to 1: distinguishable where the intervals of both, buckets included, have
/// nothing but an edge in common. Counts are requests.
#[must_use]
pub fn compare_latency(version: &Bins, stable: &Bins, q: f64) -> Comparison {
    match (version.interval(q), stable.interval(q)) {
        (Some(version), Some(stable)) if version.low >= stable.high && version.high > stable.high => Comparison::Worse,
        (Some(version), Some(stable)) if version.high <= stable.low && version.low < stable.low => Comparison::Better,
        (Some(_), Some(_)) => Comparison::NotDistinguishable,
        _ => Comparison::NoData,
    }
}

#[cfg(test)]
mod tests {
    use super::Comparison::{self, Better, NoData, NotDistinguishable, Worse};
    use super::{compare_latency, compare_success};
    use crate::stats::Bins;
    use crate::verdict::health::Counts;

    #[test]
    fn success_is_compared_by_the_interval() {
        for ([errors, all, stable_errors, stable_all], expected) in [
            ([20, 100, 9, 1000], Worse),
            ([9, 1000, 20, 100], Better),
            ([1, 20, 9, 1000], NotDistinguishable),
            ([1, 20, 0, 1000], Worse),
            ([0, 10, 0, 10], NotDistinguishable),
            ([0, 0, 0, 10], NoData),
            ([0, 10, 0, 0], NoData),
            ([11, 10, 0, 10], NoData),
        ] {
            let (version, stable) = (Counts { errors, all }, Counts { errors: stable_errors, all: stable_all });
            assert_eq!(compare_success(version, stable), expected, "{version:?} {stable:?}");
        }
    }

    fn coarse(counts: [f64; 4]) -> Bins {
        Bins::counted(&[(100.0, counts[0]), (250.0, counts[1]), (500.0, counts[2]), (f64::INFINITY, counts[3])])
    }

    #[test]
    fn latency_is_compared_by_buckets() {
        let some = coarse([0.0, 100.0, 0.0, 0.0]);
        for (version, expected) in [
            ([0.0, 5.0, 0.0, 0.0], NotDistinguishable),
            ([0.0, 0.0, 100.0, 0.0], Worse),
            ([0.0, 0.0, 0.0, 100.0], Worse),
            ([100.0, 0.0, 0.0, 0.0], Better),
            ([0.0, 52.0, 48.0, 0.0], NotDistinguishable),
            ([0.0; 4], NoData),
        ] {
            assert_eq!(compare_latency(&coarse(version), &some, 0.5), expected, "{version:?}");
        }
        assert_eq!(compare_latency(&some, &coarse([0.0; 4]), 0.5), NoData);
        let over = coarse([0.0, 0.0, 0.0, 9.0]);
        assert_eq!(compare_latency(&over, &over, 0.5), NotDistinguishable);
    }

    #[test]
    fn latency_of_few_requests_is_not_distinguishable() {
        let fine =
            |low: f64, count: u64| Bins::detailed(&[(low, 1.0, count), (low + 1.0, 1.0, count), (low + 2.0, 1.0, count)]);
        assert_eq!(compare_latency(&fine(11.0, 1), &fine(10.0, 1000), 0.5), NotDistinguishable);
        assert_eq!(compare_latency(&fine(11.0, 1000), &fine(10.0, 1000), 0.5), Worse);
    }

    #[test]
    fn comparisons_have_words() {
        let words = [Worse, NotDistinguishable, Better, NoData].map(|word: Comparison| word.to_string());
        assert_eq!(words, ["worse", "not distinguishable", "better", "no data"]);
    }
}
