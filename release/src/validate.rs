//! What a spec must say beyond its types, in its own words. Pure; names that only a cluster or a Standalone knows are checked
//! there, and what is left to the engine (patterns, addresses) is said in the words of `entry::in_release`.

pub(crate) mod analysis;
mod conditions;
mod routing;
mod steps;
mod sticky;

use std::collections::BTreeSet;

use serin_config::{Algorithm, BUCKETS, Sticky, Weight, check_version_name};

use crate::api::v1alpha1::{Canary, CanaryRelease, Rule, Spec};
use crate::limits;
use crate::patch;
use crate::problem::{Problem, Problems};

/// Checks a release. `routing_header` is the header that carries the version, in lower case.
///
/// # Errors
/// All that is wrong, in the order of the spec.
pub fn validate(release: &CanaryRelease, routing_header: &str) -> Result<(), Problems> {
    let mut check = Check { spec: &release.spec, routing_header, problems: Vec::new() };
    check.names(release);
    if let Ok(spec) = serde_json::to_value(&release.spec) {
        limits::check(&spec, "spec", "spec", &mut check.problems);
    }
    check.versions();
    check.sticky("spec.sticky", release.spec.sticky.as_ref());
    for (index, rule) in release.spec.rules.iter().enumerate() {
        check.rule(&format!("spec.rules[{index}]"), index, rule);
    }
    check.takeover();
    check.steps();
    check.analysis();
    if let Some(routing) = &release.spec.routing {
        check.routing(routing);
    }
    let id = release.id();
    let problems: Vec<_> = check.problems.into_iter().map(|problem| problem.in_object(id.as_str())).collect();
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// A check under way.
struct Check<'a> {
    spec: &'a Spec,
    routing_header: &'a str,
    problems: Vec<Problem>,
}

/// Whether a text is a name of an object: DNS labels joined by dots (RFC 1123).
fn is_object_name(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
    let outer = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let bytes = name.as_bytes();
    bytes.iter().all(|&b| inner(b)) && outer(bytes.first()) && outer(bytes.last()) && !name.contains("..")
}

const NAME_FIX: &str = "use lower-case letters, digits, `-` and `.`, a letter or digit at both ends";

impl Check<'_> {
    fn refuse(&mut self, path: impl Into<String>, problem: impl Into<String>, fix: impl Into<String>) {
        self.problems.push(Problem::new(path, problem, fix));
    }

    /// Takes over a cause of the engine's, whose words fit here too.
    fn refuse_cause(&mut self, path: impl Into<String>, cause: &serin_config::Cause) {
        self.problems.push(Problem::of_sentence(path, &cause.to_string()));
    }

    fn names(&mut self, release: &CanaryRelease) {
        let metadata = &release.metadata;
        if metadata.name.is_empty() {
            self.refuse("metadata.name", "there is no name", "write one");
        } else if metadata.name.len() > 63 {
            self.refuse("metadata.name", "the name has more than 63 characters", "shorten it");
        } else if !is_object_name(&metadata.name) {
            self.refuse("metadata.name", format!("`{}` is not a name of an object", metadata.name), NAME_FIX);
        }
        if !is_object_name(&metadata.namespace) || metadata.namespace.contains('.') || metadata.namespace.len() > 63 {
            let problem = format!("`{}` is not a namespace", metadata.namespace);
            self.refuse("metadata.namespace", problem, "use at most 63 lower-case letters, digits and `-`");
        }
        let service = &release.spec.service;
        if service.is_empty() {
            self.refuse("spec.service", "there is no name", "write the name of the Service");
        } else if !is_object_name(service) {
            let fix = "write the name of a Service, or a host without scheme, port and path";
            self.refuse("spec.service", format!("`{service}` is not a Service"), fix);
        }
        for (index, port) in release.spec.ports.iter().enumerate() {
            let path = format!("spec.ports[{index}]");
            if *port == 0 {
                self.refuse(path, "`0` is not a port", "write 1 to 65535");
            } else if release.spec.ports.iter().take(index).any(|earlier| earlier == port) {
                self.refuse(path, format!("`{port}` is listed already"), "list each port once");
            }
        }
    }

    fn versions(&mut self) {
        let spec = self.spec;
        if let Err(cause) = check_version_name(&spec.stable.version) {
            self.refuse_cause("spec.stable.version", &cause);
        }
        if let Some(name) = spec.stable.deployment.as_ref().filter(|name| !is_object_name(name)) {
            self.refuse("spec.stable.deployment", format!("`{name}` is not a name of a Deployment"), NAME_FIX);
        }
        let mut listed = BTreeSet::new();
        for (index, canary) in spec.canaries.iter().enumerate() {
            let path = format!("spec.canaries[{index}]");
            let version = &canary.version;
            if let Err(cause) = check_version_name(version) {
                self.refuse_cause(format!("{path}.version"), &cause);
            } else if *version == spec.stable.version {
                self.refuse(format!("{path}.version"), "a canary has stable's version", "give it its own");
            } else if !listed.insert(version) {
                self.refuse(format!("{path}.version"), format!("`{version}` is listed already"), "list each version once");
            }
            self.granularity(&format!("{path}.weight"), canary.weight, spec.sticky.as_ref());
            self.workload(&path, canary);
        }
        self.sum("spec.canaries", "canaries", spec.canaries.iter().map(|canary| canary.weight));
    }

    fn workload(&mut self, path: &str, canary: &Canary) {
        let Some(workload) = &canary.workload else { return };
        if let Some(Err((at, cause))) = workload.patch.as_ref().map(patch::check) {
            self.problems.push(Problem::of_sentence(format!("{path}.workload.patch{at}"), &cause));
        }
        if workload.copies_autoscaler() && workload.replicas.is_some() {
            let fix = "leave one of them out, since an autoscaler sets the number of pods";
            self.refuse(format!("{path}.workload"), "there are both `replicas` and `autoscale: copy`", fix);
        }
        let path = format!("{path}.workload.images");
        if workload.images.is_empty() && workload.patch.is_none() {
            self.refuse(&path, "there is no image", "write at least one `CONTAINER: IMAGE`");
        }
        for (container, image) in &workload.images {
            let bad =
                image.is_empty() || image.contains(|c: char| c.is_whitespace() || c.is_control()) || image.contains("://");
            if bad {
                let fix = "write `NAME:TAG` or `NAME@sha256:DIGEST`, without scheme and blanks";
                self.refuse(format!("{path}.{container}"), format!("`{image}` is not an image"), fix);
            }
        }
    }

    fn is_version(&self, version: &str) -> bool {
        version == self.spec.stable.version || self.is_canary(version)
    }

    fn is_canary(&self, version: &str) -> bool {
        self.spec.canaries.iter().any(|canary| canary.version == version)
    }

    fn known(&self) -> String {
        let canaries = self.spec.canaries.iter().map(|canary| canary.version.as_str());
        std::iter::once(self.spec.stable.version.as_str()).chain(canaries).collect::<Vec<_>>().join(", ")
    }

    fn rule(&mut self, path: &str, index: usize, rule: &Rule) {
        if rule.name.is_empty() {
            self.refuse(format!("{path}.name"), "there is no name", "write one, since decisions are reported by it");
        } else if self.spec.rules.iter().take(index).any(|earlier| earlier.name == rule.name) {
            let fix = "give each rule its own, since decisions are reported by it";
            self.refuse(format!("{path}.name"), format!("`{}` names two rules", rule.name), fix);
        }
        match (&rule.version, &rule.split) {
            (Some(_), Some(_)) => self.refuse(path, "this rule has both `version` and `split`", "keep one of them"),
            (None, None) => {
                let fix = "add `version: v2`, or `split: [...]` for a share";
                self.refuse(path, "this rule has neither `version` nor `split`", fix);
            }
            (Some(_), None) if rule.sticky.is_some() => {
                let fix = "leave it out, since a single version needs no bucket";
                self.refuse(format!("{path}.sticky"), "`sticky` belongs to a `split`", fix);
            }
            _ => {}
        }
        if let Some(version) = rule.version.as_deref().filter(|version| !self.is_version(version)) {
            let fix = format!("use one of {}", self.known());
            self.refuse(format!("{path}.version"), format!("`{version}` is not a version of this release"), fix);
        }
        self.split(path, rule);
        self.sticky(&format!("{path}.sticky"), rule.sticky.as_ref());
        if rule.when.is_empty() {
            let fix = "list at least one, since requests without any belong to the weights";
            self.refuse(format!("{path}.when"), "there is no condition", fix);
        }
        self.conditions(&format!("{path}.when"), &rule.when);
    }

    fn split(&mut self, path: &str, rule: &Rule) {
        let Some(split) = &rule.split else { return };
        let sticky = rule.sticky.as_ref().or(self.spec.sticky.as_ref());
        let mut listed = BTreeSet::new();
        for (at, share) in split.iter().enumerate() {
            let path = format!("{path}.split[{at}]");
            if !self.is_canary(&share.version) {
                let problem = format!("`{}` is not a canary of this release", share.version);
                self.refuse(format!("{path}.version"), problem, "list canaries only, stable gets what they leave over");
            } else if !listed.insert(&share.version) {
                let problem = format!("`{}` is listed already", share.version);
                self.refuse(format!("{path}.version"), problem, "list each version once");
            }
            self.granularity(&format!("{path}.weight"), share.weight, sticky);
        }
        self.sum(&format!("{path}.split"), "split", split.iter().map(|share| share.weight));
    }

    fn sum(&mut self, path: &str, of: &str, weights: impl Iterator<Item = Weight>) {
        let sum: u64 = weights.map(|weight| u64::from(weight.buckets())).sum();
        if sum > u64::from(BUCKETS) {
            let problem = format!("the weights of the {of} sum to more than 100%");
            self.refuse(path, problem, "lower one, stable gets what they leave over");
        }
    }

    /// Unleash has 100 buckets, so that its weights are whole percents.
    fn granularity(&mut self, path: &str, weight: Weight, sticky: Option<&Sticky>) {
        let step = sticky.map_or(Algorithm::Serin, |sticky| sticky.algorithm).granularity();
        let rest = weight.buckets() % step;
        if rest != 0 {
            let percent = |buckets| Weight::from_buckets(buckets).unwrap_or(Weight::ALL);
            let below = weight.buckets() - rest;
            let fix = format!("write `{}` or `{}`", percent(below), percent(below + step));
            let problem = format!("`{weight}` is not a whole percent, and the algorithm `unleash` has 100 buckets");
            self.refuse(path, problem, fix);
        }
    }

    fn takeover(&mut self) {
        if let Some(version) = self.spec.takeover.as_deref().filter(|version| !self.is_version(version)) {
            let fix = format!("use one of {}", self.known());
            self.refuse("spec.takeover", format!("`{version}` is not a version of this release"), fix);
        }
    }
}
