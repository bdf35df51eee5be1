//! What a large mesh costs: 1 000 releases in 100 namespaces. `make bench-cluster` runs it.
//!
//! ```text
//! Services ─► releases ─► convergence ─► changes, followed into Envoy        the controller
//!                                          ├─► steps and analyses of all     the controller, Prometheus
//!                                          └─► 60 sidecars: a change of      istiod
//!                                              Serin's document, of one with 10 000 releases, of a VirtualService
//! ```

mod analysed;
mod api;
mod changes;
mod istiod;
mod mesh;
mod push;
mod sidecars;
mod table;

use std::error::Error;
use std::time::{Duration, Instant};

use serin_tests::mesh::{CONTROLLER, Controller, eventually_within, install, reviews};

use api::Api;
use mesh::{NAMESPACES, SERVICES};

/// All releases stand still for less than this.
const PATIENCE: Duration = Duration::from_secs(180);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    install()?;
    let mut api = Api::open()?;
    progress("making 1 000 Services with two versions each");
    let names = mesh::services(&mut api)?;
    reviews("watched", &[("v1", 1), ("v2", 1)])?;
    progress("making 1 000 releases");
    mesh::releases(&mut api, &names)?;
    progress("first convergence");
    let start = Instant::now();
    let controller = Controller::start(
        "bench",
        CONTROLLER,
        &[
            "--settle-ms",
            "500",
            "--drain-ms",
            "3000",
            "--lease-seconds",
            "15",
            "--log-level",
            "warn",
            "--metrics",
            analysed::SOURCE,
        ],
    )?;
    converged(&controller)?;
    let (convergence, first_writes) = (start.elapsed(), controller.writes()?);
    progress("one release among them, followed into Envoy");
    let changes = changes::follow(&controller, &mut api)?;
    let (memory, document) = (memory(controller.id())?, controller.metric("serin_document_bytes", "")?);
    progress("all of them with steps and an analysis");
    let analysed::Analysed { cpu, queries, writes } = analysed::costs(&mut api, &controller, &names)?;
    let on_their_way = format!("{:.1} % of a core, {queries:.0} queries and {writes:.0} writes a minute", cpu * 100.0);
    progress(&on_their_way);
    converged(&controller)?;
    progress("one change, pushed to 60 sidecars");
    let costs = istiod::costs(&mut api, controller, &names)?;

    let mut rows = table::Rows::default();
    rows.add("releases / namespaces", format!("{} / {NAMESPACES}", NAMESPACES * SERVICES));
    rows.add("first convergence", format!("{:.1} s, {first_writes} writes", convergence.as_secs_f64()));
    rows.add("document", format!("{:.0} KB", document / 1000.0));
    rows.add("controller's memory", format!("{:.0} MiB", memory as f64 / 1024.0));
    rows.add("writes for a change", format!("most {}", changes.most_writes));
    rows.add("a round, with its writes", format!("mean {:.0} ms", changes.round.as_secs_f64() * 1000.0));
    let [p10, median, p90] = [0.1, 0.5, 0.9].map(|share| changes.at(share));
    let count = changes.count();
    rows.add(
        "change to first effect in Envoy",
        format!("p10 {p10:.0} ms, median {median:.0} ms, p90 {p90:.0} ms, of {count}"),
    );
    rows.add("all under analysis, on their way", on_their_way);
    rows.costs(&costs);
    rows.print()
}

fn progress(text: &str) {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    eprintln!("bench: {:>4.0} s: {text}", START.elapsed().as_secs_f64());
}

/// Waits until all releases are active, as long as there is progress.
fn converged(controller: &Controller) -> Result<()> {
    let (wanted, mut last) = ((NAMESPACES * SERVICES) as f64, 0.0);
    while last < wanted {
        last = eventually_within(PATIENCE, "more releases are active", || {
            let active = controller.metric("serin_releases", "phase=\"Active\"")?;
            Ok(if active > last { Ok(active) } else { Err(format!("{active} of {wanted}")) })
        })?;
    }
    Ok(())
}

/// Resident memory of a process in KiB.
fn memory(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
}
