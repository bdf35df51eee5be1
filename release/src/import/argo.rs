//! A Rollout of Argo with the canary strategy for Istio.

mod analysis;
mod steps;

use std::collections::BTreeMap;

use serde::Deserialize;
use serin_config::Weight;

use super::amounts;
use super::draft::Draft;
use super::istio::{self, VirtualService};
use super::objects::{Meta, Object, Rest, service};
use super::rules::Outcome;
use super::when::When;
use crate::api::v1alpha1::{Cleanup, Leftover, Workload};
use crate::lifecycle::steps::Step;
use crate::problem::Problem;
use analysis::{Analyses, Run};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rollout {
    #[serde(default)]
    strategy: Strategy,
    #[serde(default)]
    template: Template,
    workload_ref: Option<Reference>,
    #[serde(default)]
    paused: bool,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Strategy {
    canary: Option<Canary>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Canary {
    canary_service: Option<String>,
    stable_service: Option<String>,
    #[serde(default)]
    traffic_routing: Routing,
    #[serde(default)]
    steps: Vec<Rest>,
    analysis: Option<Run>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Routing {
    istio: Option<Istio>,
    max_traffic_weight: Option<u64>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Istio {
    virtual_service: Option<Reference>,
    #[serde(default)]
    virtual_services: Vec<Reference>,
    destination_rule: Option<Subsets>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Reference {
    #[serde(default)]
    name: String,
    #[serde(default)]
    routes: Vec<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Subsets {
    canary_subset_name: Option<String>,
    stable_subset_name: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Template {
    #[serde(default)]
    spec: Pod,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Pod {
    #[serde(default)]
    containers: Vec<Container>,
    #[serde(default)]
    init_containers: Vec<Container>,
}

#[derive(Debug, Default, Deserialize)]
struct Container {
    #[serde(default)]
    name: String,
    image: Option<String>,
}

/// A release of a Rollout.
pub(super) fn rollout(object: &Object<'_>, objects: &[Object<'_>]) -> Result<Draft, Problem> {
    let spec: Rollout = object.spec()?;
    let meta = &object.meta;
    let Some(canary) = &spec.strategy.canary else {
        let text = "only the strategy `canary` is imported; a blue-green release is `takeover`";
        return Ok(Draft::refused(meta, "spec.strategy", text));
    };
    let Some(istio) = &canary.traffic_routing.istio else {
        let text = "only Istio is imported: without it a Rollout counts pods, and other proxies do not run Serin";
        return Ok(Draft::refused(meta, "spec.strategy.canary.trafficRouting", text));
    };
    let subsets = istio.destination_rule.clone().unwrap_or_default();
    let named = |name: Option<String>, usual: &str| {
        name.filter(|name| serin_config::check_version_name(name).is_ok()).unwrap_or_else(|| usual.to_owned())
    };
    let (stable, version) = (named(subsets.stable_subset_name, "stable"), named(subsets.canary_subset_name, "canary"));
    let mut draft = Draft::new(meta, "", stable);
    draft.canary(&version);
    workload(&mut draft, meta, &spec);
    draft.spec.paused = spec.paused;
    let mut analyses = Analyses::new(objects, &meta.namespace);
    let whole = canary.traffic_routing.max_traffic_weight.unwrap_or(100);
    let mut steps = steps::steps(&mut draft, &canary.steps, (&version, whole), canary.analysis.as_ref(), &mut analyses);
    // Rules of its own stand above those of its VirtualService.
    if hosts(&mut draft, (meta, objects), canary, istio) && !steps.is_empty() {
        steps.insert(0, Step { weight: Some(Weight::NONE), approve: true, ..Step::default() });
    }
    draft.steps(steps);
    draft.spec.analysis = analyses.spec();
    leftovers(&mut draft, &spec, canary, istio);
    Ok(draft)
}

/// How long new pods may take.
const DEADLINE: &str = "progressDeadlineSeconds";
/// When pods of an aborted canary go.
const SCALE_DOWN: &str = "abortScaleDownDelaySeconds";

/// What runs: a Deployment for stable that has to be made, and a clone of it with the images of the Rollout.
fn workload(draft: &mut Draft, meta: &Meta, spec: &Rollout) {
    if let Some(reference) = &spec.workload_ref {
        draft.spec.stable.deployment = Some(reference.name.clone());
        draft.by_hand("spec.workloadRef", "label its pods `version`, and name the new version's images in workload.images");
        return;
    }
    draft.spec.stable.deployment = Some(meta.name.clone());
    draft.by_hand("spec.template", "a Rollout is no Deployment: make one of it for stable, with a label `version`");
    let containers = spec.template.spec.containers.iter().chain(&spec.template.spec.init_containers);
    let images: BTreeMap<String, String> =
        containers.filter_map(|container| Some((container.name.clone(), container.image.clone()?))).collect();
    if let Some(canary) = draft.spec.canaries.first_mut().filter(|_| !images.is_empty()) {
        let within = spec.rest.get(DEADLINE).and_then(amounts::seconds_of);
        let ready_within = within.and_then(|seconds| amounts::span(seconds.into()));
        canary.workload = Some(Workload { images, ready_within, ..Workload::default() });
        draft.carried("spec.template.spec.containers", "their images become workload.images");
    }
}

/// What a VirtualService says beside the Rollout's routes: rules to stable for routes that come before those. Whether the Rollout's
/// take only a part of the requests.
fn others(draft: &mut Draft, name: &str, spec: &VirtualService, is_managed: impl Fn(&Option<String>) -> bool) -> bool {
    let last = spec.http.iter().rposition(|route| is_managed(&route.name)).unwrap_or_default();
    let mut is_part = false;
    for (at, route) in spec.http.iter().enumerate() {
        let path = format!("VirtualService {name} spec.http[{at}]");
        for (number, destination) in route.route.iter().enumerate() {
            let path = format!("{path}.route[{number}]");
            draft.rest(&path, &destination.rest, &[]);
            draft.rest(&format!("{path}.destination"), &destination.destination.rest, &[("port", None)]);
        }
        if is_managed(&route.name) {
            if !route.matches.is_empty() && !route.matches.iter().any(istio::HttpMatch::takes_everything) {
                is_part = true;
                let text = "a release takes all requests of its Service, so nobody gets the canary before `serin approve`; add a rule to stable for the others";
                draft.lost(format!("{path}.match"), text);
            }
            continue;
        }
        draft.lost(&path, "is no route of the Rollout's; stable gets what it takes, or keep it with routing.mode: delegate");
        if at > last {
            continue;
        }
        for (number, matched) in route.matches.iter().enumerate() {
            let path = format!("{path}.match[{number}]");
            draft.rule(
                &path,
                format!("http-{}-match-{}", at + 1, number + 1),
                matched.when(&path, false),
                Outcome::Elsewhere,
            );
        }
        if route.matches.is_empty() {
            let mut when = When::default();
            when.lost(&path, "takes everything before the Rollout's route does");
            draft.rule(&path, "everything", when, Outcome::Elsewhere);
        }
    }
    is_part
}

/// Service, hosts, gateways and settings, by the VirtualServices of the file. Whether the Rollout's routes take only a part of the requests.
fn hosts(draft: &mut Draft, (meta, objects): (&Meta, &[Object<'_>]), canary: &Canary, istio: &Istio) -> bool {
    let mut is_part = false;
    let references: Vec<&Reference> = istio.virtual_service.iter().chain(&istio.virtual_services).collect();
    let own: Vec<&str> =
        [&canary.canary_service, &canary.stable_service].into_iter().flatten().map(String::as_str).collect();
    let is_split = own.len() == 2;
    for (at, reference) in references.iter().enumerate() {
        draft.owned.push(("VirtualService", reference.name.clone()));
        let found = objects.iter().find(|object| object.is("VirtualService", &meta.namespace, &reference.name));
        let Some(mut spec) = found.and_then(|object| object.spec::<VirtualService>().ok()) else {
            let text = "is not in the file; add it, so that hosts, gateways and settings of its routes come along";
            draft.by_hand(format!("VirtualService {}", reference.name), text);
            continue;
        };
        if at > 0 {
            draft.lost(
                format!("VirtualService {}", reference.name),
                "a release has one Service; write another release for this one",
            );
            continue;
        }
        let is_managed = |name: &Option<String>| {
            reference.routes.is_empty() || name.as_ref().is_some_and(|name| reference.routes.contains(name))
        };
        is_part |= others(draft, &reference.name, &spec, is_managed);
        spec.http.retain(|route| is_managed(&route.name));
        // In the mesh, a host without a dot is a Service.
        let in_mesh = spec.hosts.iter().map(|host| service(host, &meta.namespace)).find(|host| !host.contains('.'));
        let leads = spec.http.iter().flat_map(|route| &route.route).next();
        let leads = leads.map(|route| service(&route.destination.host, &meta.namespace)).filter(|_| !is_split);
        if let Some(host) = leads.or(in_mesh) {
            draft.spec.service = host;
        }
        let released = draft.spec.service.clone();
        istio::frame(draft, &spec, |host| host == released || own.contains(&host));
        draft.by_hand(format!("VirtualService {}", reference.name), "delete it, or keep it and use routing.mode: delegate");
    }
    if is_split {
        let text = "one Service over both versions is needed; the Rollout has one for each";
        draft.by_hand(own.join(", "), text);
    }
    if draft.spec.service.is_empty() {
        let usual = canary.stable_service.clone().or_else(|| references.first().map(|reference| reference.name.clone()));
        draft.spec.service = usual.unwrap_or_else(|| meta.name.clone());
        draft.by_hand("service", format!("`{}` is only probably the Service; write its name", draft.spec.service));
    }
    is_part
}

/// Fields that are not about who gets which version.
fn leftovers(draft: &mut Draft, spec: &Rollout, canary: &Canary, istio: &Istio) {
    let known = [
        ("replicas", None),
        ("selector", None),
        ("revisionHistoryLimit", None),
        ("minReadySeconds", None),
        ("rollbackWindow", None),
        ("restartAt", None),
        (DEADLINE, Some("Serin waits for ready pods as long as it takes").filter(|_| !draft.waits_for_pods())),
        ("progressDeadlineAbort", Some("Serin waits for ready pods as long as it takes")),
        ("analysis", Some("Serin keeps no objects of an analysis")),
    ];
    draft.rest("spec", &spec.rest, &known);
    draft.rest("spec.strategy", &spec.strategy.rest, &[]);
    if canary.rest.get(SCALE_DOWN).and_then(amounts::seconds_of).is_some_and(|seconds| seconds > 0) {
        draft.spec.cleanup = Some(Cleanup { after_rollback: Some(Leftover::ScaleDown), ..Cleanup::default() });
        draft.changed(format!("spec.strategy.canary.{SCALE_DOWN}"), "pods go as soon as nobody gets them any more");
    }
    let known = [
        ("maxSurge", None),
        ("maxUnavailable", None),
        (SCALE_DOWN, None),
        ("scaleDownDelaySeconds", None),
        ("scaleDownDelayRevisionLimit", None),
        ("minPodsPerReplicaSet", None),
        ("antiAffinity", Some("set it in workload.patch")),
        ("dynamicStableScale", Some("Serin never scales stable")),
        ("pingPong", Some("Serin needs one Service alone")),
        ("canaryMetadata", Some("set what differs in workload.patch")),
        ("stableMetadata", Some("set it in stable's Deployment")),
    ];
    draft.rest("spec.strategy.canary", &canary.rest, &known);
    draft.rest("spec.strategy.canary.trafficRouting", &canary.traffic_routing.rest, &[("managedRoutes", None)]);
    draft.rest("spec.strategy.canary.trafficRouting.istio", &istio.rest, &[]);
    if let Some(subsets) = &istio.destination_rule {
        draft.rest("spec.strategy.canary.trafficRouting.istio.destinationRule", &subsets.rest, &[("name", None)]);
    }
    let references = istio.virtual_service.iter().chain(&istio.virtual_services);
    let rest: Vec<Rest> = references.map(|reference| reference.rest.clone()).collect();
    for rest in rest {
        draft.rest("spec.strategy.canary.trafficRouting.istio.virtualService", &rest, &[]);
    }
    if canary.traffic_routing.max_traffic_weight.is_some() {
        draft.carried("spec.strategy.canary.trafficRouting.maxTrafficWeight", "weights are parts of it");
    }
}
