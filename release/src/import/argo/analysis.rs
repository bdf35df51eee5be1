//! AnalysisTemplates as metrics of a release.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::super::draft::Draft;
use super::super::objects::{Meta, Object, Rest};
use super::super::queries;
use crate::lifecycle::analysis::{AnalysisSpec, MetricSpec};

/// An analysis of a Rollout: the one of a step, or that in the background.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Run {
    #[serde(default)]
    templates: Vec<Reference>,
    #[serde(default)]
    args: Vec<Argument>,
    pub(super) starting_step: Option<u64>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    template_name: String,
    #[serde(default)]
    cluster_scope: bool,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Argument {
    #[serde(default)]
    name: String,
    value: Option<Value>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Template {
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    args: Vec<Argument>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metric {
    #[serde(default)]
    name: String,
    success_condition: Option<String>,
    failure_condition: Option<String>,
    #[serde(default)]
    provider: Provider,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Provider {
    prometheus: Option<Prometheus>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Prometheus {
    #[serde(default)]
    query: String,
    #[serde(flatten)]
    rest: Rest,
}

/// The analyses of a Rollout under way.
pub(super) struct Analyses<'o> {
    objects: &'o [Object<'o>],
    namespace: &'o str,
    metrics: Vec<MetricSpec>,
    /// Templates that are reported already.
    told: Vec<String>,
}

impl<'o> Analyses<'o> {
    pub(super) fn new(objects: &'o [Object<'o>], namespace: &'o str) -> Self {
        Self { objects, namespace, metrics: Vec::new(), told: Vec::new() }
    }

    /// What is compared; nothing without metrics.
    pub(super) fn spec(self) -> Option<AnalysisSpec> {
        queries::analysis(self.metrics)
    }

    /// Adds the metrics of an analysis. Whether all of it is there: else a person has to look.
    pub(super) fn add(&mut self, draft: &mut Draft, path: &str, run: &Run) -> bool {
        let mut is_whole = !run.templates.is_empty();
        draft.rest(path, &run.rest, &[]);
        for argument in &run.args {
            let text = Some("only a value that is written out is carried over");
            draft.rest(&format!("{path}.args"), &argument.rest, &[("valueFrom", text)]);
        }
        for reference in &run.templates {
            draft.rest(&format!("{path}.templates"), &reference.rest, &[]);
        }
        for reference in &run.templates {
            let kind = if reference.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" };
            let title = format!("{kind} {}", reference.template_name);
            let found = self.objects.iter().find(|object| {
                object.kind == kind
                    && object.meta.name == reference.template_name
                    && (reference.cluster_scope || object.meta.namespace == self.namespace)
            });
            match found.and_then(|object| object.spec::<Template>().ok()) {
                Some(template) => is_whole &= self.template(draft, &title, &template, &run.args),
                None => {
                    is_whole = false;
                    draft.lost(path, format!("the file has no {title}; add it"));
                }
            }
        }
        if !is_whole {
            draft.lost(path, "not all of it is checked any more, so steps wait for `serin approve`");
        }
        is_whole
    }

    fn template(&mut self, draft: &mut Draft, title: &str, template: &Template, args: &[Argument]) -> bool {
        let is_new = !self.told.iter().any(|told| told == title);
        self.told.push(title.to_owned());
        let mut values: BTreeMap<&str, String> = BTreeMap::new();
        for argument in template.args.iter().chain(args) {
            match &argument.value {
                Some(Value::String(text)) => values.insert(&argument.name, text.clone()),
                Some(value) => values.insert(&argument.name, value.to_string()),
                None => None,
            };
        }
        let mut is_whole = true;
        // What is said of a template is said once.
        let mut aside = Draft::refused(&Meta::default(), "", "");
        aside.report.clear();
        for (at, metric) in template.metrics.iter().enumerate() {
            match one(&mut aside, title, &format!("metrics[{at}]"), metric, &values) {
                Some(metric) => queries::add(&mut self.metrics, metric),
                None => is_whole = false,
            }
        }
        aside.rest(
            title,
            &template.rest,
            &[("dryRun", Some("write no metric whose verdict does not count")), ("measurementRetention", None)],
        );
        if is_new {
            draft.report.append(&mut aside.report);
        }
        is_whole
    }
}

/// One metric; nothing if Serin cannot say it.
fn one(draft: &mut Draft, title: &str, path: &str, metric: &Metric, args: &BTreeMap<&str, String>) -> Option<MetricSpec> {
    let path = format!("{title} {path}");
    let Some(prometheus) = &metric.provider.prometheus else {
        let names: Vec<&str> = metric.provider.rest.keys().map(String::as_str).collect();
        draft.lost(&path, format!("asks {}, and Serin asks Prometheus alone", names.join(", ")));
        return None;
    };
    let known = |place: &str| args.get(place.strip_prefix("args.")?).cloned();
    let query = match queries::filled(&prometheus.query, known) {
        Ok(query) => query,
        Err(place) => {
            draft.lost(
                &path,
                format!("`{{{{{place}}}}}` has no value here; write the query with $version, $service and $namespace"),
            );
            return None;
        }
    };
    let (success, failure) = (metric.success_condition.as_deref(), metric.failure_condition.as_deref());
    let bounds = match (success, failure) {
        (Some(success), _) => queries::bounds(success),
        (None, Some(failure)) => queries::bounds_unless(failure),
        (None, None) => None,
    };
    let Some(bounds) = bounds else {
        let condition = success.or(failure).unwrap_or_default();
        draft.lost(&path, format!("`{condition}` is no bound of one value, such as `result[0] >= 0.95`"));
        return None;
    };
    draft.changed(title, "a threshold on a rate; `failures: {}` would compare counts with stable");
    if bounds.is_strict {
        draft.carried(&path, "`min` and `max` are good themselves, so a bound that is not ends one number before");
    }
    if bounds.takes_none {
        draft.changed(&path, "no data is neither good nor bad, so the step waits");
    }
    if success.is_some() && failure.is_some() {
        draft.lost(format!("{path}.failureCondition"), "a value that is not good is bad");
    }
    for name in prometheus.rest.keys() {
        draft.lost(format!("provider.prometheus.{name}"), "sources are named by the administrator");
    }
    let counted = Some("the first bad value fails, and a step waits for a good one; `for` lets values be bad for a time");
    let known = [
        ("interval", None),
        ("initialDelay", Some("a step's first values count too")),
        ("count", counted),
        ("failureLimit", counted),
        ("consecutiveErrorLimit", counted),
        ("consecutiveSuccessLimit", counted),
        ("inconclusiveLimit", counted),
    ];
    draft.rest(&path, &metric.rest, &known);
    let name = Some(metric.name.clone()).filter(|name| !name.is_empty());
    Some(MetricSpec { name, query: Some(query), min: bounds.min, max: bounds.max, ..MetricSpec::default() })
}
