//! What Serin costs in a real Envoy, beside its peers. `make bench` runs it.
//!
//! ```text
//! rows ─► an Envoy, a listener each ───┬─ cpu: nanoseconds of the worker, in slices that take turns
//!                                     └─ latency: requests at a fixed rate, in slices that take turns
//! a fresh Envoy for each number ──────┬─ memory: of one worker more
//!                                     └─ updates: time to the first effect, longest stall
//!                                         └─► table, docs/bench.{txt,json,svg}
//! ```
//!
//! Clusters have no endpoints, so the router answers 503 as soon as it has selected the route and its cluster: nothing of an
//! upstream is in the numbers. Which route was taken is counted, and compared with what each row has to decide.

mod args;
mod bootstrap;
mod chart;
mod client;
mod cpu;
mod documents;
mod envoy;
mod fleet;
mod latency;
mod machine;
mod memory;
mod modules;
mod numbers;
mod report;
mod requests;
mod response;
mod rows;
mod table;
mod updates;

use std::error::Error;
use std::io::IsTerminal;
use std::process::ExitCode;

use args::{Args, Part};
use fleet::Fleet;
use report::Report;

/// What can fail, fails with a sentence.
pub(crate) type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            clear();
            anstream::eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let Some(args) = Args::read(std::env::args().skip(1))? else {
        anstream::print!("{}", args::HELP);
        return Ok(());
    };
    progress("building the peers");
    let modules = modules::Modules::build(&args.filters)?;
    let mut report = Report::new(&args)?;
    if args.does(Part::Cpu) || args.does(Part::Latency) {
        let rows = rows::rows(&modules, &args.rows)?;
        report.begin(&rows);
        for process in 0..args.plan.processes {
            let place = format!("process {} of {}", process + 1, args.plan.processes);
            progress(&format!("{place}: starting Envoy with all rows"));
            let mut fleet = Fleet::start(&rows, process, &args.plan)?;
            if args.does(Part::Cpu) {
                report.add_cpu(cpu::measure(&mut fleet, &args.plan, &place)?);
            }
            if args.does(Part::Latency) {
                report.add_latency(latency::measure(&mut fleet, &args.plan, &place)?);
            }
            report.add_shares(&fleet.verify()?);
        }
    }
    if args.does(Part::Memory) {
        report.memory = memory::measure(&modules, &args.plan)?;
    }
    if args.does(Part::Updates) {
        report.updates = updates::measure(&modules, &args.plan)?;
    }
    clear();
    let table = table::render(&report);
    anstream::print!("{table}");
    if let Some(directory) = args.out() {
        std::fs::create_dir_all(&directory)?;
        std::fs::write(directory.join("bench.txt"), anstream::adapter::strip_str(&table).to_string())?;
        std::fs::write(directory.join("bench.json"), serde_json::to_string_pretty(&report.to_json())? + "\n")?;
        if !report.cpu.is_empty() {
            std::fs::write(directory.join("bench.svg"), chart::draw(&report))?;
        }
    }
    Ok(())
}

/// Says on a terminal what is going on, in one line that the next one replaces.
pub(crate) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    }
}

fn clear() {
    progress("");
}
