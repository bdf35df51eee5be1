//! Analyses of releases: what to ask of metric sources, and what their answers come to. No client required; the time comes in.
//!
//! Istio's standard metrics are asked for by namespace, so that a hundred releases of one are one query. Counters are read as they
//! stand and subtracted series by series: `rate()` and `increase()` see nothing of a series that is new.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::compile::Analysed;
use serin_release::lifecycle::analysis::{AnalysisSpec, MetricSpec};
use serin_release::lifecycle::evidence::counts::Counts;
use serin_release::lifecycle::run::Run;
use serin_release::lifecycle::verdict::Verdict;
use serin_release::lifecycle::verdict::analysis::Setup;
use serin_release::lifecycle::verdict::watch::{Reading, Series, Watch};

use crate::resource::Resource;

mod query;

pub use query::{Answers, Question, Sample};

/// What is analysed of one release.
struct Analysis {
    watch: Watch,
    subject: Subject,
}

/// What its metrics are about.
#[derive(PartialEq)]
struct Subject {
    /// The metric source; else why there is none.
    source: Result<String, String>,
    namespace: String,
    service: String,
    host: String,
    stable: String,
    canaries: Vec<String>,
    metrics: Vec<MetricSpec>,
}

/// The analyses of all releases.
pub struct Analyses {
    sources: Vec<String>,
    labels: String,
    all: BTreeMap<ReleaseId, Analysis>,
    /// Whether other questions are to be asked than were said last.
    has_news: bool,
}

impl Analyses {
    /// No analyses yet; `sources` are the names of metric sources, and `labels` are matchers for each query to Istio's metrics.
    #[must_use]
    pub fn new(sources: Vec<String>, labels: String) -> Self {
        Self { sources, labels, all: BTreeMap::new(), has_news: false }
    }

    /// Follows a release to where its run is: an analysis begins, goes on or ends.
    pub fn follow(&mut self, resource: &Resource, run: Option<&Run>, now: Timestamp) {
        let before = self.all.remove(&resource.id);
        let (watch, subject) = before.map(|before| (before.watch, before.subject)).unzip();
        let now = self.next(resource, run, watch, now);
        self.has_news |= now.as_ref().map(|now| &now.subject) != subject.as_ref();
        self.all.extend(now.map(|now| (resource.id.clone(), now)));
    }

    /// The analysis of a release where its run is.
    fn next(&self, resource: &Resource, run: Option<&Run>, before: Option<Watch>, now: Timestamp) -> Option<Analysis> {
        let (release, run) = resource.parsed.as_ref().ok().filter(|_| !resource.leaves()).zip(run)?;
        let spec = release.spec.analysis.as_ref()?;
        let watch = match before {
            Some(before) => before.follow(&release.spec, run, now),
            None => Watch::of(&release.spec, run, resource.status.analysis.as_ref(), now),
        };
        let watch = watch?;
        let subject = Subject::of(release, watch.setup(), spec, self.source(spec));
        Some(Analysis { watch, subject })
    }

    /// The source that a spec names, else the only one.
    fn source(&self, spec: &AnalysisSpec) -> Result<String, String> {
        let known = if self.sources.is_empty() { "none".to_owned() } else { self.sources.join(", ") };
        match (&spec.source, self.sources.as_slice()) {
            (Some(name), sources) if sources.contains(name) => Ok(name.clone()),
            (None, [only]) => Ok(only.clone()),
            (Some(name), _) => Err(format!(
                "spec.analysis.source: there is no metric source `{name}`; the administrator has set up {known} (`--metrics NAME=URL`)"
            )),
            (None, []) => {
                Err("there is no metric source; the administrator sets one up with `--metrics NAME=URL`".to_owned())
            }
            (None, _) => Err(format!("there are several metric sources; write one of {known} as spec.analysis.source")),
        }
    }

    /// All that is to be asked, where that is something else than was said last.
    pub fn news(&mut self) -> Option<BTreeSet<Question>> {
        std::mem::take(&mut self.has_news).then(|| self.questions())
    }

    /// All that is to be asked.
    #[must_use]
    pub fn questions(&self) -> BTreeSet<Question> {
        self.all.values().flat_map(|analysis| analysis.subject.questions(&self.labels)).collect()
    }

    /// Takes answers in; the releases of which something else is thought now than before.
    pub fn read(&mut self, answers: &Answers, now: Timestamp) -> BTreeSet<ReleaseId> {
        let mut told = BTreeSet::new();
        for (id, analysis) in &mut self.all {
            let before = verdicts(&analysis.watch);
            analysis.watch.read(Some(analysis.subject.reading(&self.labels, answers)), now);
            if verdicts(&analysis.watch) != before {
                told.insert(id.clone());
            }
        }
        told
    }

    /// What is thought of a release.
    #[must_use]
    pub fn of(&self, id: &ReleaseId) -> Option<Told> {
        let Analysis { watch, subject } = self.all.get(id)?;
        let analysed = Analysed { verdicts: watch.verdicts(), status: watch.status(), measured: watch.measured() };
        Some(Told { analysed, no_source: subject.source.clone().err() })
    }
}

/// What an analysis tells of a release.
#[derive(Clone, Debug)]
pub struct Told {
    /// What is thought of its canaries.
    pub analysed: Analysed,
    /// Why nobody is asked for counts.
    pub no_source: Option<String>,
}

fn verdicts(watch: &Watch) -> BTreeMap<String, Verdict> {
    watch.verdicts().into_iter().map(|(version, (verdict, _))| (version, verdict)).collect()
}

impl Subject {
    fn of(release: &CanaryRelease, setup: &Setup, spec: &AnalysisSpec, source: Result<String, String>) -> Self {
        Self {
            source,
            namespace: release.metadata.namespace.clone(),
            service: release.spec.service.clone(),
            host: release.host(),
            stable: release.spec.stable.version.clone(),
            canaries: setup.canaries.clone(),
            metrics: spec.metrics.clone(),
        }
    }

    /// The versions that a metric is about: a value is the canary's alone.
    fn versions(&self, metric: &MetricSpec) -> impl Iterator<Item = &String> {
        let stable = metric.query.is_none().then_some(&self.stable);
        stable.into_iter().chain(&self.canaries)
    }

    fn questions(&self, labels: &str) -> Vec<Question> {
        let Ok(source) = &self.source else { return Vec::new() };
        let ask = |promql: String| Question { source: source.clone(), promql };
        let mut questions = Vec::new();
        for metric in &self.metrics {
            if metric.failures.is_some() {
                questions.push(ask(query::requests(&self.namespace, labels)));
            }
            if let Some(slower) = metric.slower {
                questions.push(ask(query::durations(&self.namespace, slower.than.milliseconds(), labels)));
            }
            for version in self.versions(metric) {
                let own = |text: &str| ask(query::filled_in(text, version, &self.service, &self.namespace));
                questions.extend(metric.counts.iter().flat_map(|counts| [own(&counts.bad), own(&counts.all)]));
                questions.extend(metric.query.iter().map(|text| own(text)));
            }
        }
        questions
    }

    /// What the answers say of the release; a metric that was not answered for is left out.
    fn reading(&self, labels: &str, answers: &Answers) -> Reading {
        let mut reading = Reading::default();
        let Ok(source) = &self.source else { return reading };
        let answer = |promql: String| answers.get(&Question { source: source.clone(), promql });
        for metric in &self.metrics {
            let name = metric.called();
            for version in self.versions(metric) {
                let own = |text: &str| answer(query::filled_in(text, version, &self.service, &self.namespace));
                let series = if metric.failures.is_some() {
                    answer(query::requests(&self.namespace, labels)).map(|all| query::failures(all, &self.host, version))
                } else if let Some(slower) = metric.slower {
                    let all = answer(query::durations(&self.namespace, slower.than.milliseconds(), labels));
                    all.map(|all| query::slow(all, &self.host, version))
                } else if let Some(counts) = &metric.counts {
                    own(&counts.bad).zip(own(&counts.all)).map(|(bad, all)| counted(bad, all))
                } else {
                    let value =
                        metric.query.as_ref().and_then(|text| own(text)).and_then(|samples| match samples.as_slice() {
                            [only] => Some(only.value),
                            _ => None,
                        });
                    reading.values.entry(name.clone()).or_default().extend(value.map(|value| (version.clone(), value)));
                    None
                };
                if let Some(series) = series {
                    reading.counters.entry(name.clone()).or_default().insert(version.clone(), series);
                }
            }
        }
        reading
    }
}

/// The counters of two selectors: the bad ones and all.
fn counted(bad: &[Sample], all: &[Sample]) -> Series {
    let series = |prefix: &str, samples: &[Sample], counts: fn(u64) -> Counts| -> Vec<(String, Counts)> {
        samples.iter().map(|sample| (format!("{prefix}{:?}", sample.labels), counts(sample.count()))).collect()
    };
    let bad = series("bad", bad, |bad| Counts { bad, all: 0 });
    bad.into_iter().chain(series("all", all, |all| Counts { bad: 0, all })).collect()
}

#[cfg(test)]
mod tests;
