//! What a large mesh costs: 1 000 releases in 100 namespaces. `make bench-cluster` runs it.
//!
//! All endpoints but those of one Service are WorkloadEntries, so that the bench measures Serin and not the scheduler.
#![expect(clippy::indexing_slicing, reason = "a field that a JSON value does not have is null")]

use std::error::Error;
use std::io::IsTerminal;
use std::time::Instant;

use serde_json::{Value, json};
use serin_tests::http::Connection;
use serin_tests::mesh::{
    CONTROLLER, Client, Controller, apply, await_reason, eventually, get, install, kubeconfig, kubectl, release, reviews,
};
use serin_tests::severed::Plain;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const NAMESPACES: usize = 100;
const SERVICES: usize = 10;
const CHANGES: usize = 50;

fn main() -> Result<()> {
    install()?;
    let progress = |text: &str| eprintln!("bench: {text}");
    progress("making 1 000 Services with two versions each");
    for first in (0..NAMESPACES).step_by(10) {
        let objects: Vec<Value> = (first..first + 10).flat_map(namespace).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
        kubectl(&["create", "-f", "-"], &list.to_string())?;
    }
    reviews("watched", &[("v1", 1), ("v2", 1)])?;
    progress("making 1 000 releases");
    for namespace in 0..NAMESPACES {
        let releases: Vec<Value> = (0..SERVICES).map(|service| a_release(namespace, service)).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": releases});
        kubectl(&["create", "-f", "-"], &list.to_string())?;
    }
    progress("first convergence");
    let start = Instant::now();
    let controller = Controller::start(
        "bench",
        CONTROLLER,
        &["--settle-ms", "500", "--drain-ms", "3000", "--lease-seconds", "15", "--log-level", "warn"],
    )?;
    let mut last = 0.0;
    converged(&controller, &mut last)?;
    let convergence = start.elapsed();
    let (first_writes, first_rounds) = (controller.writes()?, rounds(&controller)?);

    progress("one release among them, followed into Envoy");
    apply(&[release(
        "watched",
        json!({"canaries": [{"version": "v2", "weight": "50%"}], "sticky": {"by": [{"cookie": "user"}]}}),
    )])?;
    await_reason("watched", "reviews", "Programmed", "Programmed")?;
    let mut client = Client::of("watched")?;
    let plain = Plain::start(&std::path::PathBuf::from(std::env::var_os("KUBECONFIG").ok_or("KUBECONFIG is not set")?))?;
    let mut api = Connection::open(plain.address())?;
    let (mut latencies, mut writes) = (Vec::new(), Vec::new());
    for change in 0..CHANGES {
        let version = if change % 2 == 0 { "v2" } else { "v1" };
        let before = controller.writes()?;
        let body = json!({"spec": {"takeover": version}}).to_string();
        let request = format!(
            "PATCH /apis/serin.dev/v1alpha1/namespaces/watched/canaryreleases/reviews HTTP/1.1\r\nhost: localhost\r\n\
             content-type: application/merge-patch+json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let start = Instant::now();
        let answer = api.send(request.as_bytes())?;
        if answer.status != 200 {
            return Err(format!("the change was refused: {}", String::from_utf8_lossy(&answer.body)).into());
        }
        while client.ask("/", &[("cookie", "user=ann")])?.version != version {}
        latencies.push(start.elapsed().as_secs_f64() * 1000.0);
        eventually("the status tells of it", || {
            let object = get("crel", "watched", "reviews")?;
            let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            Ok(if current { Ok(()) } else { Err("not yet".into()) })
        })?;
        writes.push(controller.writes()? - before);
    }
    let after = rounds(&controller)?;
    let memory = memory(controller.id())?;
    let document = controller.metric("serin_document_bytes", "")?;
    let _ = kubeconfig()?;

    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| latencies.get((share * (CHANGES - 1) as f64).round() as usize).copied().unwrap_or_default();
    let round = (after.0 - first_rounds.0) / (after.1 - first_rounds.1).max(1.0) * 1000.0;
    let rows = [
        ("releases / namespaces", format!("{} / {NAMESPACES}", NAMESPACES * SERVICES)),
        ("first convergence", format!("{:.1} s, {first_writes} writes", convergence.as_secs_f64())),
        ("document", format!("{:.0} KB", document / 1000.0)),
        ("controller's memory", format!("{:.0} MiB", memory as f64 / 1024.0)),
        ("writes for a change", format!("most {}", writes.iter().copied().fold(0.0, f64::max))),
        ("a round, with its writes", format!("mean {round:.0} ms")),
        (
            "change to first effect in Envoy",
            format!("p10 {:.0} ms, median {:.0} ms, p90 {:.0} ms, of {CHANGES}", at(0.1), at(0.5), at(0.9)),
        ),
    ];
    if std::io::stdout().is_terminal() {
        for (name, value) in &rows {
            println!("  {name:<34}{value}");
        }
    } else {
        let object: serde_json::Map<String, Value> =
            rows.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        println!("{}", serde_json::to_string_pretty(&object)?);
    }
    Ok(())
}

/// A namespace with its Services and their endpoints, which nobody asks.
fn namespace(number: usize) -> Vec<Value> {
    let space = format!("n{number}");
    let mut objects = vec![json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})];
    for service in 0..SERVICES {
        let name = format!("s{service}");
        objects.push(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": space},
            "spec": {"selector": {"app": name}, "ports": [{"name": "http", "port": 9080, "targetPort": 8000}]}}));
        for version in ["v1", "v2"] {
            objects.push(json!({"apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
                "metadata": {"name": format!("{name}-{version}"), "namespace": space},
                "spec": {"address": format!("10.244.{}.{}", 100 + number, service * 2 + usize::from(version == "v2") + 1),
                    "labels": {"app": name, "version": version}}}));
        }
    }
    objects
}

fn a_release(namespace: usize, service: usize) -> Value {
    let spec = json!({"service": format!("s{service}"), "canaries": [{"version": "v2", "weight": "5%"}], "sticky": {"by": [{"cookie": "user"}]}});
    let mut object = release(&format!("n{namespace}"), spec);
    object["metadata"]["name"] = json!(format!("s{service}"));
    object
}

/// Waits until all releases are active, as long as there is progress.
fn converged(controller: &Controller, last: &mut f64) -> Result<()> {
    let wanted = (NAMESPACES * SERVICES) as f64;
    loop {
        let done = eventually("more releases are active", || {
            let active = controller.metric("serin_releases", "phase=\"Active\"")?;
            Ok(if active > *last { Ok(active) } else { Err(format!("{active} of {wanted}")) })
        })?;
        *last = done;
        if done >= wanted {
            return Ok(());
        }
    }
}

/// The sum of all rounds in seconds, and their number.
fn rounds(controller: &Controller) -> Result<(f64, f64)> {
    Ok((
        controller.metric("serin_round_duration_seconds_sum", "")?,
        controller.metric("serin_round_duration_seconds_count", "")?,
    ))
}

/// Resident memory of a process in KiB.
fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
