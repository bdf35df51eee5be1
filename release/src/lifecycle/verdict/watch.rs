//! The analysis of a release on its way: counters as they are read, subtracted for each series, and one analysis after the other as steps go on.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::Verdict;
use super::analysis::{Analysis, Figures, Kept, Setup, Tick};
use super::status::{AnalysisStatus, MetricStatus};
use crate::api::v1alpha1::Spec;
use crate::lifecycle::baseline::{self, Measured};
use crate::lifecycle::evidence::counts::Counts;
use crate::lifecycle::live::is_measured;
use crate::lifecycle::run::{Run, RunState};

/// The counters of one metric of one version, by whatever tells its series apart. They only grow, and begin again at 0.
pub type Series = BTreeMap<String, Counts>;

/// What a source says at one time, by metric and version. What is absent was not read.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Counters.
    pub counters: BTreeMap<String, BTreeMap<String, Series>>,
    /// Values.
    pub values: BTreeMap<String, BTreeMap<String, f64>>,
}

/// The verdict on each canary, and why.
pub type Verdicts = BTreeMap<String, (Verdict, String)>;

/// The analysis of a release at the step that it is at.
#[derive(Clone, Debug, PartialEq)]
pub struct Watch {
    setup: Setup,
    /// Whether it looks at baselines, of which nobody thinks anything.
    is_baseline: bool,
    run: String,
    step: u32,
    began: Timestamp,
    /// The counters of the last reading; the first one is what the next is subtracted from.
    last: BTreeMap<String, BTreeMap<String, Series>>,
    analysis: Analysis,
    at: Timestamp,
}

impl Watch {
    /// The analysis of a release, where it has one that is not over; `kept` is what was kept of an earlier one.
    #[must_use]
    pub fn of(spec: &Spec, run: &Run, kept: Option<&AnalysisStatus>, now: Timestamp) -> Option<Self> {
        let mut setup = spec.analysed().filter(|_| is_open(spec, run))?;
        let is_baseline = is_measured(spec, run);
        if is_baseline {
            setup.canaries = setup.canaries.iter().map(|version| baseline::version(version)).collect();
        }
        setup.measured = run.measured.clone().unwrap_or_default();
        let is_of = |kept: &&AnalysisStatus| kept.metrics.iter().all(|metric| setup.canaries.contains(&metric.version));
        let kept = kept.filter(|kept| (kept.run.as_str(), kept.step) == (run.id.as_str(), run.step)).filter(is_of);
        // A state that cannot be read is of another version: the step is looked at from now on.
        let resumed = kept.and_then(|kept| Some((Analysis::resume(&setup, &states(kept)).ok()?, kept.began)));
        let (analysis, began) = resumed.unwrap_or_else(|| (Analysis::new(&setup), now));
        let (run, step) = (run.id.clone(), run.step);
        Some(Self { setup, is_baseline, run, step, began, last: BTreeMap::new(), analysis, at: now })
    }

    /// The same watch for what a release is now: another step has another analysis, and goes on from the counters that were read.
    #[must_use]
    pub fn follow(self, spec: &Spec, run: &Run, now: Timestamp) -> Option<Self> {
        let next = Self::of(spec, run, None, now)?;
        let same = next.setup == self.setup && (&next.run, next.step) == (&self.run, self.step);
        Some(if same { self } else { Self { last: self.last, ..next } })
    }

    /// The metrics and versions that it asks for.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Whether it looks at this step of this run.
    #[must_use]
    pub fn is_of(&self, run: &Run) -> bool {
        (self.run.as_str(), self.step) == (run.id.as_str(), run.step)
    }

    /// Takes a reading in; `None` where the source cannot be reached.
    pub fn read(&mut self, reading: Option<Reading>, now: Timestamp) {
        self.at = now;
        let elapsed = now.as_second().saturating_sub(self.began.as_second());
        let Reading { counters, values } = reading.unwrap_or_default();
        let mut counts: BTreeMap<String, BTreeMap<String, Counts>> = BTreeMap::new();
        for (metric, versions) in counters {
            for (version, series) in versions {
                let known = self.last.entry(metric.clone()).or_default();
                if let Some(before) = known.get(&version) {
                    counts.entry(metric.clone()).or_default().insert(version.clone(), grown(before, &series));
                }
                // A series that is missing for a while keeps its count.
                known.entry(version).or_default().extend(series);
            }
        }
        self.analysis.tick(&Tick { t: u64::try_from(elapsed).unwrap_or(0), counts, values });
    }

    /// What is thought of each canary: the worst of all metrics.
    #[must_use]
    pub fn verdicts(&self) -> Verdicts {
        let mut verdicts = Verdicts::new();
        if self.is_baseline {
            return verdicts;
        }
        for answer in self.analysis.report().metrics {
            let own = (answer.verdict, answer.sentence);
            let known = verdicts.entry(answer.version).or_insert_with(|| own.clone());
            if own.0 > known.0 {
                *known = own;
            }
        }
        verdicts
    }

    /// What baselines and stable had until now, by the canaries whose people these are.
    #[must_use]
    pub fn measured(&self) -> Vec<Measured> {
        let answers = self.analysis.report().metrics.into_iter().filter(|_| self.is_baseline);
        let measured = answers.filter_map(|answer| match answer.figures {
            Figures::Counts { seen, .. } => Some(Measured {
                metric: answer.name,
                version: baseline::canary(&answer.version).to_owned(),
                baseline: seen.canary,
                stable: seen.stable,
            }),
            Figures::Value { .. } => None,
        });
        measured.collect()
    }

    /// What is kept of it.
    #[must_use]
    pub fn status(&self) -> AnalysisStatus {
        let (report, mut kept) = (self.analysis.report(), self.analysis.keep());
        let metrics = report.metrics.into_iter().map(|answer| {
            let state = kept.states.get_mut(&answer.name).and_then(|states| states.remove(&answer.version));
            let mut status = MetricStatus {
                name: answer.name,
                version: answer.version,
                verdict: answer.verdict,
                because: answer.sentence,
                state: state.unwrap_or_default(),
                ..MetricStatus::default()
            };
            if self.is_baseline {
                (status.verdict, status.because) =
                    (Verdict::Undecided, "its people are measured on a clone of stable".to_owned());
            }
            match answer.figures {
                Figures::Counts { evidence, needed, seen, .. } => {
                    (status.canary, status.stable) = (Some(seen.canary), Some(seen.stable));
                    (status.evidence, status.needed) = (rounded(evidence.slow), rounded(needed.slow));
                }
                Figures::Value { value } => status.value = value.and_then(|value| value.try_into().ok()),
            }
            status
        });
        let metrics = metrics.collect();
        let (run, step) = (self.run.clone(), self.step);
        let verdict = if self.is_baseline { Verdict::Undecided } else { report.verdict };
        AnalysisStatus { verdict, at: self.at, run, step, began: self.began, t: report.t, metrics }
    }
}

/// Whether a run has still something to show: its steps go on, or it is watched after them.
fn is_open(spec: &Spec, run: &Run) -> bool {
    let after = spec.analysis.as_ref().and_then(|analysis| analysis.watch_after).map_or(0, |after| after.seconds());
    run.state != RunState::Completed || run.counted < u64::from(after)
}

fn states(kept: &AnalysisStatus) -> Kept {
    let mut states: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for metric in &kept.metrics {
        states.entry(metric.name.clone()).or_default().insert(metric.version.clone(), metric.state.clone());
    }
    Kept { t: kept.t, states }
}

/// By how much counters have grown: a new series from 0, and one that is smaller than before has begun again.
fn grown(before: &Series, now: &Series) -> Counts {
    let mut sum = Counts::default();
    for (name, own) in now {
        let before = before.get(name).filter(|before| before.all <= own.all && before.bad <= own.bad);
        let before = before.copied().unwrap_or_default();
        sum.add(Counts { bad: own.bad - before.bad, all: own.all - before.all });
    }
    sum
}

/// Two decimals, which a status shows.
fn rounded(evidence: f64) -> Option<crate::lifecycle::analysis::Number> {
    ((evidence * 100.0).round() / 100.0).try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(all: &[(&str, [u64; 2])]) -> Series {
        all.iter().map(|(name, [bad, all])| ((*name).to_owned(), Counts { bad: *bad, all: *all })).collect()
    }

    #[test]
    fn counters_are_subtracted_series_by_series() {
        let before = series(&[("a 200", [0, 10]), ("a 500", [5, 5]), ("b 200", [0, 7])]);
        let now = series(&[("a 200", [0, 12]), ("a 500", [2, 2]), ("c 500", [3, 3])]);
        // It grows by 2, begins again and has 2, is missing, is new.
        assert_eq!(grown(&before, &now), Counts { bad: 5, all: 7 });
    }

    fn spec() -> Spec {
        let spec = serde_json::json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2"}],
            "steps": [{"weight": "10%", "hold": "1m"}, {"weight": "100%"}], "analysis": {"metrics": [{"failures": {}}]}});
        serde_json::from_value(spec).unwrap()
    }

    fn run(step: u32, state: RunState) -> Run {
        let run =
            serde_json::json!({"id": "a", "versions": "b", "step": step, "seen": "2026-11-28T00:00:00Z", "state": state});
        serde_json::from_value(run).unwrap()
    }

    fn reading(canary: [u64; 2], stable: [u64; 2]) -> Option<Reading> {
        let of = |version: &str, counts| (version.to_owned(), series(&[("all", counts)]));
        let counters = [("failures".to_owned(), [of("v2", canary), of("v1", stable)].into())].into();
        Some(Reading { counters, ..Reading::default() })
    }

    #[test]
    fn each_step_has_its_own_analysis_and_nothing_is_counted_twice() {
        let (spec, start) = (spec(), 1_000_000);
        let at = |second: i64| Timestamp::from_second(start + second).unwrap();
        let mut watch = Watch::of(&spec, &run(0, RunState::Holding), None, at(0)).unwrap();
        // What was there before is nobody's.
        watch.read(reading([50, 100], [0, 1000]), at(0));
        let seen = |watch: &Watch| watch.status().metrics[0].canary;
        assert_eq!(seen(&watch), Some(Counts::default()));
        watch.read(reading([50, 110], [0, 1090]), at(10));
        assert_eq!(seen(&watch), Some(Counts { bad: 0, all: 10 }));
        // Another process goes on from what is kept, and loses what came meanwhile.
        let kept = watch.status();
        let mut other = Watch::of(&spec, &run(0, RunState::Holding), Some(&kept), at(20)).unwrap();
        other.read(reading([70, 200], [0, 2000]), at(20));
        assert_eq!(seen(&other), seen(&watch));
        other.read(reading([71, 201], [0, 2000]), at(30));
        assert_eq!(seen(&other), Some(Counts { bad: 1, all: 11 }));
        // The next step begins with nothing, and has all that comes.
        let mut next = other.follow(&spec, &run(1, RunState::Holding), at(31)).unwrap();
        assert_eq!(seen(&next), Some(Counts::default()));
        next.read(reading([71, 205], [0, 2000]), at(40));
        assert_eq!(seen(&next), Some(Counts { bad: 0, all: 4 }));
        assert_eq!(next.follow(&spec, &run(2, RunState::Completed), at(41)), None);
    }

    #[test]
    fn a_source_that_is_away_gives_no_data_and_no_harm() {
        let mut watch = Watch::of(&spec(), &run(0, RunState::Holding), None, Timestamp::UNIX_EPOCH).unwrap();
        for second in 1..4 {
            watch.read(None, Timestamp::from_second(second * 10).unwrap());
        }
        assert_eq!(watch.verdicts()["v2"].0, Verdict::NoData);
    }
}
