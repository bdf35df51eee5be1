//! What a release shall be like now, out of its spec, a person's word, how far it has come, and what is seen of it.
//!
//! ```text
//! Intent (spec) ──┐
//! Control ────────┤
//! Progress ───────┼─► plan ─► Planned: weights, takeover, who gets nobody; the Run to keep; what happened
//! Signals, time ──┘
//! ```
//! Precedence, highest first: a person's rollback, a person's takeover, failed by analysis, the spec's takeover, a person's weights,
//! a pause, steps, the spec's weights. Whether versions are ready acts last and elsewhere. Pure: the same again gives the same.

mod advance;
mod story;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serin_config::Weight;

use super::baseline::{self, Measured};
use super::control::{Control, Word};
use super::run::{Failure, Happened, Run, RunState, What};
use super::schedule::{Gate, Schedule};
use super::steps::Step;
use super::verdict::Verdict;
use super::words::{as_weights, by, shown};

/// A gap between two looks counts for so many seconds at most: a clock that jumps, or a controller that was away, skips no step.
const MOST_AT_ONCE: i64 = 600;

/// What the spec says of the life of its canaries.
#[derive(Clone, Copy, Debug)]
pub struct Intent<'a> {
    /// Stable's version.
    pub stable: &'a str,
    /// The canaries.
    pub canaries: &'a [Candidate<'a>],
    /// The steps; without any, the canaries' weights act.
    pub steps: &'a [Step],
    /// When steps may go on.
    pub schedule: Option<&'a Schedule>,
    /// The version that gets everybody.
    pub takeover: Option<&'a str>,
    /// Whether the split stays as it is.
    pub paused: bool,
    /// Whether analysis has to say that a step is good, unless the step says otherwise.
    pub analysed: bool,
    /// Whether a version that fails is rolled back; else the release stays where it is.
    pub roll_back: bool,
    /// Seconds after which a step that waits for a verdict is reported.
    pub undecided_for: Option<u32>,
    /// Seconds for which a baseline has the people of the first step.
    pub baseline: Option<u32>,
}

/// A canary of a spec.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its version.
    pub version: &'a str,
    /// Its weight without steps.
    pub weight: Weight,
    /// What else makes it another canary, as text: its workload.
    pub workload: &'a str,
    /// Seconds in which its pods have to become ready.
    pub ready_within: Option<u32>,
}

/// How far a release has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The run; `None` before the first look.
    pub run: Option<Run>,
    /// The weights in the bucket map, by version.
    pub weights: BTreeMap<String, u32>,
    /// The control that acted at the last look.
    pub control: Option<Control>,
}

/// What is seen of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    /// Versions that can take requests.
    pub ready: BTreeSet<String>,
    /// Versions that have fewer pods than their weights need.
    pub lacking: BTreeSet<String>,
    /// What analysis says of versions, and why; nothing is no data.
    pub verdicts: BTreeMap<String, (Verdict, String)>,
    /// The run and its step that verdicts are about; without it, whatever there is.
    pub judged: Option<(String, u32)>,
    /// What baselines and stable had until now.
    pub measured: Vec<Measured>,
    /// Whether what was decided last is still on its way to where requests are decided: its time does not count yet.
    pub pending: bool,
    /// Until when the namespace or the cluster is frozen, and why.
    pub frozen: Option<(Option<Timestamp>, String)>,
}

/// What a release shall be like now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// How far it has come: what to keep, with the control that acts.
    pub progress: Progress,
    /// The version that gets everybody.
    pub takeover: Option<String>,
    /// Versions that get nobody, and keep their buckets in the map.
    pub banned: BTreeSet<String>,
    /// Whether the split stays as it is, rules included.
    pub paused: bool,
    /// Whether the control speaks of versions that the spec does not have.
    pub is_void: bool,
    /// What happened since the last look.
    pub happened: Vec<Happened>,
    /// When to look again, if nothing else happens.
    pub look_at: Option<Timestamp>,
}

/// What a release shall be like now.
///
/// # Errors
/// The schedule names no time zone.
pub fn plan(
    intent: &Intent<'_>,
    control: &Control,
    before: &Progress,
    signals: &Signals,
    now: Timestamp,
) -> Result<Planned, String> {
    let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
    let gate = gate(intent, signals, now)?;
    let known: BTreeSet<&str> = intent.canaries.iter().map(|canary| canary.version).collect();
    let word = control.hold.as_ref().and_then(|hold| hold.word(intent.stable, &known));
    let mut pass = Pass::begin(intent, control, word, before, signals, now);
    pass.fail();
    let take = pass.takeover();
    pass.go_on(take.as_deref(), &gate);
    pass.notice(before);
    let banned = pass.banned();
    let Pass { run, weights, happened, look_at, .. } = pass;
    let is_paused = (control.paused || intent.paused) && !matches!(word, Some(Word::Weights(_)));
    let acting = Control { hold: control.hold.clone().filter(|_| word.is_some()), ..control.clone() };
    Ok(Planned {
        progress: Progress { run: Some(run), weights, control: Some(acting) },
        takeover: take,
        banned,
        paused: is_paused,
        is_void: control.hold.is_some() && word.is_none(),
        happened,
        look_at,
    })
}

fn gate(intent: &Intent<'_>, signals: &Signals, now: Timestamp) -> Result<Gate, String> {
    let own = intent.schedule.map_or(Ok(Gate::Open(None)), |schedule| schedule.gate(now))?;
    Ok(match &signals.frozen {
        Some((until, because)) => Gate::Frozen(*until, because.clone()),
        None => own,
    })
}

/// One look at a release.
struct Pass<'a> {
    intent: &'a Intent<'a>,
    control: &'a Control,
    word: Option<Word<'a>>,
    signals: &'a Signals,
    now: Timestamp,
    run: Run,
    weights: BTreeMap<String, u32>,
    /// Seconds for which it had waited for pods at the last look.
    waited_before: u64,
    happened: Vec<Happened>,
    look_at: Option<Timestamp>,
}

impl<'a> Pass<'a> {
    /// Takes up the run, or begins another one: with other versions, other steps or another attempt. What is reached stays for versions
    /// that go on.
    fn begin(
        intent: &'a Intent<'a>,
        control: &'a Control,
        word: Option<Word<'a>>,
        before: &Progress,
        signals: &'a Signals,
        now: Timestamp,
    ) -> Self {
        let (id, versions) = identity(intent, control.attempt);
        let known = |version: &String| intent.canaries.iter().any(|canary| canary.version == version);
        let is_baseline =
            |version: &String| intent.canaries.iter().any(|canary| baseline::version(canary.version) == *version);
        let mut weights = before.weights.clone();
        weights.retain(|version, _| known(version) || intent.baseline.is_some() && is_baseline(version));
        let mut happened = Vec::new();
        let run = match &before.run {
            Some(run) if run.id == id => run.clone(),
            earlier => {
                let same_versions = earlier.as_ref().filter(|run| run.versions == versions);
                let again = same_versions.is_some_and(|run| run.attempt != control.attempt);
                if again {
                    weights.clear();
                }
                let mut failed: Vec<Failure> =
                    same_versions.filter(|_| !again).map(|run| run.failed.clone()).unwrap_or_default();
                failed.retain(|failure| known(&failure.version));
                let measured = same_versions.filter(|_| !again).and_then(|run| run.measured.clone());
                // Without steps there is no way to begin.
                if !intent.steps.is_empty() || again {
                    happened.push(Happened {
                        what: What::Started,
                        from: shown(&before.weights),
                        to: shown(&weights),
                        by: if again { by(control) } else { "spec".to_owned() },
                        because: if again { format!("attempt {}", control.attempt) } else { String::new() },
                    });
                }
                let from = as_weights(&weights);
                let (state, attempt) = (RunState::Starting, control.attempt);
                let (step, reached, counted, total, waited, next) = (0, false, 0, 0, 0, String::new());
                Run {
                    id,
                    versions,
                    attempt,
                    step,
                    reached,
                    counted,
                    total,
                    waited,
                    seen: now,
                    state,
                    next,
                    failed,
                    measured,
                    from,
                }
            }
        };
        let waited_before = run.waited;
        let mut pass = Self { intent, control, word, signals, now, run, weights, waited_before, happened, look_at: None };
        pass.count();
        pass
    }

    /// Counts the time since the last look, by what the run did then.
    fn count(&mut self) {
        let gap = self.now.as_second().saturating_sub(self.run.seen.as_second());
        let elapsed = u64::try_from(gap.min(MOST_AT_ONCE)).unwrap_or(0);
        let counts = !self.signals.pending;
        if self.run.state.counts() && counts {
            self.run.total += elapsed;
        }
        self.run.waited = if self.run.state == RunState::NotReady { self.run.waited + elapsed } else { 0 };
        // What is done is watched for a while.
        if counts && (self.run.state.counts() || self.run.state == RunState::Completed) {
            self.run.counted += elapsed;
        }
        self.run.seen = self.run.seen.max(self.now);
    }

    /// Rolls back at once what fails, whatever else holds; a person's takeover of that version alone is above it.
    fn fail(&mut self) {
        if !self.intent.roll_back {
            return;
        }
        for canary in self.intent.canaries {
            let acts = self.buckets(canary.version) > 0 && self.word != Some(Word::Takeover(canary.version));
            if let Some((Verdict::Failing, because)) = self.verdict(canary.version)
                && acts
                && !self.has_failed(canary.version)
            {
                self.roll_back(canary.version, "analysis", because);
            }
        }
    }

    /// What analysis says of a version at this step. What it said of another one, or of an earlier canary, says nothing.
    fn verdict(&self, version: &str) -> Option<&'a (Verdict, String)> {
        let is_of_this = |(run, step): &(String, u32)| *run == self.run.id && *step == self.run.step;
        self.signals.verdicts.get(version).filter(|_| self.signals.judged.as_ref().is_none_or(is_of_this))
    }

    fn roll_back(&mut self, version: &str, by: &str, because: &str) {
        let from = shown(&self.served());
        let (step, at) = (self.run.step, self.now);
        self.run.failed.push(Failure { version: version.to_owned(), step, at, because: because.to_owned() });
        let to = shown(&self.served());
        self.happened.push(Happened { what: What::RolledBack, from, to, by: by.to_owned(), because: because.to_owned() });
    }

    fn has_failed(&self, version: &str) -> bool {
        self.run.failed.iter().any(|failure| failure.version == version)
    }

    /// Whether a version fails and stays, since the owner wants to be asked.
    fn fails(&self) -> bool {
        let failing = |version: &String| matches!(self.verdict(version), Some((Verdict::Failing, _)));
        !self.intent.roll_back && self.weights.iter().any(|(version, buckets)| *buckets > 0 && failing(version))
    }

    /// Versions that get nobody.
    fn banned(&self) -> BTreeSet<String> {
        let mut banned: BTreeSet<String> = self.run.failed.iter().map(|failure| failure.version.clone()).collect();
        match self.word {
            Some(Word::Rollback(Some(version))) => drop(banned.insert(version.to_owned())),
            Some(Word::Rollback(None)) => banned.extend(self.intent.canaries.iter().map(|canary| canary.version.to_owned())),
            // A person's takeover of a failing version stands.
            Some(Word::Takeover(version)) => drop(banned.remove(version)),
            _ => {}
        }
        // Who goes back to stable goes all the way.
        let baselines: Vec<String> = banned.iter().map(|version| baseline::version(version)).collect();
        banned.extend(baselines.into_iter().filter(|version| self.weights.contains_key(version)));
        banned
    }

    /// The weights of versions that get somebody.
    fn served(&self) -> BTreeMap<String, u32> {
        let banned = self.banned();
        self.weights.iter().filter(|(version, _)| !banned.contains(*version)).map(|(v, w)| (v.clone(), *w)).collect()
    }

    /// The version that gets everybody.
    fn takeover(&self) -> Option<String> {
        if let Some(Word::Takeover(version)) = self.word {
            return Some(version.to_owned());
        }
        let banned = self.banned();
        self.intent.takeover.filter(|version| !banned.contains(*version)).map(str::to_owned)
    }

    /// What holds, else the steps.
    fn go_on(&mut self, take: Option<&str>, gate: &Gate) {
        let failed = !self.run.failed.is_empty();
        self.run.state = match self.word {
            Some(Word::Weights(weights)) => {
                self.set(weights);
                RunState::Held
            }
            _ if failed => RunState::RolledBack,
            Some(_) => RunState::Held,
            None if take.is_some() && !self.intent.steps.is_empty() => RunState::Held,
            None if self.control.paused || self.intent.paused => RunState::Paused,
            None if self.intent.steps.is_empty() => {
                let spec = self.intent.canaries.iter().map(|canary| (canary.version.to_owned(), canary.weight.buckets()));
                self.weights = spec.collect();
                RunState::Active
            }
            None => match self.intent.steps.get(self.step()) {
                _ if self.fails() => RunState::Held,
                Some(step) => self.step_on(step, gate),
                None => RunState::Completed,
            },
        };
        self.run.next = self.next(gate);
    }
}

/// The digests of a run and of its versions.
fn identity(intent: &Intent<'_>, attempt: u32) -> (String, String) {
    let mut versions = format!("{:?}", intent.stable);
    for canary in intent.canaries {
        versions.push_str(&format!("{:?}{:?}", canary.version, canary.workload));
    }
    let steps = serde_json::to_string(intent.steps).unwrap_or_default();
    (digest(&format!("{versions}{steps}{attempt}")), digest(&versions))
}

/// Six hexadecimal digits of a text.
fn digest(text: &str) -> String {
    let hash = murmur3::murmur3_32(&mut text.as_bytes(), 0).unwrap_or_default();
    format!("{:06x}", hash >> 8)
}
