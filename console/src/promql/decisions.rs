//! What the filter counted, and what the controller intends. A release is `NAMESPACE/NAME`.

use crate::promql::selector::{Selector, sum};

const DECISIONS: &str = "serin_decisions_total";

fn increase(selector: &Selector, window: u64) -> String {
    format!("increase({selector}[{window}s])")
}

/// Decisions in the window, by release, version and reason.
#[must_use]
pub fn decided(releases: &[&str], window: u64) -> String {
    let selector = Selector::new(DECISIONS).one_of("release", releases);
    sum(&["release", "version", "reason"], &increase(&selector, window))
}

/// The share of each version among decisions by weight, from 0 to 1, by release and version: what may be compared with the intended one, since
/// rules and takeovers are not by weight.
#[must_use]
pub fn observed_share(releases: &[&str], window: u64) -> String {
    let selector = Selector::new(DECISIONS).one_of("release", releases).is("reason", "weight");
    let increase = increase(&selector, window);
    let (of_version, of_all) = (sum(&["release", "version"], &increase), sum(&["release"], &increase));
    format!("{of_version} / on (release) group_left {of_all}")
}

/// The intended share of each version, from 0 to 1, by namespace, release and version. Of releases in one namespace, by their names alone.
#[must_use]
pub fn intended_share(namespace: &str, names: &[&str]) -> String {
    let selector = Selector::new("serin_intended_share_ratio").is("namespace", namespace).one_of("release", names);
    format!("max by (namespace, release, version)({selector})")
}
