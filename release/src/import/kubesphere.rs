//! A Strategy of KubeSphere's grayscale releases.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::draft::Draft;
use super::istio::{self, Names, VirtualService};
use super::objects::{Object, Rest};
use super::routes;
use crate::api::v1alpha1::Routing;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Strategy {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    principal: String,
    #[serde(default)]
    governor: String,
    #[serde(default)]
    protocol: String,
    #[serde(default)]
    strategy_policy: String,
    #[serde(default)]
    selector: Selector,
    #[serde(default)]
    template: Template,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Selector {
    #[serde(default)]
    match_labels: BTreeMap<String, String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Template {
    #[serde(default)]
    spec: VirtualService,
    #[serde(default)]
    metadata: Option<serde_json::Value>,
    #[serde(flatten)]
    rest: Rest,
}

/// Most Strategies have one route of interest, so that its number says nothing.
const NAMES: Names = Names {
    path: |at| format!("spec.template.spec.http[{at}]"),
    at: |at, number| match at {
        0 => format!("match[{number}]"),
        _ => format!("http[{at}].match[{number}]"),
    },
    rule: |_, _, among| format!("content-{among}"),
};

/// A release of a Strategy.
pub(super) fn strategy(object: &Object<'_>) -> Result<Draft, Problem> {
    let spec: Strategy = object.spec()?;
    if !matches!(spec.protocol.as_str(), "" | "http" | "http2" | "grpc") {
        return Ok(Draft::refused(&object.meta, "spec.protocol", "Serin decides HTTP requests, and this is not HTTP"));
    }
    let named = object.meta.labels.get("app").or_else(|| spec.selector.match_labels.get("app"));
    let Some(service) = named.or_else(|| spec.template.spec.hosts.first()) else {
        return Ok(Draft::refused(&object.meta, "metadata.labels.app", "nothing names the Service; add the label `app`"));
    };
    if spec.principal.is_empty() {
        return Ok(Draft::refused(&object.meta, "spec.principal", "nothing names stable's version; write it"));
    }
    let mut draft = Draft::new(&object.meta, service.clone(), spec.principal.clone());
    draft.owned.push(("VirtualService", service.clone()));
    draft.carried("spec.principal", "becomes stable.version");
    match spec.kind.as_str() {
        "" | "Canary" => canary(&mut draft, &spec),
        "BlueGreen" => blue_green(&mut draft, &spec),
        "Mirror" => mirror(&mut draft, &spec),
        other => draft.refuse("spec.type", &format!("`{other}` is not known; Serin imports Canary, BlueGreen and Mirror")),
    }
    policy(&mut draft, &spec);
    if !spec.governor.is_empty() {
        draft.canary(&spec.governor);
        draft.spec.takeover = Some(spec.governor.clone());
        draft.carried("spec.governor", "becomes takeover");
    }
    Ok(draft)
}

fn filled(draft: &mut Draft, spec: &Strategy) {
    let found = istio::routes(draft, &spec.template.spec.http, &NAMES, Some(&spec.principal), |_, _, place| {
        Some(place.subset.clone().unwrap_or_else(|| spec.principal.clone()))
    });
    routes::fill(draft, found, Some(&spec.principal));
}

fn canary(draft: &mut Draft, spec: &Strategy) {
    filled(draft, spec);
    let sum: u32 = draft.spec.canaries.iter().map(|canary| canary.weight.buckets()).sum();
    if let Some(weight) = serin_config::Weight::from_buckets(sum).filter(|_| sum > 0) {
        let percent = weight.to_string();
        let percent = percent.trim_end_matches('%');
        let text = format!("{percent} % of requests at random; add `sticky` for {percent} % of people");
        draft.changed("spec.template.spec.http", text);
    }
    settings(draft, &spec.template.spec);
}

/// One version has everything, which is a takeover.
fn blue_green(draft: &mut Draft, spec: &Strategy) {
    filled(draft, spec);
    let all = draft.spec.canaries.iter().find(|canary| canary.weight == serin_config::Weight::ALL);
    if let Some(version) = all.map(|canary| canary.version.clone()) {
        draft.changed(
            "spec.template.spec.http",
            format!("`{version}` has everything: it is takeover, and its weight is 0 %"),
        );
        draft.spec.takeover = Some(version);
    }
    draft.spec.canaries.iter_mut().for_each(|canary| canary.weight = serin_config::Weight::NONE);
    settings(draft, &spec.template.spec);
}

/// A mirror is a setting of a route, and its version gets no answers' requests.
fn mirror(draft: &mut Draft, spec: &Strategy) {
    let http = &spec.template.spec.http;
    match http.as_slice() {
        [only] if only.matches.is_empty() => {
            filled(draft, spec);
            settings(draft, &spec.template.spec);
            if draft.spec.routing.as_ref().is_some_and(|routing: &Routing| routing.http.is_some()) {
                let text = "is routing.http.mirror; keep the DestinationRule that has its subset";
                draft.changed("spec.template.spec.http[0].mirror", text);
            }
        }
        _ => {
            draft.lost("spec.template.spec.http", "a release mirrors requests of all routes alike; use routing.http.mirrors")
        }
    }
}

fn settings(draft: &mut Draft, spec: &VirtualService) {
    let settings: Vec<(String, Rest)> = (spec.http.iter().enumerate())
        .map(|(at, route)| (format!("spec.template.spec.http[{at}]"), route.settings()))
        .collect();
    let settings: Vec<(String, &Rest)> = settings.iter().map(|(path, rest)| (path.clone(), rest)).collect();
    draft.settings(&settings);
}

/// What the rest of a Strategy says.
fn policy(draft: &mut Draft, spec: &Strategy) {
    match spec.strategy_policy.as_str() {
        "" | "WaitForWorkloadReady" => draft.carried("spec.strategyPolicy", "Serin waits for ready pods"),
        "Paused" => {
            draft.nobody();
            draft.spec.paused = true;
            let text =
                "dropped the split, so nobody gets the canary; `paused` keeps it so: write weights and rules when you go on";
            draft.changed("spec.strategyPolicy", text);
        }
        "Immediately" => draft.lost("spec.strategyPolicy", "Serin always waits for ready pods"),
        other => draft.lost("spec.strategyPolicy", format!("`{other}` is not known; Serin waits for ready pods")),
    }
    draft.rest("spec", &spec.rest, &[]);
    draft.rest("spec.selector", &spec.selector.rest, &[]);
    draft.rest("spec.template", &spec.template.rest, &[]);
    if spec.template.metadata.is_some() {
        draft.carried("spec.template.metadata", "nothing to do");
    }
    let template = &spec.template.spec;
    draft.rest("spec.template.spec", &template.rest, &[]);
    let namespace = draft.namespace().to_owned();
    let own = draft.spec.service.clone();
    let hosts = template.hosts.iter().filter(|host| super::objects::service(host, &namespace) != own);
    draft.gateways("spec.template.spec.hosts", template.gateways.clone(), hosts.cloned().collect());
}
