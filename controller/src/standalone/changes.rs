//! What a new file changes, in words. No IO.

use std::collections::BTreeMap;

use crate::api::v1alpha1::{CanaryRelease, Spec};

/// One line for each release that differs.
pub(super) fn describe(old: &[CanaryRelease], new: &[CanaryRelease]) -> Vec<String> {
    let by_id = |releases: &[CanaryRelease]| -> BTreeMap<String, Spec> {
        releases.iter().map(|release| (release.id(), release.spec.clone())).collect()
    };
    let (old, new) = (by_id(old), by_id(new));
    let mut lines = Vec::new();
    for (id, spec) in &new {
        match old.get(id) {
            None => lines.push(format!("{id}: new, {}", weights(spec))),
            Some(before) if before != spec => lines.push(format!("{id}: {}", differences(before, spec).join(", "))),
            Some(_) => {}
        }
    }
    lines.extend(old.keys().filter(|id| !new.contains_key(*id)).map(|id| format!("{id}: removed")));
    lines
}

fn weights(spec: &Spec) -> String {
    let canary = |canary: &crate::api::v1alpha1::Canary| format!("{} {}", canary.version, canary.weight);
    let canaries: Vec<_> = spec.canaries.iter().map(canary).collect();
    format!("stable {}, {}", spec.stable.version, if canaries.is_empty() { "no canary".into() } else { canaries.join(", ") })
}

fn differences(old: &Spec, new: &Spec) -> Vec<String> {
    let mut words = Vec::new();
    if old.stable != new.stable {
        words.push(format!("stable {} -> {}", old.stable.version, new.stable.version));
    }
    for canary in &new.canaries {
        match old.canaries.iter().find(|before| before.version == canary.version) {
            Some(before) if before.weight == canary.weight => {}
            Some(before) => words.push(format!("{} {} -> {}", canary.version, before.weight, canary.weight)),
            None => words.push(format!("{} {}", canary.version, canary.weight)),
        }
    }
    let gone = old.canaries.iter().filter(|before| !new.canaries.iter().any(|canary| canary.version == before.version));
    words.extend(gone.map(|canary| format!("{} gone", canary.version)));
    match (&old.takeover, &new.takeover) {
        (before, after) if before == after => {}
        (_, Some(version)) if *version == new.stable.version => words.push(format!("rolled back to {version}")),
        (_, Some(version)) => words.push(format!("{version} takes over")),
        (_, None) => words.push("takeover ended".into()),
    }
    match (old.paused, new.paused) {
        (false, true) => words.push("paused".into()),
        (true, false) => words.push("resumed".into()),
        _ => {}
    }
    if old.rules != new.rules {
        words.push(format!("{} rules", new.rules.len()));
    }
    if old.sticky != new.sticky {
        words.push("stickiness".into());
    }
    if words.is_empty() {
        words.push("other settings".into());
    }
    words
}
