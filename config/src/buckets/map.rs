//! Which bucket belongs to which version, and how a change of weights moves as few of them as can be.

use serde::{Deserialize, Serialize};

use crate::buckets::algorithm::BUCKETS;
use crate::buckets::weight::Weight;

/// Consecutive buckets of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The canary; absent for stable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How many buckets, 1 to 100 000.
    pub buckets: u32,
}

/// The canaries' buckets as runs from bucket 0; what lies behind the last run is stable's.
///
/// No two neighbours are of one version, no run is empty, and the last is not stable's: equal maps are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct BucketMap {
    runs: Vec<Run>,
}

impl BucketMap {
    /// The runs, from bucket 0.
    #[must_use]
    pub fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Gives each version exactly its weight and moves only the difference to `previous`.
    ///
    /// Growth takes from versions that shrink, then from stable; a version that shrinks gives up its highest buckets, one
    /// that grows takes the lowest free ones. Nobody else moves. With an empty `previous` the canaries lie in listed order
    /// from bucket 0. What the weights leave over is stable's; weights beyond 100 % in sum get what is left in listed
    /// order.
    ///
    /// ```
    /// use serin_config::{BucketMap, Weight};
    ///
    /// let weights = |v2: &str, v3: &str| [("v2", v2.parse::<Weight>().unwrap()), ("v3", v3.parse().unwrap())];
    /// let before = BucketMap::default().allocate(&weights("5%", "3%"));
    /// let after = before.allocate(&weights("6%", "3%"));
    /// let runs: Vec<_> = after.runs().iter().map(|run| (run.version.as_deref(), run.buckets)).collect();
    /// assert_eq!(runs, [(Some("v2"), 5_000), (Some("v3"), 3_000), (Some("v2"), 1_000)]);
    /// ```
    #[must_use]
    pub fn allocate(&self, weights: &[(&str, Weight)]) -> Self {
        let mut held = self.kept(weights);
        for (wanted, &(_, weight)) in weights.iter().enumerate() {
            let has: u32 = held.iter().filter(|(owner, _)| *owner == Some(wanted)).map(|(_, n)| n).sum();
            let mut missing = weight.buckets().saturating_sub(has);
            // Buckets that a shrinking version gives up are taken before stable's.
            for from in [Owner::GivenUp, Owner::Stable] {
                held = take(held, from.tag(weights.len()), wanted, &mut missing);
            }
        }
        let version = |owner: Option<usize>| owner.and_then(|at| weights.get(at)).map(|(name, _)| (*name).to_owned());
        let mut runs: Vec<Run> = Vec::new();
        for (owner, buckets) in held {
            let version = version(owner);
            match runs.last_mut() {
                Some(last) if last.version == version => last.buckets += buckets,
                _ if buckets > 0 => runs.push(Run { version, buckets }),
                _ => {}
            }
        }
        if runs.last().is_some_and(|run| run.version.is_none()) {
            runs.pop();
        }
        Self { runs }
    }

    /// All 100 000 buckets as runs of (index into `weights`, or who else holds them), after each version has given up what
    /// it has beyond its weight.
    fn kept(&self, weights: &[(&str, Weight)]) -> Vec<(Option<usize>, u32)> {
        let mut left: Vec<u32> = weights.iter().map(|(_, weight)| weight.buckets()).collect();
        let mut room = BUCKETS;
        let mut held = Vec::new();
        for run in &self.runs {
            let buckets = run.buckets.min(room);
            room -= buckets;
            let Some(version) = &run.version else {
                held.push((None, buckets));
                continue;
            };
            // A version that is no longer listed has shrunk to nothing.
            let owner = weights.iter().position(|(name, _)| name == version);
            let keeps = match owner.and_then(|at| left.get_mut(at)) {
                Some(left) => {
                    let keeps = buckets.min(*left);
                    *left -= keeps;
                    keeps
                }
                None => 0,
            };
            held.push((owner, keeps));
            held.push((Owner::GivenUp.tag(weights.len()), buckets - keeps));
        }
        held.push((None, room));
        held
    }
}

/// Who holds buckets that no listed version keeps.
#[derive(Clone, Copy)]
enum Owner {
    GivenUp,
    Stable,
}

impl Owner {
    /// Given-up buckets carry an index that no version has, so that they turn into stable's when nobody takes them.
    fn tag(self, versions: usize) -> Option<usize> {
        match self {
            Self::GivenUp => Some(versions),
            Self::Stable => None,
        }
    }
}

/// Hands the lowest buckets of `from` to `to` until nothing is missing.
fn take(held: Vec<(Option<usize>, u32)>, from: Option<usize>, to: usize, missing: &mut u32) -> Vec<(Option<usize>, u32)> {
    let mut result = Vec::with_capacity(held.len() + 1);
    for (owner, buckets) in held {
        if owner != from {
            result.push((owner, buckets));
            continue;
        }
        let taken = buckets.min(*missing);
        *missing -= taken;
        result.push((Some(to), taken));
        result.push((owner, buckets - taken));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(map: &BucketMap) -> Vec<(&str, u32)> {
        map.runs().iter().map(|run| (run.version.as_deref().unwrap_or("stable"), run.buckets)).collect()
    }

    fn weights<'a>(list: &[(&'a str, u32)]) -> Vec<(&'a str, Weight)> {
        list.iter().map(|&(name, buckets)| (name, Weight::from_buckets(buckets).unwrap())).collect()
    }

    #[test]
    fn growth_takes_from_a_version_that_shrinks_before_stable() {
        let before = BucketMap::default().allocate(&weights(&[("v2", 10), ("v3", 20)]));
        assert_eq!(runs(&before), [("v2", 10), ("v3", 20)]);
        let after = before.allocate(&weights(&[("v2", 18), ("v3", 15)]));
        assert_eq!(runs(&after), [("v2", 10), ("v3", 15), ("v2", 8)]);
    }

    #[test]
    fn a_version_that_leaves_gives_its_buckets_to_stable() {
        let before = BucketMap::default().allocate(&weights(&[("v2", 10), ("v3", 20)]));
        let after = before.allocate(&weights(&[("v3", 20)]));
        assert_eq!(runs(&after), [("stable", 10), ("v3", 20)]);
        assert_eq!(runs(&after.allocate(&[])), []);
    }

    #[test]
    fn a_map_that_was_tampered_with_still_gives_exact_shares() {
        let wild = BucketMap {
            runs: vec![
                Run { version: Some("v2".into()), buckets: u32::MAX },
                Run { version: None, buckets: 7 },
                Run { version: Some("v3".into()), buckets: 5 },
            ],
        };
        let after = wild.allocate(&weights(&[("v3", 30), ("v2", 40)]));
        assert_eq!(runs(&after), [("v2", 40), ("v3", 30)]);
    }
}
