//! What a spec must say beyond its schema. No client required; what the document's compiler refuses is left to it.

use std::collections::BTreeSet;

use serin_config::{BUCKETS, Weight, check_version_name};

use super::ReleaseError;
use crate::api::v1alpha1::CanaryRelease;

/// Checks versions, weights and the names that refer to them.
pub(crate) fn validate(release: &CanaryRelease) -> Result<(), ReleaseError> {
    let spec = &release.spec;
    let refuse = |path: String, cause: String| Err(ReleaseError::new(release, path, cause));
    if release.metadata.name.is_empty() {
        return refuse("metadata.name".into(), "a name is missing; write one".into());
    }
    if spec.service.is_empty() {
        return refuse("spec.service".into(), "a name is missing; write that of the Service".into());
    }
    let mut versions = BTreeSet::from([spec.stable.version.as_str()]);
    if let Err(cause) = check_version_name(&spec.stable.version) {
        return refuse("spec.stable.version".into(), cause.to_string());
    }
    for (index, canary) in spec.canaries.iter().enumerate() {
        let path = format!("spec.canaries[{index}].version");
        if let Err(cause) = check_version_name(&canary.version) {
            return refuse(path, cause.to_string());
        }
        if !versions.insert(&canary.version) {
            return refuse(
                path,
                format!("`{}` is listed already; name each version once, stable's included", canary.version),
            );
        }
    }
    check_sum("spec.canaries", spec.canaries.iter().map(|canary| canary.weight))
        .or_else(|(path, cause)| refuse(path, cause))?;
    let known = || versions.iter().copied().collect::<Vec<_>>().join(", ");
    for (index, rule) in spec.rules.iter().enumerate() {
        if let Some(version) = rule.version.as_deref().filter(|version| !versions.contains(version)) {
            let path = format!("spec.rules[{index}].version");
            return refuse(path, format!("`{version}` is no version of this release; use one of {}", known()));
        }
        let mut shared = BTreeSet::new();
        for (at, share) in rule.split.iter().flatten().enumerate() {
            let path = format!("spec.rules[{index}].split[{at}].version");
            if share.version == spec.stable.version || !versions.contains(share.version.as_str()) {
                let cause =
                    format!("`{}` is no canary of this release; stable gets what the others leave over", share.version);
                return refuse(path, cause);
            }
            if !shared.insert(&share.version) {
                return refuse(path, format!("`{}` is listed already; name each version once", share.version));
            }
        }
        check_sum(&format!("spec.rules[{index}].split"), rule.split.iter().flatten().map(|share| share.weight))
            .or_else(|(path, cause)| refuse(path, cause))?;
    }
    match spec.takeover.as_deref().filter(|version| !versions.contains(version)) {
        Some(version) => {
            refuse("spec.takeover".into(), format!("`{version}` is no version of this release; use one of {}", known()))
        }
        None => Ok(()),
    }
}

fn check_sum(path: &str, weights: impl Iterator<Item = Weight>) -> Result<(), (String, String)> {
    let sum: u64 = weights.map(|weight| u64::from(weight.buckets())).sum();
    match sum > u64::from(BUCKETS) {
        true => {
            Err((path.to_owned(), "the weights sum to more than 100%; lower one, stable gets what they leave over".into()))
        }
        false => Ok(()),
    }
}
