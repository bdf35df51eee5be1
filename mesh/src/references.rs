//! Step 1, dereference: what a release names and what concerns it, from the copy of the cluster. Reads only; no client required.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::{Canary, CanaryRelease, Workload};

use crate::deployments::{selected, stable_deployment};
use crate::home::{Home, Site};
use crate::hosts::Hosts;
use crate::key::SERVICE_NAME;
use crate::names::{RELEASE_LABEL, VERSION_LABEL, clone_name};
use crate::reader::Reader;
use crate::resource::Resource;
use crate::service::{Service, count};
use crate::word::Word;
use crate::{Kind, Object};

/// All that a release's fate depends on, beside its own text.
#[derive(Debug)]
pub struct References {
    /// The Service; `None` where the host is another one's or missing.
    pub service: Option<Service>,
    /// The number of ready endpoints by version.
    pub ready: BTreeMap<String, u32>,
    /// The number of ready endpoints whose pods do not say their version.
    pub unlabelled: u32,
    /// Deployments that concern it, by name: clones of its own, those whose pods are selected, and those that it names.
    pub deployments: BTreeMap<String, Object>,
    /// Autoscalers that concern it, by name: clones of its own, and those of stable's Deployment where a canary's is a clone of it.
    pub autoscalers: BTreeMap<String, Object>,
    /// The release that stands in the way at one of the hosts.
    pub rival: Option<ReleaseId>,
    /// What a person says of it.
    pub word: Word,
    /// What its namespace, else that of the controller, says of a freeze: the annotation `serin.dev/freeze`.
    pub freeze: Option<String>,
    /// What the home has of it.
    pub site: Box<dyn Site>,
}

impl References {
    /// Whether stable has no ready endpoint while endpoints of versions that are not listed, or without one, are ready: a label was
    /// changed under a running release.
    #[must_use]
    pub fn is_stranded(&self, stable: &str, listed: &BTreeSet<String>) -> bool {
        let has = |version: &str| self.ready.get(version).is_some_and(|ready| *ready > 0);
        let others = self.ready.keys().any(|version| !listed.contains(version) && has(version));
        !has(stable) && (others || self.unlabelled > 0)
    }
}

/// Gathers what concerns a release. `controller` is the controller's own namespace.
#[must_use]
pub fn dereference(release: &Resource, reader: &Reader<'_>, home: &dyn Home, hosts: &Hosts, controller: &str) -> References {
    let namespace = release.id.namespace.as_str();
    let parsed = release.parsed.as_ref().ok();
    let host = parsed.map(CanaryRelease::host);
    let name = parsed.zip(host.as_deref()).and_then(|(parsed, host)| parsed.domain.service_of(host, namespace));
    let object = name.and_then(|name| reader.get(Kind::Service, namespace, name));
    let service = object.map(|object| Service::read(object));
    let site = home.observe(release, object, reader);
    let pods = object.map(|service| ready_pods(reader, namespace, &service.metadata.name));
    let (mut ready, unlabelled) = pods.unwrap_or_default();
    for (version, count) in site.endpoints() {
        *ready.entry(version).or_default() += count;
    }
    let selector = service.as_ref().map_or_else(|| site.selector(), |service| service.selector.clone());
    let deployments = deployments(release, parsed, &selector, reader);
    let autoscalers = autoscalers(release, parsed, &selector, &deployments, reader);
    let word = Word::read(reader.get(Kind::CanaryControl, namespace, &release.id.name));
    let freeze = [namespace, controller].iter().find_map(|namespace| freeze(reader, namespace));
    References {
        ready,
        unlabelled,
        deployments,
        autoscalers,
        rival: rival(release, reader, hosts),
        word,
        freeze,
        service,
        site,
    }
}

/// The annotation of a namespace that keeps its releases from growing.
const FREEZE: &str = "serin.dev/freeze";

fn freeze(reader: &Reader<'_>, namespace: &str) -> Option<String> {
    reader.get(Kind::Namespace, "", namespace)?.metadata.annotations.get(FREEZE).cloned()
}

/// The release that stands in the way at one of the hosts.
fn rival(release: &Resource, reader: &Reader<'_>, hosts: &Hosts) -> Option<ReleaseId> {
    release
        .claims()
        .iter()
        .find_map(|host| hosts.rival(&release.id, host, reader.claimants(host).map(|claimant| &**claimant)))
}

/// The Deployments that concern a release.
fn deployments(
    release: &Resource,
    parsed: Option<&CanaryRelease>,
    selector: &BTreeMap<String, String>,
    reader: &Reader<'_>,
) -> BTreeMap<String, Object> {
    let namespace = release.id.namespace.as_str();
    let clones = reader.labelled(Kind::Deployment, namespace, RELEASE_LABEL, &release.id.name);
    // One label of the selector finds a few; whether all fit is looked at.
    let labelled = selector.iter().next().map(|(label, value)| reader.labelled(Kind::Deployment, namespace, label, value));
    let of_selector = labelled.into_iter().flatten().filter(|deployment| selected(deployment, selector));
    let named = parsed.and_then(|release| release.spec.stable.deployment.as_deref());
    let named = named.and_then(|name| reader.get(Kind::Deployment, namespace, name));
    let by_name = |deployment: &Object| (deployment.metadata.name.clone(), deployment.clone());
    let mut found: BTreeMap<String, Object> = clones.chain(of_selector).chain(named).map(by_name).collect();
    if let Some(release) = parsed.filter(|release| release.spec.canaries.iter().any(|canary| canary.workload.is_some())) {
        let stable = &release.spec.stable.version;
        if let Ok(deployment) = stable_deployment(release, selector, &found).cloned() {
            let names = release.spec.canaries.iter().map(|canary| clone_name(&deployment, stable, &canary.version));
            let taken: Vec<&Object> = names.filter_map(|name| reader.get(Kind::Deployment, namespace, &name)).collect();
            found.extend(taken.into_iter().map(by_name));
        }
    }
    found
}

/// The autoscalers that concern a release.
fn autoscalers(
    release: &Resource,
    parsed: Option<&CanaryRelease>,
    selector: &BTreeMap<String, String>,
    deployments: &BTreeMap<String, Object>,
    reader: &Reader<'_>,
) -> BTreeMap<String, Object> {
    let (kind, namespace) = (Kind::HorizontalPodAutoscaler, release.id.namespace.as_str());
    let by_name = |autoscaler: &Object| (autoscaler.metadata.name.clone(), autoscaler.clone());
    let mut found: BTreeMap<String, Object> =
        reader.labelled(kind, namespace, RELEASE_LABEL, &release.id.name).map(by_name).collect();
    let copies = |canary: &&Canary| canary.workload.as_ref().is_some_and(Workload::copies_autoscaler);
    let Some(release) = parsed.filter(|release| release.spec.canaries.iter().any(|canary| copies(&canary))) else {
        return found;
    };
    let Ok(stable) = stable_deployment(release, selector, deployments) else { return found };
    found.extend(reader.pointing_at(kind, Kind::Deployment, stable.name()).map(by_name));
    let names = release.spec.canaries.iter().filter(copies);
    let names = names.map(|canary| clone_name(stable, &release.spec.stable.version, &canary.version));
    let taken: Vec<&Object> = names.filter_map(|name| reader.get(kind, namespace, &name)).collect();
    found.extend(taken.into_iter().map(by_name));
    found
}

/// The ready endpoints of a Service by the versions that their pods say, and those whose pods say none.
fn ready_pods(reader: &Reader<'_>, namespace: &str, service: &str) -> (BTreeMap<String, u32>, u32) {
    let (mut ready, mut unlabelled) = (BTreeMap::new(), 0);
    let mut seen = BTreeSet::new();
    let slices = reader.labelled(Kind::EndpointSlice, namespace, SERVICE_NAME, service);
    for endpoint in slices.flat_map(|slice| slice.list("/endpoints")) {
        // Absent means unknown, which is to be taken for ready.
        let is_ready = endpoint.pointer("/conditions/ready").and_then(Value::as_bool).unwrap_or(true);
        let Some(pod) = endpoint.pointer("/targetRef/name").and_then(Value::as_str).filter(|_| is_ready) else { continue };
        // A pod with addresses of both families is in two slices.
        if seen.insert(pod) {
            match reader.get(Kind::Pod, namespace, pod).and_then(|pod| pod.label(VERSION_LABEL)) {
                Some(version) => count(&mut ready, Some(version), 1),
                None => unlabelled += 1,
            }
        }
    }
    (ready, unlabelled)
}
