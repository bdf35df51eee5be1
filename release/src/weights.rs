//! Which buckets each version gets: the weights of the spec laid over the previous maps. No client required.

use serin_config::{BucketMap, Weight};

use crate::api::v1alpha1::{Allocation, Spec};

/// Moves only the difference between the previous maps and the spec's weights.
pub fn plan(spec: &Spec, previous: Option<&Allocation>) -> Allocation {
    let fresh = Allocation::default();
    let previous = previous.unwrap_or(&fresh);
    let base: Vec<(&str, Weight)> = spec.canaries.iter().map(|canary| (canary.version.as_str(), canary.weight)).collect();
    let empty = BucketMap::default();
    let rules = spec.rules.iter().filter_map(|rule| {
        let shares: Vec<_> = rule.split.as_ref()?.iter().map(|share| (share.version.as_str(), share.weight)).collect();
        Some((rule.name.clone(), previous.rules.get(&rule.name).unwrap_or(&empty).allocate(&shares)))
    });
    Allocation { base: previous.base.allocate(&base), rules: rules.collect() }
}
