//! Weights and names in words.

use std::collections::BTreeMap;

use serin_config::Weight;

use super::control::Control;

/// Who says what a control says.
pub(super) fn by(control: &Control) -> String {
    if control.by.is_empty() { "control".to_owned() } else { format!("control {}", control.by) }
}

pub(super) fn as_weights(weights: &BTreeMap<String, u32>) -> BTreeMap<String, Weight> {
    weights
        .iter()
        .map(|(version, buckets)| (version.clone(), Weight::from_buckets(*buckets).unwrap_or(Weight::ALL)))
        .collect()
}

/// Weights for people: `v2=5%, v3=1%`.
pub(super) fn shown(weights: &BTreeMap<String, u32>) -> String {
    let shown = as_weights(weights).into_iter().map(|(version, weight)| format!("{version}={weight}"));
    shown.collect::<Vec<_>>().join(", ")
}
