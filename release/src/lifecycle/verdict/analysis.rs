//! The analysis of one step of a release, which is fed tick by tick.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Verdict;
use super::counted::Counted;
use super::metric::{Kind, Metric};
use super::plan::Plan;
use super::sentence::{self, Words};
use super::watched::Watched;
use crate::lifecycle::baseline::{self, Measured};
use crate::lifecycle::evidence::counts::{Counts, Pair};
use crate::lifecycle::evidence::text::{Reader, Writer, bytes};
use crate::lifecycle::evidence::{Evidence, Test, good};

/// What is analysed.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Stable's version.
    pub stable: String,
    /// The versions of the canaries.
    pub canaries: Vec<String>,
    /// The metrics; names are unique.
    pub metrics: Vec<Metric>,
    /// What is planned, which says how much evidence is needed.
    pub plan: Plan,
    /// What was measured of the canaries' people before.
    pub measured: Vec<Measured>,
}

/// What was read at one time, by metric and version. What is absent was not read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tick {
    /// The time since the step began, in seconds.
    pub t: u64,
    /// Requests since the tick before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, BTreeMap<String, Counts>>,
    /// Values at this time.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, BTreeMap<String, f64>>,
}

/// What is thought after a tick.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The time of the last tick since the step began, in seconds.
    pub t: u64,
    /// The worst verdict of all; without metrics or canaries there is no data.
    pub verdict: Verdict,
    /// For each metric, and in it for each canary.
    pub metrics: Vec<Answer>,
}

/// What is thought of a canary in one metric.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The metric.
    pub name: String,
    /// The canary's version.
    pub version: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What it is drawn from.
    #[serde(flatten)]
    pub figures: Figures,
    /// The same in one line, for people.
    #[serde(skip)]
    pub sentence: String,
}

/// What a verdict is drawn from. Evidence is in natural logarithms.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figures {
    /// Of a metric that counts requests.
    Counts {
        /// Evidence that the canary is worse than stable.
        evidence: Evidence,
        /// The evidence from which on it is harmful.
        needed: Evidence,
        /// Evidence that it is above the limit, where there is one; as much is needed.
        #[serde(skip_serializing_if = "Option::is_none")]
        limit: Option<Evidence>,
        /// Evidence that it is good.
        good: GoodEvidence,
        /// All counts since the step began.
        #[serde(skip)]
        seen: Pair,
    },
    /// Of a metric that watches a value.
    Value {
        /// The last value, unless there is none.
        value: Option<f64>,
    },
}

/// Evidence that a canary is good, as natural logarithms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct GoodEvidence {
    /// What there is.
    pub evidence: f64,
    /// From which on it is good.
    pub needed: f64,
}

/// What is kept of an analysis, so that another one continues it: a text of some 250 characters for each metric and canary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The time of the last tick since the step began, in seconds.
    pub t: u64,
    /// By metric and canary.
    pub states: BTreeMap<String, BTreeMap<String, String>>,
}

/// A kept state that is not one of the metric.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kept state of metric `{metric}` for version `{version}` cannot be read; start the analysis of the step again")]
pub struct KeptError {
    /// The metric.
    pub metric: String,
    /// The canary's version.
    pub version: String,
}

/// A canary in a metric.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    metric: Metric,
    version: String,
    state: State,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    Counted(Box<Counted>),
    Watched(Watched),
}

/// The forms of a kept state; another form has another number.
const COUNTED: u64 = 1;
const WATCHED: u64 = 2;

impl State {
    fn new(kind: &Kind) -> Self {
        match kind {
            Kind::Counts { tolerance, .. } => Self::Counted(Box::new(Counted::new(tolerance.clone()))),
            Kind::Value(bounds) => Self::Watched(Watched::new(bounds.clone())),
        }
    }

    fn write(&self) -> String {
        let mut writer = Writer::default();
        match self {
            Self::Counted(counted) => {
                writer.number(COUNTED);
                counted.write(&mut writer);
            }
            Self::Watched(watched) => {
                writer.number(WATCHED);
                watched.write(&mut writer);
            }
        }
        writer.text()
    }

    fn read(kind: &Kind, text: &str) -> Option<Self> {
        let bytes = bytes(text)?;
        let mut reader = Reader(&bytes);
        let state = match (kind, reader.number()?) {
            (Kind::Counts { tolerance, .. }, COUNTED) => {
                Self::Counted(Box::new(Counted::read(tolerance.clone(), &mut reader)?))
            }
            (Kind::Value(bounds), WATCHED) => Self::Watched(Watched::read(bounds.clone(), &mut reader)?),
            _ => return None,
        };
        reader.is_at_end().then_some(state)
    }
}

/// The analysis of one step. Another step has another one.
#[derive(Clone, Debug, PartialEq)]
pub struct Analysis {
    stable: String,
    needed: Evidence,
    t: u64,
    rows: Vec<Row>,
}

impl Analysis {
    /// An analysis that has seen nothing.
    #[must_use]
    pub fn new(setup: &Setup) -> Self {
        let shares = baseline::shares(&setup.measured);
        let row = |metric: &Metric, version: &String| {
            let mut metric = metric.clone();
            if let Kind::Counts { tolerance, .. } = &mut metric.kind {
                tolerance.share = shares.get(&(metric.name.as_str(), version.as_str())).copied().unwrap_or(tolerance.share);
            }
            Row { state: State::new(&metric.kind), metric, version: version.clone() }
        };
        let rows = setup.metrics.iter().flat_map(|metric| setup.canaries.iter().map(|version| row(metric, version)));
        Self { stable: setup.stable.clone(), needed: setup.plan.needed(), t: 0, rows: rows.collect() }
    }

    /// Continues an analysis. A metric or a canary that nothing was kept of begins; what was kept of others is dropped.
    ///
    /// # Errors
    /// The first metric and canary whose state cannot be read.
    pub fn resume(setup: &Setup, kept: &Kept) -> Result<Self, KeptError> {
        let mut analysis = Self::new(setup);
        analysis.t = kept.t;
        for Row { metric, version, state } in &mut analysis.rows {
            if let Some(text) = kept.states.get(&metric.name).and_then(|versions| versions.get(version)) {
                let error = || KeptError { metric: metric.name.clone(), version: version.clone() };
                *state = State::read(&metric.kind, text).ok_or_else(error)?;
            }
        }
        Ok(analysis)
    }

    /// What another analysis needs to continue this one.
    #[must_use]
    pub fn keep(&self) -> Kept {
        let mut states: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        for Row { metric, version, state } in &self.rows {
            states.entry(metric.name.clone()).or_default().insert(version.clone(), state.write());
        }
        Kept { t: self.t, states }
    }

    /// Adds what was read, and says what is thought then.
    pub fn tick(&mut self, tick: &Tick) -> Report {
        self.t = tick.t;
        for Row { metric, version, state } in &mut self.rows {
            match state {
                State::Counted(counted) => {
                    let versions = tick.counts.get(&metric.name);
                    let of = |version: &str| versions.and_then(|versions| versions.get(version)).copied();
                    counted.tick(tick.t, of(version), of(&self.stable), &self.needed);
                }
                State::Watched(watched) => {
                    watched.tick(tick.t, tick.values.get(&metric.name).and_then(|versions| versions.get(version)).copied());
                }
            }
        }
        self.report()
    }

    /// What is thought after the last tick.
    #[must_use]
    pub fn report(&self) -> Report {
        let metrics: Vec<Answer> = self.rows.iter().map(|row| self.answer(row)).collect();
        let verdict = metrics.iter().map(|answer| answer.verdict).max().unwrap_or(Verdict::NoData);
        Report { t: self.t, verdict, metrics }
    }

    fn answer(&self, row: &Row) -> Answer {
        let Row { metric, version, state } = row;
        let (verdict, figures, sentence) = match state {
            State::Counted(counted) => {
                let tests = counted.tests();
                let figures = Figures::Counts {
                    evidence: tests.harm(),
                    needed: self.needed,
                    limit: tests.above_limit(),
                    good: GoodEvidence { evidence: tests.good(), needed: good::needed() },
                    seen: tests.seen(Test::Slow),
                };
                let noun = if let Kind::Counts { noun, .. } = &metric.kind { noun } else { "bad requests" };
                let words = Words { canary: version, stable: &self.stable, noun };
                (counted.verdict(), figures, sentence::counted(counted, words, &self.needed))
            }
            State::Watched(watched) => {
                (watched.verdict(), Figures::Value { value: watched.value() }, sentence::watched(watched, version))
            }
        };
        Answer { name: metric.name.clone(), version: version.clone(), verdict, figures, sentence }
    }
}
