//! From a valid release to its entry in the document. No client required; cannot fail.

use serin_config::{BucketMap, CompileError, ReleaseSplit, Rule};

use super::{ReleaseError, Target};
use crate::api::v1alpha1::{Allocation, CanaryRelease};

/// The entry of a release.
pub(crate) fn split(release: &CanaryRelease, target: &Target, allocation: &Allocation) -> ReleaseSplit {
    let spec = &release.spec;
    let stable = &spec.stable.version;
    let rule = |rule: &crate::api::v1alpha1::Rule| Rule {
        name: rule.name.clone(),
        when: rule.when.clone(),
        version: rule.version.clone(),
        buckets: rule.split.as_ref().and_then(|_| allocation.rules.get(&rule.name)).map(|map| runs(map, stable)),
        sticky: rule.sticky.clone(),
    };
    ReleaseSplit {
        release: release.id(),
        hosts: target.hosts.clone(),
        ports: target.ports.clone(),
        stable: stable.clone(),
        buckets: runs(&allocation.base, stable),
        sticky: spec.sticky.clone(),
        rules: spec.rules.iter().map(rule).collect(),
        takeover: spec.takeover.clone(),
    }
}

/// The entry of a release that is paused: as it was, but where it applies and who has taken over.
pub(crate) fn frozen(release: &CanaryRelease, target: &Target, previous: &ReleaseSplit) -> ReleaseSplit {
    ReleaseSplit {
        hosts: target.hosts.clone(),
        ports: target.ports.clone(),
        takeover: release.spec.takeover.clone(),
        ..previous.clone()
    }
}

fn runs(map: &BucketMap, stable: &str) -> Vec<(String, u32)> {
    let run = |run: &serin_config::Run| (run.version.clone().unwrap_or_else(|| stable.to_owned()), run.buckets);
    map.runs().iter().map(run).collect()
}

/// What the compiler says of a document, in the words of the release.
pub(crate) fn in_release(releases: &[(CanaryRelease, Target)], error: &CompileError) -> ReleaseError {
    let inside = error.path().strip_prefix("splits[").and_then(|rest| rest.split_once(']'));
    let place = inside.and_then(|(index, path)| Some((releases.get(index.parse::<usize>().ok()?)?, path)));
    match place {
        Some(((release, _), path)) => {
            let path = match path {
                ".release" => "metadata.name".to_owned(),
                ".stable" => "spec.stable.version".to_owned(),
                path if path.starts_with(".hosts") => "spec.service".to_owned(),
                path if path.starts_with(".buckets") => "spec.canaries".to_owned(),
                path => format!("spec{}", path.replace(".buckets", ".split")),
            };
            ReleaseError::new(release, path, error.cause().to_string())
        }
        None => ReleaseError { release: "document".into(), path: error.path().to_owned(), cause: error.cause().to_string() },
    }
}
