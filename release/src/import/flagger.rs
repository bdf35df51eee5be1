//! A Canary of Flagger, for Istio.

mod analysis;

use serde::Deserialize;
use serde_json::Value;
use serin_config::{IssueCookie, KeySource, Otherwise, SameSite, Sticky, Weight};

use super::amounts;
use super::draft::Draft;
use super::istio::HttpMatch;
use super::objects::{Object, Rest};
use super::rules::Outcome;
use crate::api::v1alpha1::{Routing, RoutingMode};
use crate::lifecycle::steps::Step;
use crate::problem::Problem;
use analysis::{Gates, Metric, Webhook};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Canary {
    provider: Option<String>,
    #[serde(default)]
    target_ref: Reference,
    #[serde(default)]
    service: Service,
    /// `canaryAnalysis` in older versions.
    #[serde(default, alias = "canaryAnalysis")]
    analysis: Analysis,
    #[serde(default)]
    skip_analysis: bool,
    #[serde(default)]
    suspend: bool,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Reference {
    kind: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Service {
    name: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    gateways: Vec<String>,
    #[serde(default)]
    hosts: Vec<String>,
    #[serde(default)]
    delegation: bool,
    #[serde(default, rename = "match")]
    matches: Vec<HttpMatch>,
    /// Settings of routes, and what Serin leaves to others.
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    interval: Option<Value>,
    #[serde(default)]
    step_weight: u64,
    #[serde(default)]
    step_weights: Vec<u64>,
    max_weight: Option<u64>,
    #[serde(default)]
    iterations: u64,
    threshold: Option<Value>,
    #[serde(default, rename = "match")]
    matches: Vec<HttpMatch>,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    webhooks: Vec<Webhook>,
    session_affinity: Option<Affinity>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Affinity {
    #[serde(default)]
    cookie_name: String,
    #[serde(default)]
    primary_cookie_name: Option<String>,
    max_age: Option<u64>,
    same_site: Option<String>,
    #[serde(default)]
    http_only: bool,
    #[serde(default)]
    secure: bool,
    path: Option<String>,
    domain: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

/// Flagger's own, where a Canary says none.
const INTERVAL: u32 = 60;
const COOKIE_AGE: u64 = 86_400;

/// A release of a Canary.
pub(super) fn canary(object: &Object<'_>, objects: &[Object<'_>]) -> Result<Draft, Problem> {
    let spec: Canary = object.spec()?;
    if let Some(other) = spec.provider.as_deref().filter(|provider| *provider != "istio") {
        let text = format!("Serin decides in Istio's proxies, and this Canary is for `{other}`");
        return Ok(Draft::refused(&object.meta, "spec.provider", &text));
    }
    if spec.target_ref.kind.as_deref().is_some_and(|kind| kind != "Deployment") {
        return Ok(Draft::refused(&object.meta, "spec.targetRef.kind", "only a Deployment can be released"));
    }
    if spec.provider.is_none() && spec.rest.contains_key("ingressRef") {
        return Ok(Draft::refused(
            &object.meta,
            "spec.ingressRef",
            "Serin decides in Istio's proxies, and this Canary is for an Ingress",
        ));
    }
    let target = spec.target_ref.name.clone();
    let service = spec.service.name.clone().unwrap_or_else(|| target.clone());
    let mut draft = Draft::new(&object.meta, service.clone(), "primary");
    draft.owned.push(("VirtualService", service.clone()));
    draft.carried("spec.targetRef", "becomes stable.deployment");
    draft.spec.stable.deployment = Some(target.clone());
    draft.spec.ports = spec.service.port.into_iter().collect();
    draft.canary("canary");
    draft.by_hand("spec.targetRef", "label stable's pods `version`, and name the new version's images in workload.images");
    let mut gates = Gates::default();
    routing(&mut draft, &spec.service, &mut gates);
    let named = analysis::Named { namespace: &object.meta.namespace, target: &target, service: &service };
    if spec.skip_analysis {
        draft.changed("spec.skipAnalysis", "steps go on by time alone; Flagger does all of them at once");
    } else {
        analysis::metrics(&mut draft, &spec.analysis.metrics, &named, objects, &mut gates);
    }
    analysis::webhooks(&mut draft, &spec.analysis.webhooks, &mut gates);
    rules(&mut draft, &spec.analysis);
    let mut steps = steps(&mut draft, &spec.analysis);
    if gates.first && !spec.analysis.matches.is_empty() {
        draft.by_hand("match", "rules act at once: apply the release when what comes before the rollout is done");
    }
    gates.apply(&mut steps);
    draft.steps(steps);
    if let Some(affinity) = &spec.analysis.session_affinity {
        sticky(&mut draft, affinity);
    }
    leftovers(&mut draft, &spec);
    Ok(draft)
}

/// Fields that have no place in a release yet, or never.
fn leftovers(draft: &mut Draft, spec: &Canary) {
    draft.spec.paused = spec.suspend;
    if spec.analysis.threshold.is_some() {
        draft.changed("spec.analysis.threshold", "no count of failed checks; the verdict counts requests");
    }
    draft.rest("spec.targetRef", &spec.target_ref.rest, &[("apiVersion", None)]);
    let known = [("revertOnDeletion", None), ("ingressRef", Some("Serin decides in Istio's proxies"))];
    let (pods, rest): (Rest, Rest) = spec
        .rest
        .clone()
        .into_iter()
        .partition(|(name, _)| matches!(name.as_str(), "autoscalerRef" | "progressDeadlineSeconds"));
    for (name, value) in pods {
        let within = amounts::seconds_of(&value).and_then(|seconds| amounts::span(seconds.into()));
        let field = within.map_or_else(|| "autoscale: copy".to_owned(), |within| format!("readyWithin: {within}"));
        draft.by_hand(format!("spec.{name}"), format!("write `{field}` beside workload.images"));
    }
    draft.rest("spec", &rest, &known);
    let known = [
        ("mirror", Some("a mirror is routing.http.mirrors, for the whole release")),
        ("mirrorWeight", Some("a mirror is routing.http.mirrors, for the whole release")),
        ("stepWeightPromotion", Some("the last step is 100 %, and `stable` is the new version then")),
        ("primaryReadyThreshold", Some("readiness is that of the Deployment's pods")),
        ("canaryReadyThreshold", Some("see canaries[].minReady")),
        ("alerts", Some("see events, the status and metrics of the release")),
    ];
    draft.rest("spec.analysis", &spec.analysis.rest, &known);
}

/// Hosts, gateways and settings of routes.
fn routing(draft: &mut Draft, service: &Service, gates: &mut Gates) {
    if service.delegation {
        draft.spec.routing = Some(Routing { mode: RoutingMode::Delegate, ..Routing::default() });
        draft.carried("spec.service.delegation", "becomes routing.mode: delegate");
    } else {
        draft.gateways("spec.service", service.gateways.clone(), service.hosts.clone());
    }
    let is_setting = |name: &str| ["timeout", "retries", "headers", "corsPolicy", "rewrite"].contains(&name);
    let (settings, others): (Rest, Rest) = service.rest.clone().into_iter().partition(|(name, _)| is_setting(name));
    draft.settings(&[("spec.service".to_owned(), &settings)]);
    for (at, _) in service.matches.iter().enumerate().filter(|(_, matched)| !matched.takes_everything()) {
        gates.first = true;
        let text = "a release takes all requests of its Service, so nobody gets the canary before `serin approve`; add a rule to stable for the others";
        draft.lost(format!("spec.service.match[{at}]"), text);
    }
    let own_rule = Some("stays in a DestinationRule of your own; Serin adds subsets only");
    let known = [
        ("targetPort", None),
        ("portName", None),
        ("appProtocol", None),
        ("trafficPolicy", own_rule),
        ("gatewayRefs", Some("routes of the Gateway API are not written yet; write routing.gateways and routing.hosts")),
        ("portDiscovery", Some("list the ports, or leave `ports` out for all of HTTP")),
        ("apex", Some("Serin writes no Services, so nothing is added to their metadata")),
        ("primary", Some("Serin writes no Services, so nothing is added to their metadata")),
        ("canary", Some("Serin writes no Services, so nothing is added to their metadata")),
    ];
    draft.rest("spec.service", &others, &known);
}

fn rules(draft: &mut Draft, analysis: &Analysis) {
    for (at, matched) in analysis.matches.iter().enumerate() {
        let path = format!("match[{at}]");
        let mut when = matched.when(&path, false);
        matched.report(&path, draft);
        if when.conditions.is_empty() && when.notes.is_empty() {
            when.lost(&path, "takes everything, which is a weight and no rule");
        }
        draft.rule(path, format!("match-{}", at + 1), when, Outcome::Version("canary".to_owned()));
    }
}

/// Weights step by step, or one time to wait for everything.
fn steps(draft: &mut Draft, analysis: &Analysis) -> Vec<Step> {
    let interval =
        analysis.interval.as_ref().map(|interval| amounts::seconds_of(interval).unwrap_or(INTERVAL)).unwrap_or(INTERVAL);
    let step = |weight: u64, seconds: u64| Step {
        weight: Some(amounts::share(weight, 100)),
        hold: amounts::span(seconds),
        ..Step::default()
    };
    let all = Step { weight: Some(Weight::ALL), ..Step::default() };
    if analysis.iterations > 0 {
        return vec![step(0, analysis.iterations.saturating_mul(interval.into())), all];
    }
    let most = analysis.max_weight.unwrap_or(100).min(100);
    let weights: Vec<u64> = match (analysis.step_weights.is_empty(), analysis.step_weight) {
        (false, _) => analysis.step_weights.clone(),
        (true, 0) => Vec::new(),
        (true, by) => (1..=100).map(|number: u64| number.saturating_mul(by).min(most)).take_while_inclusive(most).collect(),
    };
    if weights.is_empty() {
        draft.lost("spec.analysis", "there are no steps in it; write weights or steps");
        return Vec::new();
    }
    let steps = weights.into_iter().filter(|weight| *weight < 100).map(|weight| step(weight, interval.into()));
    steps.chain([all]).collect()
}

/// Numbers up to the first that is the last of all.
trait TakeWhileInclusive: Iterator<Item = u64> + Sized {
    fn take_while_inclusive(self, last: u64) -> impl Iterator<Item = u64> {
        let mut is_over = false;
        self.take_while(move |number| {
            let takes = !is_over;
            is_over = *number >= last;
            takes
        })
    }
}

impl<I: Iterator<Item = u64>> TakeWhileInclusive for I {}

/// Flagger's cookie holds the version; here it holds an identity.
fn sticky(draft: &mut Draft, affinity: &Affinity) {
    let name = affinity.cookie_name.clone();
    let same_site = match affinity.same_site.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("strict") => Some(SameSite::Strict),
        Some("lax") => Some(SameSite::Lax),
        // Browsers drop such a cookie unless it is secure.
        Some("none") if affinity.secure => Some(SameSite::None),
        _ => None,
    };
    if affinity.same_site.is_some() && same_site.is_none() {
        draft.lost("sessionAffinity.sameSite", "is not one that browsers take here; `None` needs `secure`");
    }
    let cookie = IssueCookie {
        name: name.clone(),
        max_age: Some(affinity.max_age.unwrap_or(COOKIE_AGE)).filter(|age| *age > 0),
        path: affinity.path.clone(),
        domain: affinity.domain.clone(),
        same_site,
        secure: affinity.secure,
        http_only: affinity.http_only,
    };
    draft.spec.sticky =
        Some(Sticky { by: vec![KeySource::Cookie(name)], otherwise: Otherwise::IssueCookie(cookie), ..Sticky::default() });
    let tail = match affinity.primary_cookie_name {
        Some(_) => "; it works on both sides, so primaryCookieName is not needed",
        None => "; it works on both sides",
    };
    draft.changed("sessionAffinity", format!("the cookie holds an identity now, not the version{tail}"));
    draft.rest("sessionAffinity", &affinity.rest, &[]);
}
