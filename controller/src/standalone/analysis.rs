//! Analyses of releases, by the counters of Envoy's clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serin_release::api::standalone::Service;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::compile::{Analysed, Moment};
use serin_release::lifecycle::analysis::{AnalysisSpec, MetricSpec};
use serin_release::lifecycle::evidence::counts::Counts;
use serin_release::lifecycle::verdict::Verdict;
use serin_release::lifecycle::verdict::watch::{Reading, Series, Verdicts, Watch};
use serin_release::{Kept, Problem};
use tokio::time::Instant;

use super::admin::{Admin, Stats};
use super::resolve::Served;
use super::stats::of_own_upstreams;

/// Between two readings of the counters.
const TICK: Duration = Duration::from_secs(5);

/// The analyses of the releases that Envoy serves.
#[derive(Default)]
pub(super) struct Analyses {
    watches: BTreeMap<String, Watch>,
    due: Option<Instant>,
}

impl Analyses {
    /// Analyses of what is served from now on: those that are under way go on, and others with what was kept of them.
    pub(super) fn follow(&mut self, served: &Served) {
        let now = Timestamp::now();
        let mut before = std::mem::take(&mut self.watches);
        for release in &served.releases {
            let id = release.id();
            let Some(Kept { run: Some(run), analysis, .. }) = served.checked.state.0.get(&id) else { continue };
            let watch = match before.remove(&id) {
                Some(watch) => watch.follow(&release.spec, run, now),
                None => Watch::of(&release.spec, run, analysis.as_ref(), now),
            };
            self.watches.extend(watch.map(|watch| (id, watch)));
        }
        let soon = || Instant::now() + TICK;
        self.due = (!self.watches.is_empty()).then(|| self.due.unwrap_or_else(soon));
    }

    /// When counters are to be read; `None` where nothing is analysed.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Reads the counters, and says what is new of each release; nothing where that is not due.
    pub(super) async fn read(&mut self, admin: Admin, served: &Served) -> Vec<String> {
        if self.due.is_none_or(|due| Instant::now() < due) {
            return Vec::new();
        }
        self.due = Some(Instant::now() + TICK);
        let stats = admin.clusters().await;
        let now = Timestamp::now();
        let mut news = Vec::new();
        for release in &served.releases {
            let id = release.id();
            let Some(watch) = self.watches.get_mut(&id) else { continue };
            let before = watch.verdicts();
            let canaries = watch.setup().canaries.clone();
            watch.read(stats.as_ref().map(|stats| reading(stats, served, release, &canaries)), now);
            news.extend(changes(&before, &watch.verdicts()).map(|words| format!("{id}: {words}")));
        }
        news
    }

    /// The time, and what came of canaries until then.
    pub(super) fn moment(&self) -> Moment {
        let analysed =
            |watch: &Watch| Analysed { verdicts: watch.verdicts(), status: watch.status(), measured: watch.measured() };
        let analysed = self.watches.iter().map(|(id, watch)| (id.clone(), analysed(watch))).collect();
        Moment { now: Some(Timestamp::now()), analysed }
    }
}

/// What is thought now, where that is something else than before.
fn changes(before: &Verdicts, now: &Verdicts) -> impl Iterator<Item = String> {
    let told = |(version, (verdict, because)): (&String, &(Verdict, String))| {
        let is_new = before.get(version).is_none_or(|(before, _)| before != verdict);
        is_new.then(|| format!("analysis of {version}: {verdict}: {because}"))
    };
    now.iter().filter_map(told).collect::<Vec<_>>().into_iter()
}

/// The counters of a release's versions.
fn reading(stats: &Stats, served: &Served, release: &CanaryRelease, canaries: &[String]) -> Reading {
    let mut reading = Reading::default();
    let Some(analysis) = &release.spec.analysis else { return reading };
    let id = release.id();
    let split = served.checked.document.splits.iter().find(|split| split.release.as_str() == id);
    let is_routed = |service: &&Service| {
        split.is_some_and(|split| split.hosts.contains(&service.host) && split.ports.contains(&service.port))
    };
    let services = served.spec.services.iter().zip(&served.defaults).filter(|(service, _)| is_routed(service));
    let services: Vec<(&Service, &String)> = services.collect();
    let versions: Vec<&String> = std::iter::once(&release.spec.stable.version).chain(canaries).collect();
    for metric in &analysis.metrics {
        let all = versions.iter().map(|version| ((*version).clone(), series(stats, metric, &services, version)));
        reading.counters.insert(metric.called(), all.collect());
    }
    reading
}

/// The counters of a version: one series for each service, of what the version's own upstreams answered.
///
/// What stable answers in place of a canary that is not ready counts for neither: not as the canary's, which would be good while it is down,
/// and not as stable's, since it is of the canary's people.
fn series(stats: &Stats, metric: &MetricSpec, services: &[(&Service, &String)], version: &str) -> Series {
    let counted = |(service, default): &(&Service, &String)| {
        let name = |what: &str| of_own_upstreams(service, version, Some(default), what);
        let counts = match metric.slower {
            Some(slower) => slower_than(stats.text(&name("upstream_rq_time")), slower.than.milliseconds()),
            None => {
                Counts { bad: stats.number(&name("upstream_rq_5xx")), all: stats.number(&name("upstream_rq_completed")) }
            }
        };
        (name(""), counts)
    };
    services.iter().map(counted).collect()
}

/// Requests in a histogram as Envoy prints it, `B0.5(0,0) B1(0,12)`: by their upper edges in milliseconds, those of the last interval and
/// all of them. The time is rounded up to an edge.
fn slower_than(histogram: &str, milliseconds: u32) -> Counts {
    let bucket = |text: &str| -> Option<(f64, u64)> {
        let (edge, counts) = text.strip_prefix('B')?.strip_suffix(')')?.split_once('(')?;
        Some((edge.parse().ok()?, counts.split_once(',')?.1.parse().ok()?))
    };
    let buckets: Vec<(f64, u64)> = histogram.split(' ').filter_map(bucket).collect();
    let all = buckets.last().map_or(0, |(_, all)| *all);
    let within = buckets.iter().find(|(edge, _)| *edge >= f64::from(milliseconds)).map_or(all, |(_, within)| *within);
    Counts { bad: all.saturating_sub(within), all }
}

/// What Envoy does not count.
pub(super) fn check(analysis: &AnalysisSpec) -> Result<(), Problem> {
    for (index, metric) in analysis.metrics.iter().enumerate() {
        if let Some(kind) = ["counts", "query"].into_iter().find(|kind| metric.kinds().contains(kind)) {
            let problem = "`serin standalone` reads the counters of its own Envoy, and asks no metric source";
            let path = format!("spec.analysis.metrics[{index}].{kind}");
            return Err(Problem::new(path, problem, "use `failures` or `slower`"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_rounded_up_to_an_edge_of_the_histogram() {
        let histogram = "B0.5(0,1) B1(0,3) B5(2,7) B3.6e+06(2,9)";
        for (than, bad) in [(1, 6), (2, 2), (5, 2), (6, 0), (600_000, 0)] {
            assert_eq!(slower_than(histogram, than), Counts { bad, all: 9 }, "{than}");
        }
        assert_eq!(slower_than("No recorded values", 1), Counts::default());
    }
}
