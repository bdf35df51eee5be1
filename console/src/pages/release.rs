//! The page of one release.

mod pictures;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serin_config::{BUCKETS, Weight};
use serin_release::api::v1alpha1::{Phase, Status};
use serin_release::lifecycle::control::HoldKind;
use serin_release::lifecycle::run::RunState;

use super::list::{age, needs_attention};
use crate::figures::{Figures, ReleaseFigures, Served};
use crate::frame::May;
use crate::number;
use crate::shown;
use crate::snapshot::{Endpoint, Subject};
use crate::verdict::{Thresholds, compare_success, health, share as share_verdict};
use pictures::{Chart, bar, charts, sparkline};

/// A release.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Release {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its service, as its owner wrote it.
    pub service: String,
    /// Hosts and ports that it routes.
    pub hosts: Vec<String>,
    /// Its phase.
    pub phase: String,
    /// Why, or what comes next.
    pub why: String,
    /// Whether a person should look at it.
    pub attention: bool,
    /// What a person said that acts; empty where nobody did.
    pub said: String,
    /// Its versions, stable first.
    pub versions: Vec<Version>,
    /// Requests a second and success of the last half hour, as pictures; without any where nothing was counted.
    #[serde(skip)]
    pub charts: Vec<Chart>,
    /// Decisions by version and reason.
    pub reasons: Vec<Reason>,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// Its steps.
    pub steps: Vec<Step>,
    /// What analysis thinks of its canaries.
    pub metrics: Vec<Metric>,
    /// Its conditions.
    pub conditions: Vec<Condition>,
    /// What happened, newest first.
    pub events: Vec<Event>,
    /// How old the figures are and where they come from, or why there are none.
    pub figures: String,
    /// When they were read last (RFC 3339); `None` before the first time.
    pub at: Option<Timestamp>,
    /// Whether they are too old to be believed.
    pub stale: bool,
    /// What may be done.
    pub may: May,
    /// What is to be offered.
    pub offers: Offers,
}

/// A version. A figure that nobody has is empty.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Version {
    /// Its name.
    pub version: String,
    /// `stable` or `canary`.
    pub role: &'static str,
    /// The share that it shall have of the requests that no rule takes.
    pub intended: String,
    /// The part that it got of what was decided by weight.
    pub decided: String,
    /// What is thought of that part, beside the one that it shall have.
    pub verdict: String,
    /// The interval of its share among the people that were seen, with 95 %.
    pub interval: String,
    /// The same as a picture.
    #[serde(skip)]
    pub bar: String,
    /// Decisions for it, by any reason.
    pub decisions: String,
    /// Requests that its own upstreams served.
    pub served: String,
    /// Requests that were decided for it and answered by another version, since none of its own upstreams could.
    pub fallback: String,
    /// Such as `2 of 2`.
    pub ready: String,
    /// Requests a second.
    pub rate: String,
    /// The part that did not fail.
    pub success: String,
    /// Its success beside stable's; empty for stable.
    pub beside: String,
    /// Its health, in a word and why.
    pub health: String,
    /// The class of its health.
    pub class: &'static str,
    /// Times under which 50, 90 and 99 % of requests stayed.
    pub latency: Vec<String>,
    /// Requests a second in the last half hour, as a picture.
    #[serde(skip)]
    pub sparkline: String,
    /// What answers for it.
    pub endpoints: Vec<String>,
}

/// Decisions for a version by a reason.
#[derive(Clone, Debug, Serialize)]
pub struct Reason {
    /// The version.
    pub version: String,
    /// The reason.
    pub reason: String,
    /// How many, in the window.
    pub count: u64,
    /// The part of all decisions.
    pub part: String,
}

/// A rule.
#[derive(Clone, Debug, Serialize)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What requests have to be like, as YAML in one line.
    pub when: String,
    /// The version, or the split, that they get.
    pub then: String,
}

/// A step.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// From 1.
    pub number: usize,
    /// Its name and weights.
    pub text: String,
    /// `done`, `now` or `later`.
    pub state: &'static str,
}

/// What analysis thinks of a canary in one metric.
#[derive(Clone, Debug, Serialize)]
pub struct Metric {
    /// The metric.
    pub name: String,
    /// The canary.
    pub version: String,
    /// `Good`, `Undecided`, `NoData` or `Failing`.
    pub verdict: String,
    /// Why.
    pub because: String,
}

/// A condition in words.
#[derive(Clone, Debug, Serialize)]
pub struct Condition {
    /// Its type.
    pub kind: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// The reason in one word.
    pub reason: String,
    /// The reason for people.
    pub message: String,
}

/// Something that happened.
#[derive(Clone, Debug, Serialize)]
pub struct Event {
    /// When (RFC 3339).
    pub at: String,
    /// The same for people.
    pub ago: String,
    /// What.
    pub what: String,
    /// Weights before and after.
    pub moved: String,
    /// Who.
    pub by: String,
    /// Why.
    pub because: String,
}

/// What is to be offered: what makes sense now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Offers {
    /// Versions that may take over: those that do not have everybody.
    pub takeover: Vec<String>,
    /// Canaries with people.
    pub rollback: Vec<String>,
    /// The weights that act, by canary, as `5%`.
    pub weights: Vec<(String, String)>,
    /// Whether it can be paused.
    pub pause: bool,
    /// Whether something can be taken back.
    pub resume: bool,
    /// Whether a failure can be tried again.
    pub retry: bool,
    /// The step that waits for a person, from 1.
    pub approve: Option<u32>,
}

impl Release {
    /// The path of its page.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        format!("{base}/releases/{}/{}", self.namespace, self.name)
    }

    /// The page of a release.
    #[must_use]
    pub fn new(subject: &Subject, figures: &Figures, may: May, now: Timestamp) -> Self {
        let (release, status) = (&subject.release, subject.status());
        let empty = ReleaseFigures::default();
        let own = figures.releases.get(&release.id()).unwrap_or(&empty);
        let next = status.run.as_ref().map(|run| run.next.clone()).unwrap_or_default();
        let (age, stale) = age(figures, now);
        Self {
            namespace: release.metadata.namespace.clone(),
            name: release.metadata.name.clone(),
            service: release.spec.service.clone(),
            hosts: subject.services.iter().map(|service| format!("{}:{}", service.host, service.port)).collect(),
            phase: status.phase.map_or("Unknown", Phase::name).to_owned(),
            attention: needs_attention(status.phase),
            said: subject.control.said().unwrap_or_default(),
            versions: versions(subject, own, f64::from(figures.window)),
            charts: charts(subject, own, now),
            reasons: reasons(own),
            rules: rules(subject),
            steps: steps(subject, &status),
            metrics: metrics(&status),
            conditions: conditions(&status),
            events: events(&status, now),
            offers: offers(subject, &status),
            why: status.message.unwrap_or(next),
            figures: age,
            at: figures.at,
            stale,
            may,
        }
    }
}

fn versions(subject: &Subject, figures: &ReleaseFigures, seconds: f64) -> Vec<Version> {
    let versions = subject.versions().into_iter().enumerate();
    versions.map(|(index, version)| row(subject, figures, seconds, (index, version))).collect()
}

fn row(subject: &Subject, figures: &ReleaseFigures, seconds: f64, (index, version): (usize, &str)) -> Version {
    let stable = subject.release.spec.stable.version.as_str();
    let share = subject.intended().get(version).copied().unwrap_or(Weight::NONE);
    let intended = f64::from(share.buckets()) / f64::from(BUCKETS);
    let served = figures.served.get(version).filter(|_| seconds > 0.0);
    let beside = figures.served.get(stable).filter(|_| version != stable);
    let counts = served.map(Served::counts).unwrap_or_default();
    let assessment = health(counts, beside.map(Served::counts), &Thresholds::default());
    let compared = beside.filter(|_| served.is_some()).map(|stable| compare_success(counts, stable.counts()).to_string());
    let windows = figures.shares.get(version).map(Vec::as_slice).unwrap_or_default();
    let observed = windows.last().and_then(|window| window.as_ref().ok());
    let verdict = if windows.is_empty() {
        String::new()
    } else {
        share_verdict(intended, windows, &Thresholds::default()).to_string()
    };
    let endpoints = subject.services.iter().filter_map(|service| service.versions.get(version)).flatten();
    let endpoints: Vec<Endpoint> = endpoints.map(|endpoint| figures.now(version, endpoint)).collect();
    let quantile = |part| served.and_then(|served| served.quantile(part)).map(|range| range.to_string());
    let decisions = figures.decided_for(version);
    Version {
        version: version.to_owned(),
        role: if version == stable { "stable" } else { "canary" },
        intended: share.to_string(),
        decided: match figures.all_by_weight() {
            0 => String::new(),
            all => number::percent(figures.by_weight(version) as f64 / all as f64),
        },
        verdict,
        interval: observed
            .map(|seen| format!("{} to {}", number::percent(seen.low), number::percent(seen.high)))
            .unwrap_or_default(),
        bar: bar((index, version), intended, observed),
        decisions: if figures.decided.is_empty() { String::new() } else { decisions.to_string() },
        served: served.map(|served| served.requests.to_string()).unwrap_or_default(),
        fallback: served.map(|served| served.elsewhere.to_string()).unwrap_or_default(),
        ready: match endpoints.is_empty() {
            true => pods(subject, version),
            false => ready(&endpoints),
        },
        rate: served.map(|served| shown::rate(served.requests as f64 / seconds)).unwrap_or_default(),
        success: served.and_then(Served::success).map(number::percent).unwrap_or_default(),
        beside: compared.unwrap_or_default(),
        health: if served.is_some() { format!("{}: {}", assessment.health, assessment.why) } else { String::new() },
        class: assessment.health.class(),
        latency: [0.5, 0.9, 0.99].into_iter().filter_map(quantile).collect(),
        sparkline: sparkline((index, version), figures.past.get(version)),
        endpoints: endpoints.iter().map(|endpoint| endpoint.name.clone()).collect(),
    }
}

/// What a status says of a version's pods; empty where it says nothing.
fn pods(subject: &Subject, version: &str) -> String {
    let versions = subject.status().versions;
    versions.iter().find(|own| own.version == version).map(|own| own.ready.to_string()).unwrap_or_default()
}

/// Such as `1 of 2`; the number alone where nobody knows.
fn ready(endpoints: &[Endpoint]) -> String {
    let ready = endpoints.iter().filter(|endpoint| endpoint.ready == Some(true)).count();
    match endpoints.iter().any(|endpoint| endpoint.ready.is_some()) {
        true => format!("{ready} of {}", endpoints.len()),
        false => endpoints.len().to_string(),
    }
}

fn reasons(figures: &ReleaseFigures) -> Vec<Reason> {
    let all: u64 = figures.decided.values().flat_map(BTreeMap::values).sum();
    let rows = figures.decided.iter().flat_map(|(version, reasons)| {
        reasons.iter().map(move |(reason, count)| Reason {
            version: version.clone(),
            reason: reason.clone(),
            count: *count,
            part: number::percent(*count as f64 / all as f64),
        })
    });
    rows.filter(|row| row.count > 0).collect()
}

fn rules(subject: &Subject) -> Vec<Rule> {
    let spec = &subject.release.spec;
    let split = |split: &Vec<serin_release::api::v1alpha1::Share>| {
        split.iter().map(|one| format!("{}={}", one.version, one.weight)).collect::<Vec<_>>().join(", ")
    };
    let rules = spec.rules.iter().map(|rule| Rule {
        name: rule.name.clone(),
        when: serde_json::to_string(&rule.when).unwrap_or_default(),
        then: rule.version.clone().unwrap_or_else(|| rule.split.as_ref().map(split).unwrap_or_default()),
    });
    rules.collect()
}

fn steps(subject: &Subject, status: &Status) -> Vec<Step> {
    let spec = &subject.release.spec;
    let at = status.run.as_ref().map_or(0, |run| usize::try_from(run.step).unwrap_or(usize::MAX));
    let only = spec.canaries.first().map(|canary| canary.version.as_str()).unwrap_or_default();
    let step = |(index, step): (usize, &serin_release::lifecycle::steps::Step)| {
        let weights = step.weights.iter().map(|(version, weight)| format!("{version}={weight}"));
        let weights: Vec<_> = step.weight.iter().map(|weight| format!("{only}={weight}")).chain(weights).collect();
        let mut words = vec![weights.join(", ")];
        words.extend(step.over.map(|over| format!("over {over}")));
        words.extend(step.hold.map(|hold| format!("for {hold}")));
        words.extend(step.approve.then(|| "then a person approves".to_owned()));
        let name = step.name.iter().map(|name| format!("{name}: "));
        Step {
            number: index + 1,
            text: name.chain([words.join(", ")]).collect(),
            state: match index.cmp(&at) {
                std::cmp::Ordering::Less => "done",
                std::cmp::Ordering::Equal => "now",
                std::cmp::Ordering::Greater => "later",
            },
        }
    };
    spec.steps.iter().enumerate().map(step).collect()
}

fn metrics(status: &Status) -> Vec<Metric> {
    let metrics = status.analysis.iter().flat_map(|analysis| &analysis.metrics).map(|metric| Metric {
        name: metric.name.clone(),
        version: metric.version.clone(),
        verdict: metric.verdict.to_string(),
        because: metric.because.clone(),
    });
    metrics.collect()
}

fn conditions(status: &Status) -> Vec<Condition> {
    let conditions = status.conditions.iter().map(|condition| Condition {
        kind: condition.kind.clone(),
        status: condition.status.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
    });
    conditions.collect()
}

fn events(status: &Status, now: Timestamp) -> Vec<Event> {
    let moved = |from: &str, to: &str| match (from, to) {
        ("", "") => String::new(),
        (from, to) if from == to => to.to_owned(),
        (from, to) => format!("{} → {}", or_stable(from), or_stable(to)),
    };
    let events = status.history.iter().map(|entry| Event {
        at: entry.at.clone(),
        ago: shown::ago(&entry.at, now),
        what: format!("{:?}", entry.what),
        moved: moved(&entry.from, &entry.to),
        by: entry.by.clone(),
        because: entry.because.clone(),
    });
    events.collect()
}

fn or_stable(weights: &str) -> &str {
    if weights.is_empty() { "all on stable" } else { weights }
}

fn offers(subject: &Subject, status: &Status) -> Offers {
    let (spec, control) = (&subject.release.spec, &subject.control);
    let intended = subject.intended();
    let of = |version: &str| intended.get(version).copied().unwrap_or(Weight::NONE);
    let canaries: Vec<String> = spec.canaries.iter().map(|canary| canary.version.clone()).collect();
    let run = status.run.as_ref();
    let has_everybody = |version: &&str| of(version) == Weight::ALL;
    let is_taken = spec.takeover.is_some() || control.hold.as_ref().is_some_and(|hold| hold.kind == HoldKind::Takeover);
    Offers {
        takeover: subject
            .versions()
            .into_iter()
            .filter(|version| !is_taken || !has_everybody(version))
            .map(str::to_owned)
            .collect(),
        rollback: canaries.iter().filter(|version| of(version) != Weight::NONE).cloned().collect(),
        weights: canaries.iter().map(|version| (version.clone(), of(version).to_string())).collect(),
        pause: !control.paused && !spec.paused,
        resume: control.hold.is_some() || control.paused,
        retry: run.is_some_and(|run| !run.failed.is_empty()),
        approve: run.filter(|run| run.state == RunState::AwaitingApproval).map(|run| run.step + 1),
    }
}
