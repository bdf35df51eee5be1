//! Figures of the console: each second what Envoy counted, what people of the log got, and who is ready.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serin_console::figures::{Figures, ReleaseFigures, Served as Answered};
use serin_console::past::{Past, Reading, WINDOW};
use serin_console::requests::{Ring, keys};
use serin_console::stats::Bins;
use serin_console::verdict::Observed;
use serin_release::api::standalone::Service;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::admin::{Admin, Hosts, Stats};
use super::envoy::cluster_name;
use super::log::Requests;
use super::resolve::Served;
use super::stats::{of_own_upstreams, stat_name};

/// Between two readings.
const TICK: Duration = Duration::from_secs(1);
/// After so many of them it is asked who is ready.
const HOSTS: u64 = 3;
/// So many windows of people a verdict looks at, each of so many seconds.
const WINDOWS: i64 = 3;
const PEOPLE: i64 = WINDOW / WINDOWS;

/// Histograms by their names.
type Times = BTreeMap<String, Vec<(f64, f64, u64)>>;

/// Reads figures as long as somebody may look at them.
pub(super) fn follow(
    admin: Admin,
    served: watch::Receiver<Option<Arc<Served>>>,
    requests: Requests,
) -> watch::Receiver<Arc<Figures>> {
    let source = "Envoy's admin interface".to_owned();
    let (sender, receiver) = watch::channel(Arc::new(Figures { source, tick: 1, ..Figures::default() }));
    tokio::spawn(async move {
        let (mut past, mut tick, mut hosts) = (Past::default(), interval(TICK), Hosts::default());
        let mut ticks = 0_u64;
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !sender.is_closed() {
            tick.tick().await;
            let Some(now) = served.borrow().clone() else { continue };
            let (counters, times) = tokio::join!(admin.counters(), admin.times());
            // All clusters are a long answer.
            if ticks.is_multiple_of(HOSTS) {
                hosts = admin.hosts().await.unwrap_or_default();
            }
            ticks += 1;
            let at = Timestamp::now();
            match counters.zip(times) {
                Some((counters, times)) => {
                    past.read(at, reading(&now, &counters, &times));
                    let mut figures = figures(&past, at, &now, &requests);
                    ready(&mut figures, &now, &hosts);
                    sender.send_modify(|last| *last = Arc::new(Figures { source: last.source.clone(), ..figures }));
                }
                // What was read last goes on to be shown, with its age.
                None => sender.send_modify(|last| {
                    let problem = Some("Envoy's admin interface does not answer".to_owned());
                    *last = Arc::new(Figures { problem, ..Figures::clone(last) });
                }),
            }
        }
    });
    receiver
}

/// The services of a release with the versions of their default routes.
fn services<'s>(served: &'s Served, release: &str) -> Vec<(&'s Service, Option<&'s String>)> {
    let split = served.checked.document.splits.iter().find(|split| split.release == release);
    let is_routed = |service: &Service| {
        split.is_some_and(|split| split.hosts.contains(&service.host) && split.ports.contains(&service.port))
    };
    let all = served.spec.services.iter().enumerate().filter(|(_, service)| is_routed(service));
    all.map(|(index, service)| (service, served.defaults.get(index))).collect()
}

/// The counters of all releases.
fn reading(served: &Served, counters: &Stats, times: &Times) -> Reading {
    let mut reading = Reading::default();
    for (name, value) in counters.iter() {
        if let (Some(key), Ok(count)) = (decision(name), value.parse::<u64>()) {
            reading.decided.insert(key, count);
        }
    }
    for release in &served.releases {
        let id = release.id();
        for (service, default) in services(served, &id) {
            for version in service.versions.keys() {
                let name = |what: &str| of_own_upstreams(service, version, default, what);
                let own = reading.served.entry((id.clone(), version.clone())).or_insert_with(Answered::default);
                own.requests += counters.number(&name("upstream_rq_completed"));
                own.failures += counters.number(&name("upstream_rq_5xx"));
                // Both are counted at once, so that no request under way is taken for one that went elsewhere.
                let all = format!("cluster.{}.upstream_rq_completed", stat_name(&cluster_name(service, version)));
                own.elsewhere += counters.number(&all).saturating_sub(counters.number(&name("upstream_rq_completed")));
                if let Some(bins) = times.get(&name("upstream_rq_time")) {
                    own.times = own.times.with(&Bins::detailed(bins));
                }
            }
        }
    }
    reading
}

/// Release, version and reason in the name of a counter of the filter.
fn decision(name: &str) -> Option<(String, String, String)> {
    let tags = name.strip_suffix("decisions_total")?;
    let tag = |tag: &str| {
        let value = tags.split_once(&format!("{tag}=.="))?.1;
        value.split_once(";.;").map(|(value, _)| value.to_owned())
    };
    Some((tag("release")?, tag("version")?, tag("reason")?))
}

fn figures(past: &Past, at: Timestamp, served: &Served, requests: &Requests) -> Figures {
    let mut releases = past.figures();
    for release in &served.releases {
        let (id, addresses) = (release.id(), services(served, &release.id()));
        let addresses: Vec<_> = addresses.iter().map(|(service, _)| (service.host.clone(), service.port)).collect();
        let own: &mut ReleaseFigures = releases.entry(id).or_default();
        let versions = std::iter::once(&release.spec.stable.version);
        let versions: Vec<&String> = versions.chain(release.spec.canaries.iter().map(|canary| &canary.version)).collect();
        own.shares = match served.spec.access_log.as_str() {
            "/dev/stdout" => shares(&requests.look(), &addresses, &versions, at),
            _ => {
                let why = "people are seen in the access log; set `spec.accessLog: /dev/stdout`";
                versions.iter().map(|version| ((*version).clone(), vec![Err(why.to_owned())])).collect()
            }
        };
    }
    Figures { at: Some(at), tick: 1, window: past.seconds(), problem: None, releases, ..Figures::default() }
}

/// Who is ready, as Envoy has it.
fn ready(figures: &mut Figures, served: &Served, hosts: &Hosts) {
    let seen = hosts.ready();
    for release in &served.releases {
        let own = figures.releases.entry(release.id()).or_default();
        for (service, _) in services(served, &release.id()) {
            for (version, addresses) in &service.versions {
                let name = cluster_name(service, version);
                // Where another version answers in its place, its own upstreams are in a cluster of their own.
                let of_own = format!("{name}|own");
                for address in addresses {
                    let of = |cluster: &str| seen.get(&(cluster, address.clone())).copied();
                    if let Some(ready) = of(&of_own).or_else(|| of(&name)) {
                        own.ready.insert((version.clone(), address.clone()), ready);
                    }
                }
            }
        }
    }
}

/// What was seen of shares, by distinct people in windows that follow one another.
fn shares(
    ring: &Ring,
    services: &[(String, u16)],
    versions: &[&String],
    now: Timestamp,
) -> BTreeMap<String, Vec<Result<Observed, String>>> {
    let mut shares: BTreeMap<String, Vec<Result<Observed, String>>> = BTreeMap::new();
    for window in (0..WINDOWS).rev() {
        let end = now.as_second() - window * PEOPLE;
        let (people, count) = ring.people(services, end - PEOPLE..end);
        let (by_version, all) = (keys(&people), people.len() as u64);
        for version in versions {
            let hits = by_version.get(version.as_str()).copied().unwrap_or(0);
            let seen = Observed::by_keys(hits, all, count).ok_or_else(|| format!("nobody came in {PEOPLE} s"));
            shares.entry((*version).clone()).or_default().push(seen);
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_of_the_filter_names_its_decision() {
        let name = "wasmcustom.serin.release=.=bookinfo/reviews;.;version=.=v1;.;reason=.=no-key;.;decisions_total";
        let expected = ["bookinfo/reviews", "v1", "no-key"].map(str::to_owned);
        assert_eq!(decision(name), Some(expected.into()));
        assert_eq!(decision("cluster.x;.upstream_rq_completed"), None);
        assert_eq!(decision("wasmcustom.decisions_total"), None);
    }
}
