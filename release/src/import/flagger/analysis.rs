//! What Flagger asks before it goes on: metrics and webhooks.

use serde::Deserialize;
use serde_json::Value;
use serin_config::Weight;

use super::super::amounts;
use super::super::draft::Draft;
use super::super::objects::{Object, Rest};
use super::super::queries;
use crate::lifecycle::analysis::{Failures, MetricSpec, Number, Slower};
use crate::lifecycle::steps::Step;

/// Steps that wait for a person, since something that Flagger asked is lost.
#[derive(Debug, Default)]
pub(super) struct Gates {
    /// Before anybody gets the canary.
    pub(super) first: bool,
    /// Behind each step.
    pub(super) every: bool,
    /// Before the last step.
    pub(super) last: bool,
}

impl Gates {
    /// Lets steps wait.
    pub(super) fn apply(&self, steps: &mut Vec<Step>) {
        let is_any = self.first || self.every || self.last;
        if is_any && !steps.is_empty() && (self.first || steps.len() == 1) {
            steps.insert(0, Step { weight: Some(Weight::NONE), approve: true, ..Step::default() });
        }
        let Some((_, before)) = steps.split_last_mut() else { return };
        if self.every {
            before.iter_mut().for_each(|step| step.approve = true);
        }
        if let Some(last) = before.last_mut().filter(|_| self.last) {
            last.approve = true;
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metric {
    #[serde(default)]
    name: String,
    #[serde(default)]
    threshold_range: Range,
    /// In older versions: the largest good value.
    threshold: Option<f64>,
    interval: Option<String>,
    query: Option<String>,
    template_ref: Option<TemplateReference>,
    #[serde(default)]
    template_variables: std::collections::BTreeMap<String, String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Range {
    min: Option<f64>,
    max: Option<f64>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct TemplateReference {
    #[serde(default)]
    name: String,
    namespace: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Template {
    #[serde(default)]
    provider: Provider,
    #[serde(default)]
    query: String,
}

#[derive(Debug, Default, Deserialize)]
struct Provider {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Webhook {
    #[serde(default)]
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    metadata: Option<Value>,
    #[serde(flatten)]
    rest: Rest,
}

/// What a query may speak of.
pub(super) struct Named<'a> {
    pub(super) namespace: &'a str,
    pub(super) target: &'a str,
    pub(super) service: &'a str,
}

/// Metrics become an analysis; where one is lost, each step waits for a person.
pub(super) fn metrics(draft: &mut Draft, metrics: &[Metric], named: &Named<'_>, objects: &[Object<'_>], gates: &mut Gates) {
    let mut found = Vec::new();
    for (at, metric) in metrics.iter().enumerate() {
        let path = format!("metrics[{at}]");
        let max = metric.threshold_range.max.or(metric.threshold);
        let own = match (metric.name.as_str(), &metric.template_ref, &metric.query) {
            ("request-success-rate", None, None) => {
                success_rate(draft, &path, metric.threshold_range.min.or(metric.threshold))
            }
            ("request-duration", None, None) => duration(draft, &path, max),
            _ => query(draft, &path, metric, named, objects),
        };
        match own {
            Some((metric, is_sure)) => {
                gates.every |= !is_sure;
                queries::add(&mut found, metric);
            }
            None => {
                gates.every = true;
                draft.lost(&path, format!("`{}` is not checked any more, so steps wait for `serin approve`", metric.name));
            }
        }
        if metric.interval.is_some() {
            draft
                .changed(format!("{path}.interval"), "counts are read all the time, and the test says when they are enough");
        }
        draft.rest(&path, &metric.rest, &[]);
        draft.rest(&format!("{path}.thresholdRange"), &metric.threshold_range.rest, &[]);
        if let Some(reference) = &metric.template_ref {
            draft.rest(&format!("{path}.templateRef"), &reference.rest, &[]);
        }
    }
    draft.spec.analysis = queries::analysis(found);
}

fn success_rate(draft: &mut Draft, path: &str, min: Option<f64>) -> Option<(MetricSpec, bool)> {
    let limit = amounts::percent(100.0 - min?)?;
    draft.carried(path, format!("becomes failures with the limit {limit}"));
    Some((MetricSpec { failures: Some(Failures {}), limit: Some(limit), ..MetricSpec::default() }, true))
}

fn duration(draft: &mut Draft, path: &str, max: Option<f64>) -> Option<(MetricSpec, bool)> {
    let milliseconds = max.filter(|max| max.is_finite() && *max >= 1.0)?.floor();
    let than = format!("{milliseconds}ms").parse().ok()?;
    draft.changed(
        path,
        format!("a p99 of at most {milliseconds} ms is: at most 1 % of requests slower than {milliseconds} ms"),
    );
    let slower = Some(Slower { than });
    Some((MetricSpec { slower, limit: amounts::percent(1.0), ..MetricSpec::default() }, true))
}

/// A metric of a query, and whether that query is sure to speak of the canary.
fn query(
    draft: &mut Draft,
    path: &str,
    metric: &Metric,
    named: &Named<'_>,
    objects: &[Object<'_>],
) -> Option<(MetricSpec, bool)> {
    let text = match (&metric.template_ref, &metric.query) {
        (Some(reference), _) => template(draft, path, reference, (named.namespace, objects))?,
        (None, Some(query)) => query.clone(),
        (None, None) => {
            draft.lost(path, "has neither a query nor a template, and is none of Flagger's own for Istio");
            return None;
        }
    };
    let mut speaks_of_target = false;
    for place in ["{{ target }}", "{{target}}", "{{ primary }}"] {
        speaks_of_target |= text.contains(place);
    }
    let filled = queries::filled(&text, |place| match place {
        "namespace" => Some(named.namespace.to_owned()),
        "target" => Some(named.target.to_owned()),
        "service" => Some(named.service.to_owned()),
        "interval" => Some(metric.interval.clone().unwrap_or_else(|| "1m".to_owned())),
        other => metric.template_variables.get(other.strip_prefix("variables.")?).cloned(),
    });
    let query = match filled {
        Ok(query) => query,
        Err(place) => {
            draft.lost(
                path,
                format!("`{{{{ {place} }}}}` is not known to Serin; write the query with $version, $service and $namespace"),
            );
            return None;
        }
    };
    let bound = |bound: Option<f64>| bound.and_then(|bound| Number::try_from(bound).ok());
    let (min, max) = (bound(metric.threshold_range.min), bound(metric.threshold_range.max.or(metric.threshold)));
    if min.is_none() && max.is_none() {
        draft.lost(path, "has no thresholdRange, so no value is bad");
        return None;
    }
    if speaks_of_target {
        let text = format!(
            "the query names the Deployment `{}`, which is stable's here; write what finds the canary, such as $version",
            named.target
        );
        draft.by_hand(path, text);
    } else {
        draft.carried(path, "becomes a query with min and max");
    }
    let name = Some(metric.name.clone()).filter(|name| !name.is_empty());
    Some((MetricSpec { name, query: Some(query), min, max, ..MetricSpec::default() }, !speaks_of_target))
}

fn template(
    draft: &mut Draft,
    path: &str,
    reference: &TemplateReference,
    (namespace, objects): (&str, &[Object<'_>]),
) -> Option<String> {
    let namespace = reference.namespace.as_deref().unwrap_or(namespace);
    let found = objects.iter().find(|object| object.is("MetricTemplate", namespace, &reference.name));
    let Some(template) = found.and_then(|object| object.spec::<Template>().ok()) else {
        draft.lost(
            format!("{path}.templateRef"),
            format!("the file has no MetricTemplate {namespace}/{}; add it", reference.name),
        );
        return None;
    };
    if template.provider.kind != "prometheus" {
        let text = format!("asks `{}`, and Serin asks Prometheus alone", template.provider.kind);
        draft.lost(format!("MetricTemplate {}", reference.name), text);
        return None;
    }
    for name in template.provider.rest.keys() {
        let text = "sources are named by the administrator";
        draft.lost(format!("MetricTemplate {}.spec.provider.{name}", reference.name), text);
    }
    Some(template.query)
}

/// Webhooks that ask a person become approvals, and checks that are lost do too.
pub(super) fn webhooks(draft: &mut Draft, webhooks: &[Webhook], gates: &mut Gates) {
    for webhook in webhooks {
        let path = format!("webhooks[{}]", webhook.name);
        let known = [("url", None), ("timeout", None), ("retries", None), ("muteAlert", None), ("disableTLS", None)];
        draft.rest(&path, &webhook.rest, &known);
        match webhook.kind.as_deref() {
            Some("confirm-promotion") => {
                gates.last = true;
                draft.changed(path, "is `approve` on the last step before 100 %: `serin approve`, or from CI");
            }
            Some("confirm-traffic-increase") => {
                gates.every = true;
                draft.changed(path, "is `approve` on each step: `serin approve`, or from CI");
            }
            Some("confirm-rollout") => {
                gates.first = true;
                draft.changed(path, "is `approve` on a step of 0 %: `serin approve`, or from CI");
            }
            Some("pre-rollout") => {
                gates.first = true;
                draft.lost(path, "run it in CI, and `serin approve` behind it: a step of 0 % waits for that");
            }
            Some("rollback") => draft.changed(path, "is `serin rollback`"),
            Some("event") => draft.lost(path, "see the events and the status of the release"),
            Some("post-rollout") => draft.lost(path, "run it in CI once the release is Completed"),
            None | Some("rollout") if webhook.makes_load() => draft.lost(path, "Serin makes no traffic"),
            _ => {
                gates.every = true;
                draft.lost(path, "run it in CI, and `serin approve` behind it: each step waits for that");
            }
        }
    }
}

impl Webhook {
    /// Whether it makes requests and checks nothing.
    fn makes_load(&self) -> bool {
        let field = |name: &str| self.metadata.as_ref().and_then(|metadata| metadata.get(name)).and_then(Value::as_str);
        let command = field("cmd").unwrap_or_default();
        let is_check = field("type").is_some_and(|kind| kind != "cmd");
        let tool = command.split_whitespace().next().unwrap_or_default();
        let tool = tool.rsplit('/').next().unwrap_or_default();
        !is_check && matches!(tool, "hey" | "wrk" | "ghz" | "ab" | "vegeta" | "fortio")
    }
}
