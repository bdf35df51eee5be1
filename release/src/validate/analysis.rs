//! The analysis of a spec.

use std::collections::BTreeSet;

use serin_config::{Weight, check_version_name};

use super::Check;
use crate::api::v1alpha1::Spec;
use crate::lifecycle::analysis::{AnalysisSpec, MetricSpec, Number};
use crate::lifecycle::baseline;
use crate::lifecycle::steps::Check as Asked;

/// Whether a spec asks for a baseline that it may have.
#[must_use]
pub(crate) fn has_baseline(spec: &Spec) -> bool {
    let mut check = Check { spec, routing_header: "", problems: Vec::new() };
    check.baseline();
    spec.analysis.as_ref().is_some_and(|analysis| analysis.baseline.is_some()) && check.problems.is_empty()
}

impl Check<'_> {
    pub(super) fn analysis(&mut self) {
        let Some(analysis) = &self.spec.analysis else {
            let asks = |(_, asked): &(usize, Option<Asked>)| asked.is_some_and(|asked| asked != Asked::Off);
            let steps = self.spec.steps.iter().map(|step| step.analysis).enumerate();
            for (index, _) in steps.filter(asks) {
                let path = format!("spec.steps[{index}].analysis");
                self.refuse(path, "the release has no analysis", "add `spec.analysis`, or leave it out");
            }
            return;
        };
        self.figures(analysis);
        if analysis.metrics.is_empty() {
            self.refuse("spec.analysis.metrics", "there is no metric", "write one such as `{failures: {}}`");
        }
        let mut names = BTreeSet::new();
        for (index, metric) in analysis.metrics.iter().enumerate() {
            let path = format!("spec.analysis.metrics[{index}]");
            self.metric(&path, metric);
            let name = metric.called();
            if !names.insert(name.clone()) {
                let fix = "give each metric its own `name`";
                self.refuse(format!("{path}.name"), format!("`{name}` names two metrics"), fix);
            }
        }
    }

    fn figures(&mut self, analysis: &AnalysisSpec) {
        if analysis.false_alarms.is_some_and(|part| part == Weight::NONE || part == Weight::ALL) {
            self.refuse("spec.analysis.falseAlarms", "this says nothing", "write a chance between, such as `1%`");
        }
        if analysis.baseline.is_some() {
            self.baseline();
        }
        self.number("spec.analysis.designEffect", analysis.design_effect, 1.0, 100.0);
    }

    /// A baseline has the people of the first step, and a version of its own.
    fn baseline(&mut self) {
        let path = "spec.analysis.baseline";
        if self.spec.steps.is_empty() {
            self.refuse(path, "a baseline stands before the first step, and there is none", "add `steps`, or leave it out");
        }
        for canary in &self.spec.canaries {
            let version = baseline::version(&canary.version);
            if check_version_name(&version).is_err() {
                let problem = format!("the version of the baseline, `{version}`, has more than 63 characters");
                self.refuse(path, problem, "shorten the canary's version, or leave it out");
            } else if self.is_version(&version) {
                let problem = format!("`{version}` is a version already");
                self.refuse(path, problem, "give that one another name, since the baseline is called so");
            }
        }
    }

    fn number(&mut self, path: &str, number: Option<Number>, least: f64, most: f64) {
        if let Some(number) = number.map(f64::from).filter(|number| !(least..=most).contains(number)) {
            self.refuse(path, format!("`{number}` is out of range"), format!("write a number from {least} to {most}"));
        }
    }

    fn metric(&mut self, path: &str, metric: &MetricSpec) {
        const KINDS: &str = "write exactly one of failures, slower, counts, query";
        match metric.kinds().as_slice() {
            [] => self.refuse(path, "the metric says nothing to compare", KINDS),
            [kind] => self.fields(path, metric, kind),
            several => self.refuse(path, format!("the metric is {} at once", several.join(" and ")), KINDS),
        }
    }

    /// Fields that belong to another kind, or that the kind needs.
    fn fields(&mut self, path: &str, metric: &MetricSpec, kind: &str) {
        let of_values = [("min", metric.min.is_some()), ("max", metric.max.is_some()), ("for", metric.lasting.is_some())];
        let of_counts = [
            ("tolerate", metric.tolerate.is_some()),
            ("margin", metric.margin.is_some()),
            ("limit", metric.limit.is_some()),
        ];
        let is_value = kind == "query";
        for (field, _) in (if is_value { of_counts } else { of_values }).into_iter().filter(|(_, is_there)| *is_there) {
            let fix = if is_value {
                "leave it out; `min`, `max` and `for` bound a value"
            } else {
                "leave it out; `limit` bounds a count"
            };
            self.refuse(format!("{path}.{field}"), format!("`{field}` does not belong to `{kind}`"), fix);
        }
        if is_value && metric.min.is_none() && metric.max.is_none() {
            self.refuse(path, "no value of the query would be bad", "add `min` or `max`");
        }
        if let (Some(min), Some(max)) = (metric.min, metric.max)
            && min > max
        {
            self.refuse(format!("{path}.min"), "no value would be good", "write at most `max`");
        }
        self.number(&format!("{path}.tolerate.times"), metric.tolerate.and_then(|own| own.times), 1.0, 1000.0);
    }
}
