//! A Rollout of OpenKruise.

use serde::Deserialize;
use serde_json::Value;
use serin_config::Weight;

use super::amounts;
use super::draft::Draft;
use super::gateway::RouteMatch;
use super::objects::{Object, Rest};
use super::rules::Outcome;
use crate::lifecycle::steps::Step;
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rollout {
    workload_ref: Option<Reference>,
    /// As in `v1alpha1`.
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    strategy: Strategy,
    #[serde(default)]
    disabled: bool,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    workload_ref: Option<Reference>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Reference {
    kind: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Strategy {
    canary: Option<Canary>,
    #[serde(default)]
    paused: bool,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Canary {
    #[serde(default)]
    steps: Vec<CanaryStep>,
    #[serde(default)]
    traffic_routings: Vec<Routing>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CanaryStep {
    traffic: Option<Value>,
    /// As in `v1alpha1`.
    weight: Option<Value>,
    replicas: Option<Value>,
    pause: Option<Pause>,
    #[serde(default)]
    matches: Vec<RouteMatch>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Pause {
    duration: Option<Value>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Routing {
    #[serde(default)]
    service: String,
    #[serde(default)]
    custom_network_refs: Vec<Reference>,
    #[serde(flatten)]
    rest: Rest,
}

/// A release of a Rollout.
pub(super) fn rollout(object: &Object<'_>) -> Result<Draft, Problem> {
    let spec: Rollout = object.spec()?;
    let Some(canary) = &spec.strategy.canary else {
        return Ok(Draft::refused(
            &object.meta,
            "spec.strategy",
            "only the strategy `canary` is imported; a blue-green release is `takeover`",
        ));
    };
    let Some(routing) = canary.traffic_routings.first().filter(|routing| !routing.service.is_empty()) else {
        let text = "no Service is named, so it counts pods and splits no requests; nothing of it is a release";
        return Ok(Draft::refused(&object.meta, "spec.strategy.canary.trafficRoutings", text));
    };
    let mut draft = Draft::new(&object.meta, routing.service.clone(), "stable");
    if let Some(reference) = &spec.object_ref {
        draft.rest("spec.objectRef", &reference.rest, &[("type", None)]);
    }
    let older = spec.object_ref.and_then(|reference| reference.workload_ref);
    match spec.workload_ref.or(older) {
        Some(workload) if workload.kind.as_deref().is_none_or(|kind| kind == "Deployment") => {
            draft.rest("spec.workloadRef", &workload.rest, &[("apiVersion", None)]);
            draft.spec.stable.deployment = Some(workload.name);
        }
        _ => draft.lost("spec.workloadRef", "only a Deployment is imported"),
    }
    draft.by_hand("spec.workloadRef", "label pods `version: stable` and `version: canary`, in a Deployment each");
    draft.canary("canary");
    draft.spec.paused = spec.disabled || spec.strategy.paused;
    steps(&mut draft, canary);
    for (at, routing) in canary.traffic_routings.iter().enumerate() {
        let path = format!("spec.strategy.canary.trafficRoutings[{at}]");
        if at > 0 {
            draft.lost(&path, "a release has one Service; write another release for this one");
            continue;
        }
        for reference in &routing.custom_network_refs {
            draft.rest(&format!("{path}.customNetworkRefs"), &reference.rest, &[("apiVersion", None)]);
            let kind = reference.kind.as_deref().unwrap_or("VirtualService");
            if kind == "VirtualService" {
                draft.owned.push(("VirtualService", reference.name.clone()));
            }
            draft.by_hand(
                format!("{kind} {}", reference.name),
                "delete it, or keep a VirtualService and use routing.mode: delegate",
            );
        }
        let own = Some("is not Istio's; write routing.gateways and routing.hosts");
        draft.rest(&path, &routing.rest, &[("gracePeriodSeconds", None), ("ingress", own), ("gateway", own)]);
    }
    let path = "spec.strategy.canary";
    draft.rest(path, &canary.rest, &[("enableExtraWorkloadForCanary", None), ("disableGenerateCanaryService", None)]);
    draft.rest("spec.strategy", &spec.strategy.rest, &[]);
    draft.rest("spec", &spec.rest, &[]);
    Ok(draft)
}

/// A step without a duration waits for a person, and one without a weight gives what the step before gave.
fn steps(draft: &mut Draft, canary: &Canary) {
    let (mut steps, mut last) = (Vec::new(), Weight::NONE);
    for (at, step) in canary.steps.iter().enumerate() {
        let path = format!("steps[{at}]");
        let weight = step.traffic.as_ref().or(step.weight.as_ref());
        let own = weight.and_then(amounts::percent_of);
        if weight.is_some() && own.is_none() {
            draft.lost(format!("{path}.traffic"), "is not a percentage; the step gives what the one before gave");
        }
        last = own.unwrap_or(last);
        for (number, matched) in step.matches.iter().enumerate() {
            let at_match = format!("{path}.matches[{number}]");
            let when = matched.when(&at_match);
            let name = format!("step-{}-match-{}", at + 1, number + 1);
            draft.rule(at_match, name, when, Outcome::Version("canary".to_owned()));
        }
        if !step.matches.is_empty() {
            draft.changed(
                format!("{path}.matches"),
                "the rules hold for the whole release; in Kruise they end with their step",
            );
        }
        if let Some(pause) = &step.pause {
            draft.rest(&format!("{path}.pause"), &pause.rest, &[]);
        }
        let duration = step.pause.as_ref().and_then(|pause| pause.duration.as_ref());
        let seconds = duration.and_then(amounts::seconds_of);
        let hold = seconds.and_then(|seconds| amounts::span(seconds.into()));
        steps.push(Step { weight: Some(last), hold, approve: seconds.is_none(), ..Step::default() });
        if step.replicas.is_some() {
            draft.lost(format!("{path}.replicas"), "set workload.replicas; `share` follows the weight");
        }
        draft.rest(&path, &step.rest, &[]);
    }
    if !steps.is_empty() && last != Weight::ALL {
        steps.push(Step { weight: Some(Weight::ALL), ..Step::default() });
    }
    draft.steps(steps);
}
