//! What is valid in a release, and perhaps not meant. Pure; the time comes in.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serin_config::{BUCKETS, Condition, Weight};

use crate::api::v1alpha1::{CanaryRelease, Rule};
use crate::lifecycle::evidence::good;
use crate::lifecycle::schedule::Gate;
use crate::lifecycle::steps::Check;
use crate::lifecycle::verdict::metric::Kind;

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Its stable name, such as `no-sticky`.
    pub code: &'static str,
    /// The release, as `NAMESPACE/NAME`.
    pub release: String,
    /// Where.
    pub path: String,
    /// What is perhaps not meant, and what to write instead.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} {}: {}", self.release, self.code, self.path, self.text)
    }
}

/// How far ahead an open window is looked for.
const AHEAD: i64 = 366;

/// What is perhaps not meant in a release, in the order of its spec. `rate` is how many requests a second its Service gets, where
/// that is known.
#[must_use]
pub fn lint(release: &CanaryRelease, now: Timestamp, rate: Option<f64>) -> Vec<Finding> {
    let mut lint = Lint { release, findings: Vec::new() };
    lint.stickiness();
    lint.rules();
    lint.steps();
    lint.schedule(now);
    lint.analysis();
    if let Some(rate) = rate {
        lint.verdicts(rate);
    }
    lint.control();
    lint.findings
}

struct Lint<'a> {
    release: &'a CanaryRelease,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    fn find(&mut self, code: &'static str, path: impl Into<String>, text: impl Into<String>) {
        let release = self.release.id();
        self.findings.push(Finding { code, release, path: path.into(), text: text.into() });
    }

    fn stickiness(&mut self) {
        let spec = &self.release.spec;
        let is_split = |weight: Weight| weight != Weight::NONE && weight != Weight::ALL;
        let splits = spec.canaries.iter().any(|canary| is_split(canary.weight)) || !spec.steps.is_empty();
        if splits && spec.sticky.is_none() {
            self.find(
                "no-sticky",
                "spec.sticky",
                "each request is decided by itself, so that one person gets both versions; add such as `sticky: {by: [{cookie: user}]}`",
            );
        }
    }

    fn rules(&mut self) {
        let rules = &self.release.spec.rules;
        for (index, rule) in rules.iter().enumerate() {
            let path = format!("spec.rules[{index}]");
            if let Some(earlier) = rules.iter().take(index).find(|earlier| takes_all_of(earlier, rule)) {
                let text = format!(
                    "the rule `{}` before it takes each of its requests; put this one first, or leave it out",
                    earlier.name
                );
                self.find("rule-unreachable", &*path, text);
            }
            if rule.when.iter().all(is_always) {
                let text =
                    "each request matches, so that no weight ever decides; name what tells these requests from others";
                self.find("rule-shadows-weight", format!("{path}.when"), text);
            }
        }
    }

    fn steps(&mut self) {
        let spec = &self.release.spec;
        let compares = |step: Option<Check>| spec.analysis.is_some() && step.is_none_or(|check| check == Check::Pass);
        for (index, step) in spec.steps.iter().enumerate() {
            let nobody = step.weight == Some(Weight::NONE) || step.weights.values().any(|weight| *weight == Weight::NONE);
            if nobody && compares(step.analysis) {
                self.find(
                    "rules-only-step",
                    format!("spec.steps[{index}]"),
                    "the canary has only whom rules send, who are no fair sample to compare; give it a weight, or write `analysis: watch` and a `limit`",
                );
            }
        }
    }

    fn schedule(&mut self, now: Timestamp) {
        let Some(schedule) = &self.release.spec.schedule else { return };
        for (index, freeze) in schedule.freeze.iter().enumerate().filter(|(_, freeze)| freeze.to <= now) {
            self.find(
                "freeze-past",
                format!("spec.schedule.freeze[{index}]"),
                format!("it has ended at {}; leave it out", freeze.to),
            );
        }
        let day = |day: i64| now.checked_add(SignedDuration::from_hours(24 * day)).unwrap_or(Timestamp::MAX);
        let end = day(AHEAD);
        let is_open = |at: Timestamp| at <= end && matches!(schedule.gate(at), Ok(Gate::Open(_)) | Err(_));
        // What opens between two looks is the next thing that a look tells of.
        let opens = |at: Timestamp| match schedule.gate(at) {
            Ok(Gate::Open(_)) | Err(_) => true,
            Ok(Gate::OutsideWindow(next) | Gate::Frozen(next, _)) => next.is_some_and(is_open),
        };
        if !(0..=AHEAD).map(day).any(opens) {
            self.find(
                "window-never",
                "spec.schedule",
                "no window opens within a year, so that no step goes on; see `windows` and `freeze`",
            );
        }
    }

    fn analysis(&mut self) {
        let spec = &self.release.spec;
        let Some(analysis) = &spec.analysis else { return };
        if spec.sticky.is_none() {
            self.find(
                "analysis-without-sticky",
                "spec.analysis",
                "without stickiness one person's requests go to both versions, so that a failure of one may show in the other; add `sticky`",
            );
        }
        let gets_all = spec.steps.last().is_some_and(|step| {
            step.weight == Some(Weight::ALL) || step.weights.values().any(|weight| *weight == Weight::ALL)
        });
        let asked = spec.steps.last().is_some_and(|step| step.analysis.is_none_or(|check| check == Check::Pass));
        let limited = analysis.metrics.iter().any(|metric| metric.limit.is_some() || metric.query.is_some());
        if gets_all && asked && !limited {
            self.find(
                "limit-missing",
                "spec.analysis.metrics",
                "at the last step stable has nobody left to compare with, so that only a `limit` would show harm there; add such as `limit: 5%`",
            );
        }
    }

    /// Steps that are over before a canary without any fault could be shown to be good.
    fn verdicts(&mut self, rate: f64) {
        let spec = &self.release.spec;
        let Some(analysis) = &spec.analysis else { return };
        let metrics = analysis.setup(&spec.stable.version, Vec::new(), &spec.steps).metrics;
        let needed = metrics.iter().filter_map(|metric| match &metric.kind {
            Kind::Counts { tolerance, .. } => Some(good::least_requests(tolerance)),
            Kind::Value(_) => None,
        });
        let needed = needed.fold(0.0, f64::max).ceil();
        for (index, step) in spec.steps.iter().enumerate() {
            let asks = step.analysis.is_none_or(|check| check == Check::Pass);
            let weights = step.weight.iter().chain(step.weights.values()).filter(|weight| **weight != Weight::NONE);
            let Some(least) = weights.min().filter(|_| asks) else { continue };
            let seconds = needed / (rate * f64::from(least.buckets()) / f64::from(BUCKETS));
            let planned = f64::from(step.over_seconds()) + f64::from(step.hold_seconds());
            if seconds > planned.max(SHORTEST) {
                let text = format!(
                    "a good verdict takes {needed} requests of the canary without a fault, which are {} at {least} of {rate} a second, and the \
                     step would wait for it; give it more weight, or metrics a larger `margin`",
                    about(seconds)
                );
                self.find("step-too-short", format!("spec.steps[{index}]"), text);
            }
        }
    }

    fn control(&mut self) {
        let release = self.release;
        let Some(hold) = release.word.as_ref().and_then(|word| word.hold.as_ref()) else { return };
        let known = release.spec.canaries.iter().map(|canary| canary.version.as_str()).collect();
        if hold.word(&release.spec.stable.version, &known).is_none() {
            self.find(
                "control-void",
                "CanaryControl spec.hold",
                "it speaks of a version that the release does not have, so that it does not act",
            );
        }
    }
}

/// So many seconds nobody minds to wait.
const SHORTEST: f64 = 60.0;

/// A time in words, rounded up.
fn about(seconds: f64) -> String {
    let (unit, size) = [("d", 86_400.0), ("h", 3600.0), ("m", 60.0)]
        .into_iter()
        .find(|(_, size)| seconds >= 2.0 * size)
        .unwrap_or(("s", 1.0));
    format!("{}{unit}", (seconds / size).ceil())
}

/// Whether each request that matches a rule matches an earlier one: that one asks for a part of the same conditions.
fn takes_all_of(earlier: &Rule, later: &Rule) -> bool {
    earlier.when.iter().all(|condition| later.when.contains(condition))
}

/// Whether a condition holds for each request.
fn is_always(condition: &Condition) -> bool {
    let text = serde_json::to_value(condition).unwrap_or_default();
    let path = text.get("path").or_else(|| text.get("authority"));
    let is_root = |(name, value): (&String, &serde_json::Value)| match name.as_str() {
        "prefix" | "pathPrefix" => matches!(value.as_str(), Some("/" | "")),
        "regex" => matches!(value.as_str(), Some(".*" | "/.*" | ".+" | "^.*$")),
        "present" => value.as_bool() == Some(true),
        _ => false,
    };
    path.and_then(serde_json::Value::as_object).is_some_and(|path| path.iter().any(is_root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn codes(changes: &Value) -> Vec<(&'static str, String)> {
        found(changes, None).into_iter().map(|finding| (finding.code, finding.path)).collect()
    }

    fn found(changes: &Value, rate: Option<f64>) -> Vec<Finding> {
        let mut spec = json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "5%"}],
            "sticky": {"by": [{"cookie": "user"}]}});
        for (name, value) in changes.as_object().unwrap() {
            spec[name] = value.clone();
        }
        let release = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "a", "namespace": "b"}, "spec": spec});
        let release = serde_json::from_value(release).unwrap();
        lint(&release, "2026-11-28T12:00:00Z".parse().unwrap(), rate)
    }

    #[test]
    fn what_is_meant_is_not_found() {
        let team = json!([{"header": {"name": "x-team", "exact": "qa"}}]);
        let good = json!({"rules": [{"name": "a", "when": team, "version": "v2"}], "steps": [{"weight": "5%"}, {"weight": "100%"}],
            "schedule": {"windows": [{"days": ["Mon"], "from": "09:00", "to": "16:00"}]}, "analysis": {"metrics": [{"failures": {}, "limit": "5%"}]}});
        assert_eq!(codes(&good), []);
        assert_eq!(codes(&json!({})), []);
        assert_eq!(codes(&json!({"sticky": null, "canaries": [{"version": "v2", "weight": "100%"}]})), []);
    }

    #[test]
    fn what_is_perhaps_not_meant_is_found() {
        let condition = |name: &str| json!({"header": {"name": name, "exact": "1"}});
        let rule = |name: &str, when: Value| json!({"name": name, "when": when, "version": "v2"});
        let cases = [
            (json!({"sticky": null}), "no-sticky", "spec.sticky"),
            (
                json!({"rules": [rule("a", json!([condition("x")])), rule("b", json!([condition("y"), condition("x")]))]}),
                "rule-unreachable",
                "spec.rules[1]",
            ),
            (
                json!({"rules": [rule("a", json!([{"path": {"pathPrefix": "/"}}]))]}),
                "rule-shadows-weight",
                "spec.rules[0].when",
            ),
            (
                json!({"steps": [{"weight": "0%"}, {"weight": "50%"}], "analysis": {"metrics": [{"failures": {}}]}}),
                "rules-only-step",
                "spec.steps[0]",
            ),
            (
                json!({"steps": [{"weight": "5%"}], "schedule": {"freeze": [{"from": "2025-12-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}]}}),
                "freeze-past",
                "spec.schedule.freeze[0]",
            ),
            (
                json!({"steps": [{"weight": "5%"}], "schedule": {"freeze": [{"from": "2026-11-01T00:00:00Z", "to": "2029-01-01T00:00:00Z"}]}}),
                "window-never",
                "spec.schedule",
            ),
            (
                json!({"steps": [{"weight": "100%"}], "analysis": {"metrics": [{"failures": {}}]}}),
                "limit-missing",
                "spec.analysis.metrics",
            ),
        ];
        for (changes, code, path) in cases {
            assert_eq!(codes(&changes), [(code, path.to_owned())], "{changes}");
        }
    }

    #[test]
    fn a_verdict_that_takes_longer_than_its_step_is_found() {
        let steps =
            json!([{"weight": "5%", "hold": "10m"}, {"weight": "50%", "hold": "10m"}, {"weight": "80%", "analysis": "off"}]);
        let release = |margin: &str| json!({"steps": steps, "analysis": {"metrics": [{"failures": {}, "margin": margin}]}});
        let texts = |margin: &str, rate: f64| -> Vec<String> {
            found(&release(margin), Some(rate)).iter().map(|finding| format!("{} {}", finding.path, finding.text)).collect()
        };
        // (ln 20 + ln 4) / -ln(1 - 0.005) = 874.2, and twice as many with the usual design effect.
        let says = |step: u32, time: &str, weight: &str| {
            format!(
                "spec.steps[{step}] a good verdict takes 1749 requests of the canary without a fault, which are {time} at {weight} of 2 a second, \
                 and the step would wait for it; give it more weight, or metrics a larger `margin`"
            )
        };
        assert_eq!(texts("0.5%", 2.0), [says(0, "5h", "5%"), says(1, "30m", "50%")]);
        assert_eq!((texts("0.5%", 60.0).len(), texts("5%", 60.0).len()), (0, 0));
    }
}
