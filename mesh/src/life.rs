//! Between steps 1 and 2: the release as it acts now, by its steps and a person's word. Pure; the time comes in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serin_release::api::v1alpha1::{CanaryRelease, ControlStatus, HistoryEntry, Status, StatusCondition};
use serin_release::compile::is_kept;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live::{live as live_release, weights};
use serin_release::lifecycle::plan::{Planned, Progress, Signals};
use serin_release::lifecycle::run::{Run, RunState};
use serin_release::lifecycle::schedule::frozen;
use serin_release::lifecycle::verdict::Verdict;
use serin_release::lifecycle::verdict::status::AnalysisStatus;

use crate::analysis::Told;
use crate::conditions::{Condition, ConditionType, Reason};
use crate::entry::{Entry, buckets_of};
use crate::references::References;
use crate::resource::Resource;
use crate::word::Word;

/// What acts of steps and of a person's word, and what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// What it came to; `None` for a release whose text says nothing.
    pub planned: Option<Planned>,
    /// What the person said.
    pub word: Word,
    /// What the spec says: a takeover, else weights.
    pub spec: String,
    /// What acts of a control, for the status.
    pub control: Option<ControlStatus>,
    /// How far the steps have come, for the status.
    pub run: Option<Run>,
    /// What is thought of its canaries, for the status.
    pub analysis: Option<AnalysisStatus>,
    /// Why nobody is asked for counts.
    pub no_source: Option<String>,
    /// Whether an analysis is under way.
    pub is_analysed: bool,
    /// What happened until now, newest first.
    pub history: Vec<HistoryEntry>,
}

impl Life {
    /// Whether a person's word acts; `None` where there is none and never was.
    #[must_use]
    pub fn overridden(&self, before: &[StatusCondition]) -> Option<Condition> {
        let known = self.word.generation > 0 || Reason::among(before, ConditionType::Overridden).is_some();
        let planned = self.planned.as_ref().filter(|_| known)?;
        if let Some(problem) = &self.word.problem {
            return Some(Condition::new(Reason::ControlInvalid, format!("the CanaryControl cannot be read: {problem}")));
        }
        let acting = planned.progress.control.as_ref();
        let hold = acting.and_then(|control| control.hold.as_ref());
        if planned.is_void && hold.is_none() {
            let hold = self.word.control.hold.as_ref();
            let named = hold.map(|hold| hold.version.iter().chain(hold.weights.keys()).cloned().collect::<Vec<_>>());
            let message = format!(
                "the CanaryControl speaks of {}, which the release does not have, so its hold does not act: correct it, or take it back with \
                 `serin resume`",
                named.unwrap_or_default().join(", ")
            );
            return Some(Condition::new(Reason::ControlVoid, message));
        }
        Some(match acting.and_then(Control::said) {
            Some(said) => Condition::new(Reason::Overridden, format!("{said}; the spec says {}", self.spec)),
            None => Condition::new(Reason::NotOverridden, "the spec acts"),
        })
    }

    /// What is thought of the canaries; `None` without an analysis.
    #[must_use]
    pub fn healthy(&self) -> Option<Condition> {
        let analysis = self.analysis.as_ref()?;
        if let Some(cause) = &self.no_source {
            return Some(Condition::new(Reason::NoSource, cause));
        }
        let reason = match analysis.verdict {
            Verdict::Good => Reason::Good,
            Verdict::Undecided => Reason::Undecided,
            Verdict::NoData => Reason::NoData,
            Verdict::Failing => Reason::Failing,
        };
        let worst = analysis.metrics.iter().find(|metric| metric.verdict == analysis.verdict);
        let told = worst.map(|metric| format!("{}: {}", metric.name, metric.because));
        Some(Condition::new(reason, told.unwrap_or_else(|| "nothing was counted yet".to_owned())))
    }

    /// A status with what acts of a control, how far the steps have come, and what happened.
    #[must_use]
    pub fn kept(&self, status: Status) -> Status {
        Status {
            control_generation: Some(self.word.generation).filter(|generation| *generation > 0),
            control: self.control.clone(),
            run: self.run.clone(),
            analysis: self.analysis.clone(),
            history: self.history.clone(),
            ..status
        }
    }

    /// Whether a restart would find in this status all that a document depends on: a step that began, a version that failed.
    #[must_use]
    pub fn is_kept(&self, status: &Status) -> bool {
        let deeds = |run: &Run| (run.id.clone(), run.step, run.reached, run.failed.clone());
        self.run.as_ref().map(deeds) == status.run.as_ref().map(deeds)
    }

    /// Whether steps alone make it another one than its status says, so that it is nobody's change of this moment.
    #[must_use]
    pub fn goes_on_by_itself(&self, resource: &Resource) -> bool {
        let status = &resource.status;
        let is_news = status.observed_generation != Some(resource.generation)
            || status.control_generation.unwrap_or(0) != self.word.generation;
        let Some(planned) = self.planned.as_ref().filter(|planned| !is_news && planned.takeover.is_none()) else {
            return false;
        };
        let (before, now) = (weights(&status.allocation.base), &planned.progress.weights);
        let of = |weights: &BTreeMap<String, u32>, version: &String| weights.get(version).copied().unwrap_or(0);
        let shrinks = before.keys().any(|version| of(now, version) < of(&before, version));
        !shrinks && now.keys().any(|version| of(now, version) > of(&before, version))
    }

    /// When to look at the release again, if nothing else happens.
    #[must_use]
    pub fn look_in(&self, now: Timestamp) -> Option<Duration> {
        let planned = self.planned.as_ref()?;
        let due = planned.look_at.map(|at| at.duration_since(now).try_into().unwrap_or(Duration::ZERO));
        // Who is served less than the weights say shows only in what is published meanwhile.
        let waits = planned.progress.run.as_ref().filter(|run| run.state == RunState::NotReady).map(|_| LOOK);
        let counts = planned.progress.run.as_ref().filter(|run| run.state.counts()).map(|_| KEEP);
        let analysed = self.analysis.as_ref().filter(|_| self.is_analysed).map(|_| TELL);
        due.into_iter().chain(waits).chain(counts).chain(analysed).min()
    }
}

/// How often a release that waits for pods is looked at, beside each change of them.
const LOOK: Duration = Duration::from_secs(10);
/// How old what is kept of the time that counts may be: a longer gap does not count as a whole.
const KEEP: Duration = Duration::from_secs(240);

/// How often a status shows how far an analysis is.
const TELL: Duration = Duration::from_secs(60);

/// What is shown of an analysis: the one before while it says the same, for a while.
fn shown(now: &AnalysisStatus, before: Option<&AnalysisStatus>) -> AnalysisStatus {
    let says = |status: &AnalysisStatus| {
        let verdicts: Vec<Verdict> = status.metrics.iter().map(|metric| metric.verdict).collect();
        (status.verdict, status.run.clone(), status.step, verdicts)
    };
    // Who has nothing new to say, where nobody sends requests, says nothing.
    let is_fresh = |before: &&AnalysisStatus| {
        now.at.duration_since(before.at).unsigned_abs() < TELL || AnalysisStatus { at: before.at, ..now.clone() } == **before
    };
    before.filter(|before| says(before) == says(now)).filter(is_fresh).unwrap_or(now).clone()
}

/// What is kept of a run: the one before while nothing but the time differs.
fn run(planned: &Planned, release: &CanaryRelease, before: Option<&Run>) -> Option<Run> {
    let run = planned.progress.run.clone()?;
    if !is_kept(&release.spec, &run) {
        return None;
    }
    let Some(before) = before else { return Some(run) };
    let timeless = |run: &Run| Run { counted: 0, total: 0, waited: 0, seen: Timestamp::UNIX_EPOCH, ..run.clone() };
    let is_fresh = run.seen.duration_since(before.seen).unsigned_abs() < KEEP;
    // Time that counts and time that does not are told apart by the state at the last look.
    let is_same = timeless(&run) == timeless(before);
    Some(if is_same && is_fresh { before.clone() } else { run })
}

/// What is seen of a release, as far as its life depends on it.
fn signals(release: &CanaryRelease, surroundings: Surroundings<'_>, now: Timestamp) -> Signals {
    let Surroundings { references, entry, told, pending } = surroundings;
    let least = |version: &str| {
        let canary = release.spec.canaries.iter().find(|canary| canary.version == version);
        canary.and_then(|canary| canary.min_ready).unwrap_or(1).max(1)
    };
    let is_ready = |(version, ready): &(&String, &u32)| **ready >= least(version);
    let ready = references.ready.iter().filter(is_ready).map(|(version, _)| version.clone()).collect();
    let lacks = |version: &&String| {
        entry.is_some_and(|entry| buckets_of(&entry.served, version) < buckets_of(&entry.wanted, version))
    };
    let lacking = release.spec.canaries.iter().map(|canary| &canary.version).filter(lacks).cloned().collect();
    let frozen = references.freeze.as_deref().and_then(|text| frozen(text, now));
    let analysed = told.map(|told| &told.analysed);
    let verdicts = analysed.map(|analysed| analysed.verdicts.clone()).unwrap_or_default();
    let judged = analysed.map(|analysed| (analysed.status.run.clone(), analysed.status.step));
    let measured = analysed.map(|analysed| analysed.measured.clone()).unwrap_or_default();
    Signals { ready, lacking, verdicts, judged, measured, pending, frozen }
}

/// What a spec says of its canaries.
fn spec_says(release: &CanaryRelease) -> String {
    let spec = &release.spec;
    let weights = spec.canaries.iter().map(|canary| format!("{}={}", canary.version, canary.weight));
    match &spec.takeover {
        Some(version) => format!("takeover: {version}"),
        None if spec.canaries.is_empty() => "no canary".to_owned(),
        None => weights.collect::<Vec<_>>().join(", "),
    }
}

/// What is seen of a release.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// What concerns it.
    pub references: &'a References,
    /// What is or will be published of it.
    pub entry: Option<&'a Entry>,
    /// What is thought of its canaries.
    pub told: Option<&'a Told>,
    /// Whether documents hold something else of it than they shall.
    pub pending: bool,
}

/// The release as it acts now, by what is seen of it and published of it. One that leaves, or whose text says nothing, is as it was.
#[must_use]
pub fn live(resource: &Arc<Resource>, surroundings: Surroundings<'_>, now: Timestamp) -> (Arc<Resource>, Life) {
    let word = surroundings.references.word.clone();
    let (acting, life) = live_with(resource, word, |release| signals(release, surroundings, now), now);
    let before = resource.status.analysis.as_ref();
    let is_asked_for = resource.parsed.as_ref().is_ok_and(|release| release.spec.analysis.is_some());
    let analysis = match surroundings.told {
        Some(told) => Some(shown(&told.analysed.status, before)),
        None => before.filter(|_| is_asked_for).cloned(),
    };
    let no_source = surroundings.told.and_then(|told| told.no_source.clone());
    (acting, Life { analysis, no_source, is_analysed: surroundings.told.is_some(), ..life })
}

/// The release as a person's word leaves it, whatever else is seen of it.
#[must_use]
pub fn live_by(resource: &Arc<Resource>, word: Word, now: Timestamp) -> (Arc<Resource>, Life) {
    live_with(resource, word, |_| Signals::default(), now)
}

fn live_with(
    resource: &Arc<Resource>,
    word: Word,
    signals: impl Fn(&CanaryRelease) -> Signals,
    now: Timestamp,
) -> (Arc<Resource>, Life) {
    let parsed = resource.parsed.as_ref().ok().filter(|_| !resource.leaves());
    let status = &resource.status;
    let progress = Progress { run: status.run.clone(), weights: weights(&status.allocation.base), control: status.acting() };
    let lived = parsed.and_then(|release| {
        let lived = live_release(release, &word.control, &progress, &signals(release), now).ok()?;
        Some((release, lived))
    });
    let Some((release, lived)) = lived else {
        let (control, run, history) = (status.control.clone(), status.run.clone(), status.history.clone());
        let analysis = status.analysis.clone();
        return (Arc::clone(resource), Life { word, control, run, analysis, history, ..Life::default() });
    };
    let at = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let planned = lived.planned;
    let acting = planned.progress.control.as_ref();
    let life = Life {
        control: acting.and_then(|acting| ControlStatus::of(acting, word.generation, status.control.as_ref(), &at)),
        run: run(&planned, release, status.run.as_ref()),
        history: status.history_with(&planned.happened, &at),
        spec: spec_says(release),
        planned: Some(planned),
        word,
        ..Life::default()
    };
    let mut acting = Resource::clone(resource);
    acting.parsed = Ok(lived.release);
    (Arc::new(acting), life)
}
