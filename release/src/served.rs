//! What of a release's split can be served at the moment: pods come before people.

use std::collections::{BTreeMap, BTreeSet};

use serin_config::ReleaseSplit;

/// What canaries cannot be given at the moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Versions that can take no request at all.
    pub waiting: BTreeSet<String>,
    /// The most buckets of versions whose ready pods cannot carry every request.
    pub most: BTreeMap<String, u32>,
}

impl Limits {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.most.is_empty()
    }

    /// The split as it may be served: what would lead to a version that can take no request leads to stable, and so does what its pods
    /// cannot carry. The rules keep their places, so that nobody falls through to another one.
    #[must_use]
    pub fn serve(&self, split: &ReleaseSplit) -> ReleaseSplit {
        let stable = &split.stable;
        let or_stable = |version: &String| if self.waiting.contains(version) { stable.clone() } else { version.clone() };
        let runs =
            |runs: &[(String, u32)]| joined(runs.iter().map(|(version, buckets)| (or_stable(version), *buckets)), stable);
        let mut served = split.clone();
        served.buckets = runs(&self.cut(split));
        for rule in &mut served.rules {
            rule.version = rule.version.as_ref().map(or_stable);
            rule.buckets = rule.buckets.as_deref().map(runs);
        }
        let takes_over =
            |version: &String| version == stable || !self.waiting.contains(version) && !self.most.contains_key(version);
        served.takeover = split.takeover.clone().filter(takes_over);
        served
    }

    /// The weights as far as pods can carry them: each version keeps its first buckets, so that the same people come back.
    fn cut(&self, split: &ReleaseSplit) -> Vec<(String, u32)> {
        let mut left = self.most.clone();
        let mut runs = Vec::with_capacity(split.buckets.len());
        for (version, buckets) in &split.buckets {
            let kept = match left.get_mut(version) {
                Some(left) => {
                    let kept = (*buckets).min(*left);
                    *left -= kept;
                    kept
                }
                None => *buckets,
            };
            runs.extend(
                [(version.clone(), kept), (split.stable.clone(), buckets - kept)].into_iter().filter(|run| run.1 > 0),
            );
        }
        runs
    }
}

/// Runs of buckets with neighbours of one version made one. Stable has what is left over, so that its last run is not written.
pub fn joined(runs: impl Iterator<Item = (String, u32)>, stable: &str) -> Vec<(String, u32)> {
    let mut result: Vec<(String, u32)> = Vec::new();
    for (version, buckets) in runs {
        match result.last_mut() {
            Some((last, sum)) if *last == version => *sum += buckets,
            _ => result.push((version, buckets)),
        }
    }
    if result.last().is_some_and(|(version, _)| version == stable) {
        result.pop();
    }
    result
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_weight_acts_as_far_as_pods_carry_it_and_the_first_buckets_stay() {
        let of = |most: u32, buckets: &Value, takeover: Value| {
            let split = json!({"release": "a/b", "hosts": ["h"], "stable": "v1", "buckets": buckets, "takeover": takeover,
                "rules": [{"name": "r", "when": [{"method": {"exact": "GET"}}], "buckets": [["v2", 50_000]]}]});
            let limits = Limits { waiting: BTreeSet::new(), most: BTreeMap::from([("v2".to_owned(), most)]) };
            let served = limits.serve(&serde_json::from_value(split).unwrap());
            assert_eq!(served.rules[0].buckets, Some(vec![("v2".to_owned(), 50_000)]));
            (json!(served.buckets), json!(served.takeover))
        };
        let runs = json!([["v2", 10_000], ["v3", 5000], ["v2", 20_000]]);
        assert_eq!(of(25_000, &runs, Value::Null).0, json!([["v2", 10_000], ["v3", 5000], ["v2", 15_000]]));
        assert_eq!(of(5000, &runs, Value::Null).0, json!([["v2", 5000], ["v1", 5000], ["v3", 5000]]));
        assert_eq!(of(0, &runs, Value::Null).0, json!([["v1", 10_000], ["v3", 5000]]));
        // A takeover waits for all pods; one of stable never.
        assert_eq!(of(75_000, &runs, json!("v2")), (runs.clone(), Value::Null));
        assert_eq!(of(75_000, &runs, json!("v1")), (runs, json!("v1")));
    }

    #[test]
    fn what_would_lead_to_a_version_that_can_take_nothing_leads_to_stable() {
        let split = json!({"release": "a/b", "hosts": ["h"], "stable": "v1", "buckets": [["v2", 10_000], ["v3", 5000]], "takeover": "v2",
            "rules": [{"name": "one", "when": [{"method": {"exact": "GET"}}], "version": "v2"},
                {"name": "some", "when": [{"method": {"exact": "PUT"}}], "buckets": [["v2", 1000], ["v3", 2000]]}]});
        let limits = Limits { waiting: BTreeSet::from(["v2".to_owned()]), most: BTreeMap::new() };
        let served = json!(limits.serve(&serde_json::from_value(split).unwrap()));
        assert_eq!(served["buckets"], json!([["v1", 10_000], ["v3", 5000]]));
        assert_eq!((&served["rules"][0]["version"], &served["takeover"]), (&json!("v1"), &Value::Null));
        assert_eq!(served["rules"][1]["buckets"], json!([["v1", 1000], ["v3", 2000]]));
    }
}
