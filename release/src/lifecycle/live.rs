//! A release as its life leaves it: with the weights, the takeover and the pause that act now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};
use serin_config::{BucketMap, Weight};

use super::analysis::OnFail;
use super::baseline::version as baseline_version;
use super::control::Control;
use super::plan::{Candidate, Intent, Planned, Progress, Signals, plan};
use super::run::Run;
use super::run::RunState;
use super::span::Span;
use super::steps::Step;
use crate::api::v1alpha1::{Canary, CanaryRelease, Replicas, Spec, Workload};
use crate::validate::analysis::has_baseline;

/// A release as it acts, and how it came to that.
#[derive(Clone, Debug)]
pub struct Lived {
    /// The release with the weights, the takeover and the pause that act.
    pub release: CanaryRelease,
    /// What they come from.
    pub planned: Planned,
}

/// The release as it acts now, by its spec, a person's word, and how far it has come.
///
/// # Errors
/// The schedule names no time zone.
pub fn live(
    release: &CanaryRelease,
    control: &Control,
    progress: &Progress,
    signals: &Signals,
    now: Timestamp,
) -> Result<Lived, String> {
    let spec = &release.spec;
    // How many pods there are and how long they may take makes no other canary.
    let workload = |workload: &Option<Workload>| {
        let own = workload.clone().map(|own| Workload { replicas: None, autoscale: None, ready_within: None, ..own });
        own.and_then(|own| serde_json::to_string(&own).ok()).unwrap_or_default()
    };
    let workloads: Vec<String> = spec.canaries.iter().map(|canary| workload(&canary.workload)).collect();
    let candidates = spec.canaries.iter().zip(&workloads);
    let candidates: Vec<Candidate<'_>> = candidates
        .map(|(canary, workload)| {
            let ready_within = canary.workload.as_ref().and_then(|own| own.ready_within).map(Span::seconds);
            Candidate { version: &canary.version, weight: canary.weight, workload, ready_within }
        })
        .collect();
    // One that is refused stays in what acts, so that it is refused.
    let baseline = spec.analysis.as_ref().and_then(|analysis| analysis.baseline).filter(|_| has_baseline(spec));
    let intent = Intent {
        stable: &spec.stable.version,
        canaries: &candidates,
        steps: &spec.steps,
        schedule: spec.schedule.as_ref(),
        takeover: spec.takeover.as_deref(),
        paused: spec.paused,
        analysed: spec.analysis.is_some(),
        roll_back: spec.analysis.as_ref().is_none_or(|analysis| analysis.on_fail == OnFail::RollBack),
        undecided_for: spec.analysis.as_ref().and_then(|analysis| analysis.undecided_for).map(Span::seconds),
        baseline: baseline.map(Span::seconds),
    };
    let planned = plan(&intent, control, progress, signals, now)?;
    let mut acting = release.clone();
    if planned.progress.run.as_ref().is_some_and(|run| is_measured(spec, run)) {
        acting.spec.canaries.extend(spec.canaries.iter().map(baseline_of));
        acting.spec.steps.iter_mut().for_each(|step| name_weight(step, spec));
    }
    // It is there by now, or over: what acts asks for no other one.
    if let Some(analysis) = acting.spec.analysis.as_mut().filter(|_| baseline.is_some()) {
        analysis.baseline = None;
    }
    let state = planned.progress.run.as_ref().map(|run| run.state);
    // What is paused from the start begins as its spec says; with steps before the first of them.
    let is_new = progress.weights.is_empty() && state == Some(RunState::Paused) && spec.steps.is_empty();
    // A ramp of an algorithm with fewer buckets has fewer weights.
    let sticky = spec.sticky.as_ref().filter(|_| !spec.steps.is_empty());
    let grain = sticky.map_or(1, |sticky| sticky.algorithm.granularity()).max(1);
    for canary in acting.spec.canaries.iter_mut().filter(|_| !is_new) {
        let buckets = planned.progress.weights.get(&canary.version).copied().unwrap_or(0);
        let buckets = buckets - buckets % grain;
        canary.weight = Weight::from_buckets(buckets).unwrap_or(Weight::ALL);
    }
    acting.spec.takeover.clone_from(&planned.takeover);
    acting.spec.paused = planned.paused;
    acting.banned.clone_from(&planned.banned);
    Ok(Lived { release: acting, planned })
}

/// Whether a release has baselines now: until the first step begins.
#[must_use]
pub fn is_measured(spec: &Spec, run: &Run) -> bool {
    has_baseline(spec) && run.step == 0 && !run.reached && run.measured.is_none() && run.failed.is_empty()
}

/// Says whose weight it is in a step, since the canary is not the only version any more.
fn name_weight(step: &mut Step, spec: &Spec) {
    if let [only] = spec.canaries.as_slice()
        && let Some(weight) = step.weight.take()
    {
        step.weights = [(only.version.clone(), weight)].into();
    }
}

/// The baseline of a canary: stable's pods once more, where Serin runs the canary's too.
fn baseline_of(canary: &Canary) -> Canary {
    let workload = canary.workload.as_ref().map(|_| Workload {
        replicas: Some(Replicas::Share),
        // What differs in nothing is said by an empty patch.
        patch: Some(Value::Object(Map::new())),
        ..Workload::default()
    });
    Canary { version: baseline_version(&canary.version), weight: Weight::NONE, min_ready: None, workload }
}

/// What acts of a person's word about a release: who has done what, and why.
#[must_use]
pub fn said(release: &CanaryRelease) -> Option<String> {
    let spec = &release.spec;
    let canaries = spec.canaries.iter().map(|canary| canary.version.as_str()).collect();
    release.word.as_ref()?.acting(&spec.stable.version, &canaries).said()
}

/// The weights in a bucket map, by version.
#[must_use]
pub fn weights(map: &BucketMap) -> BTreeMap<String, u32> {
    let mut weights = BTreeMap::new();
    for run in map.runs() {
        if let Some(version) = &run.version {
            *weights.entry(version.clone()).or_insert(0) += run.buckets;
        }
    }
    weights
}
