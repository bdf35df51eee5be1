//! From a valid release to its entry in the document. No client required; cannot fail.

use serin_config::{BucketMap, CompileError, ReleaseSplit, Rule};

use crate::api::v1alpha1::{Allocation, CanaryRelease, Status};
use crate::problem::Problem;
use crate::state::Kept;
use crate::target::Target;
use crate::weights;

/// What a release was before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Previous<'a> {
    /// Its bucket maps: a change of weights moves only the difference.
    pub allocation: Option<&'a Allocation>,
    /// Its last good split, which a pause holds.
    pub kept: Option<&'a Kept>,
}

/// The bucket maps and the entry of a valid release: for a file and for a cluster alike.
#[must_use]
pub fn of(release: &CanaryRelease, target: &Target, previous: Previous<'_>) -> Kept {
    let spec = &release.spec;
    // A status that was written may say that no canary has anything.
    let written = release.status.as_ref().is_some_and(Status::has_buckets);
    let known = previous.allocation.filter(|allocation| written || **allocation != Allocation::default());
    match (previous.kept, known) {
        (Some(kept), _) if spec.paused => Kept {
            allocation: kept.allocation.clone(),
            split: frozen(release, target, &kept.split),
            run: None,
            analysis: None,
        },
        // Where the split itself is lost, what the status has of it is held: the buckets, and stable, which is its first version.
        (None, Some(allocation)) if spec.paused => {
            let first = release.status.as_ref().and_then(|status| status.versions.first());
            let stable = first.map_or(&spec.stable.version, |first| &first.version);
            Kept {
                allocation: allocation.clone(),
                split: split(release, target, allocation, stable),
                run: None,
                analysis: None,
            }
        }
        _ => {
            let allocation = weights::plan(spec, previous.allocation);
            let split = split(release, target, &allocation, &spec.stable.version);
            Kept { allocation, split, run: None, analysis: None }
        }
    }
}

fn split(release: &CanaryRelease, target: &Target, allocation: &Allocation, stable: &str) -> ReleaseSplit {
    let spec = &release.spec;
    let rule = |rule: &crate::api::v1alpha1::Rule| Rule {
        name: rule.name.clone(),
        when: rule.when.clone(),
        version: rule.version.clone(),
        // A rule that came during a pause has no map yet, and sends nobody away from stable.
        buckets: rule
            .split
            .as_ref()
            .map(|_| allocation.rules.get(&rule.name).map(|map| runs(map, stable)).unwrap_or_default()),
        sticky: rule.sticky.clone(),
    };
    ReleaseSplit {
        release: release.id(),
        hosts: target.hosts.clone(),
        ports: target.ports.clone(),
        routing_key: None,
        stable: stable.to_owned(),
        buckets: runs(&allocation.base, stable),
        sticky: spec.sticky.clone(),
        rules: spec.rules.iter().map(rule).collect(),
        takeover: spec.takeover.clone(),
    }
}

/// The entry of a release that is paused: as it was, but where it applies and who has taken over.
fn frozen(release: &CanaryRelease, target: &Target, previous: &ReleaseSplit) -> ReleaseSplit {
    ReleaseSplit {
        hosts: target.hosts.clone(),
        ports: target.ports.clone(),
        takeover: release.spec.takeover.clone(),
        ..previous.clone()
    }
}

/// A map of buckets as it stands in a document.
pub fn runs(map: &BucketMap, stable: &str) -> Vec<(String, u32)> {
    let run = |run: &serin_config::Run| (run.version.clone().unwrap_or_else(|| stable.to_owned()), run.buckets);
    map.runs().iter().map(run).collect()
}

/// What the compiler says of a document, at the place in the text of the release that it comes from.
#[must_use]
pub fn in_release(releases: &[(CanaryRelease, Target)], error: &CompileError) -> Problem {
    let inside = error.path().strip_prefix("splits[").and_then(|rest| rest.split_once(']'));
    let place = inside.and_then(|(index, path)| Some((releases.get(index.parse::<usize>().ok()?)?, path)));
    let sentence = error.cause().to_string();
    let Some(((release, target), path)) = place else {
        return Problem::of_sentence(error.path(), &sentence);
    };
    let path = match path {
        ".release" => "metadata.name".to_owned(),
        ".stable" => "spec.stable.version".to_owned(),
        path if path.starts_with(".hosts") => host_path(release, target, path),
        path if path.starts_with(".buckets") => "spec.canaries".to_owned(),
        path => format!("spec{}", path.replace(".buckets", ".split")),
    };
    Problem::of_sentence(path, &sentence).in_object(release.id())
}

/// Where the text of a release names the host of a path such as `.hosts[1]`.
fn host_path(release: &CanaryRelease, target: &Target, path: &str) -> String {
    let index = path.strip_prefix(".hosts[").and_then(|rest| rest.strip_suffix(']')).and_then(|index| index.parse().ok());
    let host = index.and_then(|index: usize| target.hosts.get(index));
    let listed = release.spec.routing.iter().flat_map(|routing| &routing.hosts);
    match listed.enumerate().find(|(_, listed)| host.is_some_and(|host| host.eq_ignore_ascii_case(listed))) {
        Some((index, _)) => format!("spec.routing.hosts[{index}]"),
        None => "spec.service".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn release(spec: Value, status: Value) -> CanaryRelease {
        serde_json::from_value(json!({
            "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "reviews", "namespace": "shop"},
            "spec": spec, "status": status,
        }))
        .unwrap()
    }

    fn kept(release: &CanaryRelease, kept: Option<&Kept>) -> Kept {
        let allocation = release.status.as_ref().map(|status| &status.allocation);
        of(release, &Target::in_mesh(release), Previous { allocation, kept })
    }

    #[test]
    fn a_pause_holds_the_split_and_its_buckets() {
        let first = release(
            json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "10%"}]}),
            Value::Null,
        );
        let before = kept(&first, None);
        let paused = json!({"service": "reviews", "stable": {"version": "v3"}, "canaries": [{"version": "v2", "weight": "90%"}], "paused": true, "takeover": "v2"});
        let after = kept(&release(paused, Value::Null), Some(&before));
        assert_eq!(after.allocation, before.allocation);
        assert_eq!(after.split, ReleaseSplit { takeover: Some("v2".into()), ..before.split });
    }

    #[test]
    fn a_pause_whose_split_is_lost_holds_what_the_status_has_of_it() {
        let status = json!({
            "allocation": {"base": [{"version": "v2", "buckets": 10_000}]}, "conditions": [],
            "versions": [{"version": "v1", "share": "90%", "ready": 1}, {"version": "v2", "share": "10%", "ready": 1}],
        });
        let spec = json!({"service": "reviews", "stable": {"version": "v3"}, "canaries": [{"version": "v2", "weight": "90%"}], "paused": true});
        let lost = kept(&release(spec.clone(), status.clone()), None);
        assert_eq!((lost.split.stable.as_str(), lost.split.buckets), ("v1", vec![("v2".to_owned(), 10_000)]));
        // Without a past it begins as its spec says.
        let new = kept(&release(spec, Value::Null), None);
        assert_eq!((new.split.stable.as_str(), new.split.buckets), ("v3", vec![("v2".to_owned(), 90_000)]));
    }
}
