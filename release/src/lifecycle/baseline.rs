//! A baseline: before a canary gets its first people, a clone of stable does. What it makes of all bad requests then is what these people
//! make, broken clients among them, and no fault of the canary's.
//!
//! Where they made x of n bad requests, the part that is theirs is at most the largest p for which `n · KL(x/n ‖ p) ≤ ln 100`, but in one of a
//! hundred cases (Chernoff 1952). The comparison then takes a bad request for theirs with that chance at least, and no longer with the
//! canary's part of the requests alone.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::evidence::counts::Counts;

/// What stands behind a canary's version in the version of its baseline.
const SUFFIX: &str = "-baseline";

/// The bound holds but for a chance of 1 in so many.
const ODDS: f64 = 100.0;

/// Whatever was measured, some evidence is left.
const MOST: f64 = 0.99;

/// The version of a canary's baseline.
#[must_use]
pub fn version(canary: &str) -> String {
    format!("{canary}{SUFFIX}")
}

/// The canary of a baseline's version.
#[must_use]
pub fn canary(version: &str) -> &str {
    version.strip_suffix(SUFFIX).unwrap_or(version)
}

/// What the baseline of a canary and stable had in one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Measured {
    /// The metric.
    pub metric: String,
    /// The canary's version.
    pub version: String,
    /// What the canary's people had, on its baseline.
    pub baseline: Counts,
    /// What all others had, on stable.
    pub stable: Counts,
}

impl Measured {
    /// The least part of all bad requests, 0 to 1, that is taken for the doing of the canary's people.
    #[must_use]
    pub fn share(&self) -> f64 {
        let all = self.baseline.bad + self.stable.bad;
        // Without bad requests nothing is known of whose they are.
        if all == 0 { 0.0 } else { upper_bound(self.baseline.bad as f64 / all as f64, all as f64) }
    }
}

/// The bounds by metric and version.
#[must_use]
pub fn shares(measured: &[Measured]) -> BTreeMap<(&str, &str), f64> {
    measured.iter().map(|one| ((one.metric.as_str(), one.version.as_str()), one.share())).collect()
}

/// The largest part that a part of so many trials may come from, by bisection.
fn upper_bound(part: f64, trials: f64) -> f64 {
    let (mut low, mut high) = (part.min(MOST), MOST);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if trials * divergence(part, middle) <= ODDS.ln() { low = middle } else { high = middle }
    }
    low
}

/// The divergence of Kullback and Leibler of two chances, in natural logarithms.
fn divergence(from: f64, to: f64) -> f64 {
    let term = |from: f64, to: f64| if from > 0.0 { from * (from / to).ln() } else { 0.0 };
    term(from, to) + term(1.0 - from, 1.0 - to)
}

/// What was measured in few words: `failures: 9 of 188 are its people's`.
#[must_use]
pub fn said(measured: &[Measured]) -> String {
    let one = |one: &Measured| {
        let all = one.baseline.bad + one.stable.bad;
        format!("{}: {} of {all} are of the people of {}", one.metric, one.baseline.bad, one.version)
    };
    let all: Vec<String> = measured.iter().map(one).collect();
    if all.is_empty() { "nothing was counted".to_owned() } else { all.join("; ") }
}

#[cfg(test)]
mod tests {
    use serin_config::{BucketMap, Weight};

    use super::*;
    use crate::lifecycle::evidence::Tests;
    use crate::lifecycle::evidence::counts::Pair;
    use crate::lifecycle::evidence::tolerance::Tolerance;

    #[test]
    fn the_bound_is_above_their_part_and_comes_closer_with_each_count() {
        let bound = |own, others| {
            let (baseline, stable) = (Counts { bad: own, all: 1000 }, Counts { bad: others, all: 19_000 });
            let measured = Measured { metric: "failures".to_owned(), version: "v2".to_owned(), baseline, stable };
            (measured.share() * 10_000.0).round() / 10_000.0
        };
        // Of a single one that is somebody else's: -ln(1 - p) = ln 100.
        assert_eq!((bound(0, 1), bound(1, 0), bound(0, 0)), (0.99, 0.99, 0.0));
        // Of many it is a little above their part.
        assert_eq!((bound(100, 1900), bound(40, 180)), (0.0662, 0.2689));
        assert_eq!((bound(10_000, 190_000), bound(1_000_000, 1_000_000)), (0.0515, 0.5011));
    }

    #[test]
    fn the_canary_gets_the_very_buckets_of_its_baseline() {
        let weight = |text: &str| text.parse::<Weight>().unwrap();
        // An earlier canary has left holes.
        let before = BucketMap::default()
            .allocate(&[("v1b", weight("3%")), ("v1c", weight("2%"))])
            .allocate(&[("v1c", weight("2%"))]);
        let measured = before.allocate(&[("v1c", weight("2%")), ("v2", weight("0%")), ("v2-baseline", weight("5%"))]);
        let after = measured.allocate(&[("v1c", weight("2%")), ("v2", weight("5%"))]);
        let of = |map: &BucketMap, version: &str| {
            let mut at = 0;
            let mut own = Vec::new();
            for run in map.runs() {
                if run.version.as_deref() == Some(version) {
                    own.push((at, run.buckets));
                }
                at += run.buckets;
            }
            own
        };
        assert_eq!(of(&measured, "v2-baseline"), [(0, 3000), (5000, 2000)]);
        assert_eq!(of(&after, "v2"), of(&measured, "v2-baseline"));
    }

    #[test]
    fn people_who_fail_anyway_are_no_evidence_against_the_canary() {
        let counts = |bad, all| Counts { bad, all };
        let harm = |share: f64, canary: Counts| {
            let mut tests = Tests::new(Tolerance { share, ..Tolerance::default() });
            tests.add(10, Pair { canary, stable: counts(180, 19_000) });
            tests.harm().slow
        };
        // On its baseline these people made 40 of 220 failures, which is four times their part of the requests.
        let measured = Measured {
            metric: "failures".to_owned(),
            version: "v2".to_owned(),
            baseline: counts(40, 1000),
            stable: counts(180, 19_000),
        };
        let share = measured.share();
        assert!(harm(0.0, counts(40, 1000)) > 7.0 && harm(share, counts(40, 1000)) < 0.0);
        // What the canary adds is seen all the same.
        assert!(harm(share, counts(240, 1000)) > 15.0);
    }
}
