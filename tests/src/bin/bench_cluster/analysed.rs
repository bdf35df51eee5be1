//! What releases on their way cost: all of them with steps and an analysis, judged by a Prometheus that knows each version's requests.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use serin_tests::http::Connection;
use serin_tests::mesh::{Controller, eventually_within, process};
use serin_tests::names::Name;
use serin_tests::upstream;

use crate::api::{Api, releases};
use crate::{PATIENCE, Result};

/// The metric source, as a flag of the controller.
pub(crate) const SOURCE: &str = "main=http://127.0.0.1:19090";
const PROMETHEUS: &str = "127.0.0.1:19090";
/// Where Prometheus scrapes what proxies of callers would tell.
const EXPORTER: &str = "127.0.0.1:18098";
/// So long it is looked at.
const LOOK: Duration = Duration::from_secs(120);

/// What all releases cost in a minute.
pub(crate) struct Analysed {
    /// The controller's part of a core.
    pub(crate) cpu: f64,
    /// Queries to Prometheus.
    pub(crate) queries: f64,
    /// Writes to the API server.
    pub(crate) writes: f64,
}

/// Gives each release steps and an analysis, and looks at them while nothing goes on but counting.
pub(crate) fn costs(api: &mut Api, controller: &Controller, names: &[Name]) -> Result<Analysed> {
    export(names)?;
    process("start", "prometheus")?;
    let analysis = json!({"metrics": [{"failures": {}}]});
    let steps = json!([{"weight": "5%", "hold": "1h"}, {"weight": "100%"}]);
    for Name { namespace, service } in names {
        let spec = json!({"spec": {"steps": steps, "analysis": analysis}});
        api.patch(&format!("{}/{service}", releases(namespace)), &spec)?;
    }
    eventually_within(PATIENCE, "all are judged", || {
        let judged = controller.metric("serin_analysis_evidence_needed", "")?;
        let holding = controller.metric("serin_run_state", "state=\"Holding\"")?;
        Ok(if holding >= names.len() as f64 && judged > 0.0 { Ok(()) } else { Err(format!("{holding} of {}", names.len())) })
    })?;
    let look = || -> Result<[f64; 3]> { Ok([cpu(controller.id())?, queries()?, controller.writes()?]) };
    let (start, before) = (Instant::now(), look()?);
    std::thread::sleep(LOOK);
    let (seconds, after) = (start.elapsed().as_secs_f64(), look()?);
    process("stop", "prometheus")?;
    // What is measured next are weights of the spec, which act without steps.
    for Name { namespace, service } in names {
        api.patch(&format!("{}/{service}", releases(namespace)), &json!({"spec": {"steps": null, "analysis": null}}))?;
    }
    let [cpu, queries, writes] = [0, 1, 2].map(|index: usize| {
        let of = |values: &[f64; 3]| values.get(index).copied().unwrap_or(f64::NAN);
        (of(&after) - of(&before)) / seconds
    });
    Ok(Analysed { cpu, queries: queries * 60.0, writes: writes * 60.0 })
}

/// Serves Istio's counters: at each scrape each Service had a hundred requests more, of which one failed.
fn export(names: &[Name]) -> Result<()> {
    let hosts: Vec<(String, String)> = names.iter().map(|name| (name.host(), name.namespace.clone())).collect();
    let scrapes = Arc::new(AtomicU64::new(0));
    upstream::serve_at(EXPORTER, move |_| {
        let scrape = scrapes.fetch_add(1, Ordering::Relaxed);
        let mut text = "# TYPE istio_requests_total counter\n".to_owned();
        for (host, namespace) in &hosts {
            for (version, code, count) in [("v1", 200, 94), ("v1", 503, 1), ("v2", 200, 5)] {
                // Writing to a String does not fail.
                let _ = writeln!(
                    text,
                    "istio_requests_total{{reporter=\"source\",destination_service=\"{host}\",destination_service_namespace=\"{namespace}\",\
                     destination_version=\"{version}\",response_code=\"{code}\",response_flags=\"-\"}} {}",
                    scrape * count
                );
            }
        }
        ("200 OK".to_owned(), "content-type: text/plain; version=0.0.4\r\n".to_owned(), text)
    })?;
    Ok(())
}

/// Seconds of CPU that a process has had.
fn cpu(process: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    // utime and stime, in hundredths of a second.
    let ticks = |index: usize| -> Result<f64> { Ok(fields.get(index).ok_or("no such field")?.parse()?) };
    Ok((ticks(11)? + ticks(12)?) / 100.0)
}

/// The queries that Prometheus has answered.
fn queries() -> Result<f64> {
    let answer = Connection::open(PROMETHEUS.parse()?)?.get(PROMETHEUS, "/metrics", &[])?;
    let text = String::from_utf8(answer.body)?;
    let lines = text
        .lines()
        .filter(|line| line.starts_with("prometheus_http_requests_total{") && line.contains("handler=\"/api/v1/query\""));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}
