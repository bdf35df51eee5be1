//! A release under construction, and the report that grows with it.

use serde_json::{Map, Value};
use serin_config::{BUCKETS, Weight};

use super::amounts;
use super::objects::{Meta, Rest};
use super::report::{Kind, Line};
use super::rules::{self, Entry, Outcome};
use super::when::When;
use crate::api::API_VERSION;
use crate::api::v1alpha1::{Canary, CanaryRelease, Metadata, Routing, Spec, Stable};
use crate::lifecycle::steps::{Check, Step};
use crate::limits;
use crate::route::ROUTE_SETTINGS;

/// A release under construction.
#[derive(Debug)]
pub(super) struct Draft {
    metadata: Metadata,
    pub(super) spec: Spec,
    pub(super) report: Vec<Line>,
    rules: Vec<Entry>,
    /// Objects of its namespace that the tool writes, by kind and name: they are no source of their own.
    pub(super) owned: Vec<(&'static str, String)>,
    is_refused: bool,
}

/// A finished release, unless there can be none, and what is said of its source.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) release: Option<CanaryRelease>,
    pub(super) report: Vec<Line>,
    pub(super) owned: Vec<(&'static str, String)>,
}

impl Draft {
    /// A release of this name without canaries.
    pub(super) fn new(meta: &Meta, service: impl Into<String>, stable: impl Into<String>) -> Self {
        let spec = Spec {
            service: service.into(),
            ports: Vec::new(),
            stable: Stable { version: stable.into(), deployment: None },
            canaries: Vec::new(),
            sticky: None,
            rules: Vec::new(),
            takeover: None,
            paused: false,
            cleanup: None,
            steps: Vec::new(),
            schedule: None,
            notify: Vec::new(),
            analysis: None,
            routing: None,
        };
        let metadata = Metadata { name: meta.name.clone(), namespace: meta.namespace.clone() };
        Self { metadata, spec, report: Vec::new(), rules: Vec::new(), owned: Vec::new(), is_refused: false }
    }

    /// No release: the source asks for something that Serin does not do.
    pub(super) fn refused(meta: &Meta, path: &str, text: &str) -> Self {
        let mut draft = Self::new(meta, "", "");
        draft.refuse(path, text);
        draft
    }

    /// Lets no release come of it.
    pub(super) fn refuse(&mut self, path: &str, text: &str) {
        self.is_refused = true;
        self.lost(path, text);
    }

    pub(super) fn carried(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.report.push(Line::new(Kind::Carried, path, text));
    }

    pub(super) fn changed(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.report.push(Line::new(Kind::Changed, path, text));
    }

    pub(super) fn lost(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.report.push(Line::new(Kind::Lost, path, text));
    }

    pub(super) fn by_hand(&mut self, path: impl Into<String>, text: impl Into<String>) {
        self.report.push(Line::new(Kind::ByHand, path, text));
    }

    /// Reports fields that are not known; `known` has a text for some of them, and `None` says that there is nothing to do.
    pub(super) fn rest(&mut self, path: &str, rest: &Rest, known: &[(&str, Option<&str>)]) {
        for (name, value) in rest {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match known.iter().find(|(known, _)| known == name) {
                Some((_, None)) => self.carried(path, "nothing to do"),
                Some((_, Some(text))) => self.lost(path, *text),
                None if *value == Value::Null => {}
                None => self.lost(path, "has no counterpart in Serin"),
            }
        }
    }

    /// Whether a canary's pods have a time in which they become ready.
    pub(super) fn waits_for_pods(&self) -> bool {
        let within = |canary: &Canary| canary.workload.as_ref()?.ready_within;
        self.spec.canaries.iter().any(|canary| within(canary).is_some())
    }

    /// The namespace of the release.
    pub(super) fn namespace(&self) -> &str {
        &self.metadata.namespace
    }

    /// Names the release differently from its source.
    pub(super) fn rename(&mut self, name: impl Into<String>) {
        self.metadata.name = name.into();
    }

    /// Adds a canary that gets nobody, if there is none of this version.
    pub(super) fn canary(&mut self, version: &str) {
        let is_there =
            self.spec.stable.version == version || self.spec.canaries.iter().any(|canary| canary.version == version);
        if !is_there {
            let version = version.to_owned();
            self.spec.canaries.push(Canary { version, weight: Weight::NONE, min_ready: None, workload: None });
        }
    }

    /// Sets the weight of a canary.
    pub(super) fn weight(&mut self, version: &str, weight: Weight) {
        if let Some(canary) = self.spec.canaries.iter_mut().find(|canary| canary.version == version) {
            canary.weight = weight;
        }
    }

    /// Gives nobody a canary, by weights, rules or a takeover.
    pub(super) fn nobody(&mut self) {
        self.rules.clear();
        self.spec.takeover = None;
        self.spec.canaries.iter_mut().for_each(|canary| canary.weight = Weight::NONE);
    }

    /// Adds a rule.
    pub(super) fn rule(&mut self, path: impl Into<String>, name: impl Into<String>, when: When, outcome: Outcome) {
        self.rules.push(Entry { path: path.into(), name: name.into(), when, outcome });
    }

    /// Sets the steps of the only canary, whose weight is everything in the end.
    pub(super) fn steps(&mut self, steps: Vec<Step>) {
        if let Some(canary) = self.spec.canaries.first_mut().filter(|_| !steps.is_empty()) {
            canary.weight = Weight::ALL;
            self.carried("steps", format!("become {} steps", steps.len()));
        }
        self.spec.steps = steps;
    }

    /// Lets the release apply at gateways too. Hosts and gateways need each other.
    pub(super) fn gateways(&mut self, path: &str, gateways: Vec<String>, hosts: Vec<String>) {
        let gateways: Vec<String> = gateways.into_iter().filter(|gateway| gateway != "mesh").collect();
        let mut plain: Vec<String> = Vec::new();
        for host in hosts.into_iter().map(|host| host.to_ascii_lowercase()) {
            if host.contains('*') {
                self.by_hand(path, format!("list the hosts that `{host}` stands for, one by one, in routing.hosts"));
            } else if !plain.contains(&host) {
                plain.push(host);
            }
        }
        if gateways.is_empty() || plain.is_empty() {
            if !gateways.is_empty() {
                self.by_hand(
                    path,
                    format!("write routing.gateways ({}) with the hosts that they serve", gateways.join(", ")),
                );
            } else if !plain.is_empty() {
                self.by_hand(path, format!("write routing.hosts ({}) with the gateways that serve them", plain.join(", ")));
            }
            return;
        }
        self.carried(path, "becomes routing.gateways and routing.hosts");
        let routing = self.spec.routing.get_or_insert_with(Routing::default);
        (routing.gateways, routing.hosts) = (gateways, plain);
    }

    /// Carries settings of routes over where all routes have the same.
    pub(super) fn settings(&mut self, routes: &[(String, &Rest)]) {
        let mut kept = Map::new();
        for (path, settings) in routes {
            for (name, value) in *settings {
                let everywhere = routes.iter().all(|(_, other)| other.get(name) == Some(value));
                match (ROUTE_SETTINGS.contains(&name.as_str()), everywhere) {
                    (true, true) => {
                        if kept.insert(name.clone(), value.clone()).is_none() {
                            self.carried(format!("{path}.{name}"), format!("becomes routing.http.{name}"));
                        }
                    }
                    (true, false) => {
                        self.lost(format!("{path}.{name}"), "a release has the same settings for all of its routes")
                    }
                    (false, _) => self.lost(
                        format!("{path}.{name}"),
                        "stays in a VirtualService of your own, with routing.mode: delegate",
                    ),
                }
            }
        }
        if !kept.is_empty() {
            self.spec.routing.get_or_insert_with(Routing::default).http = Some(Value::Object(kept));
        }
    }

    fn release(&self, spec: Spec) -> CanaryRelease {
        CanaryRelease {
            api_version: API_VERSION.to_owned(),
            kind: "CanaryRelease".to_owned(),
            metadata: self.metadata.clone(),
            domain: crate::domain::ClusterDomain::default(),
            word: None,
            banned: std::collections::BTreeSet::new(),
            spec,
            status: None,
        }
    }

    /// The release, if it is valid.
    pub(super) fn finish(mut self) -> Finished {
        if self.is_refused {
            return Finished { release: None, report: self.report, owned: self.owned };
        }
        if self.spec.paused && !self.spec.steps.is_empty() {
            // What is paused from the start begins with these weights, not with a step.
            self.spec.canaries.iter_mut().for_each(|canary| canary.weight = Weight::NONE);
        }
        self.resolve();
        self.grow();
        self.fold();
        if self.spec.analysis.is_none() {
            self.spec.steps.iter_mut().for_each(|step| step.analysis = None);
        }
        let release = self.release(self.spec.clone());
        let cause = rules::refused(&release);
        if let Some(cause) = &cause {
            self.lost("spec", format!("no release comes of it: {cause}"));
        }
        Finished { release: Some(release).filter(|_| cause.is_none()), report: self.report, owned: self.owned }
    }

    /// Takes the rules that the release can have, and weights that give nobody more of a canary than a lost rule did.
    fn resolve(&mut self) {
        let mut bare = self.spec.clone();
        bare.canaries.iter_mut().for_each(|canary| canary.weight = Weight::NONE);
        (bare.steps, bare.analysis) = (Vec::new(), None);
        let resolved = rules::resolve(std::mem::take(&mut self.rules), &self.release(bare));
        self.spec.rules = resolved.rules;
        self.report.extend(resolved.report);
        let Some((most, path)) = resolved.cap else { return };
        let sum: u32 = self.spec.canaries.iter().map(|canary| canary.weight.buckets()).sum();
        if sum > most {
            self.spec.canaries.iter_mut().for_each(|canary| canary.weight = Weight::NONE);
            self.spec.steps.clear();
            let text = "the weights are left out too: this rule kept some requests from the canary; say who they are, then write weights";
            self.lost(path, text);
        }
    }

    /// No step takes anything away, so an earlier one gives at most what a later one does.
    fn grow(&mut self) {
        let (mut least, mut shrinks) = (BUCKETS, false);
        for step in self.spec.steps.iter_mut().rev() {
            let own = step.weight.map_or(0, Weight::buckets);
            shrinks |= own > least;
            least = own.min(least);
            step.weight = Weight::from_buckets(least);
        }
        if shrinks {
            self.changed("steps", "a step never takes anything away, so earlier steps give at most what later ones do");
        }
    }

    /// Joins neighbours where there are more steps than a release may have: the smaller weight for the time of both.
    fn fold(&mut self) {
        let most = limits::most_items("steps");
        let before = self.spec.steps.len();
        while self.spec.steps.len() > most {
            let steps = std::mem::take(&mut self.spec.steps);
            let mut steps = steps.into_iter();
            let last = steps.next_back();
            while let Some(first) = steps.next() {
                let step = match steps.next() {
                    Some(second) => joined(&first, &second),
                    None => first,
                };
                self.spec.steps.push(step);
            }
            self.spec.steps.extend(last);
        }
        if before > most {
            self.changed(
                "steps",
                format!(
                    "a release has at most {most} steps: neighbours are one, with the smaller weight and the time of both"
                ),
            );
        }
    }
}

/// Two steps as one that gives no more and takes no less time.
fn joined(first: &Step, second: &Step) -> Step {
    let seconds = u64::from(first.hold_seconds()) + u64::from(second.hold_seconds());
    // What asks for less comes first.
    let rank = |check: Option<Check>| match check {
        Some(Check::Off) => 0,
        Some(Check::Watch) => 1,
        Some(Check::Pass) => 2,
        None => 3,
    };
    let analysis = if rank(first.analysis) >= rank(second.analysis) { first.analysis } else { second.analysis };
    Step { hold: amounts::span(seconds), approve: first.approve || second.approve, analysis, ..first.clone() }
}
