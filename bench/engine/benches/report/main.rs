//! The report of the engine's benches: what criterion measured, instructions, and the ratio to the peer.
//!
//! ```text
//! cargo bench -p serin-bench-engine --bench report -- [-o json] [--save FILE]
//! cargo bench -p serin-bench-engine --bench report -- counts [-o json]
//! cargo bench -p serin-bench-engine --bench report -- pairs [-o json]
//! ```
//! It ends with 2 when it is called wrongly, with 3 when valgrind is missing and with 1 when anything else fails.

mod counts;
mod pairs;
#[path = "../peer.rs"]
mod peer;
mod scenario;
mod times;

use std::error::Error;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::counts::NoValgrind;
use crate::scenario::Scenario;
use crate::times::Time;

const USAGE: &str = "usage: report [counts | pairs | run SCENARIO ROUNDS] [-o json] [--save FILE]";

/// The command line.
#[derive(Default)]
struct Call {
    words: Vec<String>,
    json: bool,
    save: Option<String>,
}

fn main() -> ExitCode {
    let Some(call) = parse(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match answer(&call) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is::<NoValgrind>() { 3 } else { 1 })
        }
    }
}

fn parse(mut args: impl Iterator<Item = String>) -> Option<Call> {
    let mut call = Call::default();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            // Cargo's own.
            "--bench" => {}
            "-o" if args.next()? == "json" => call.json = true,
            "--save" => call.save = Some(args.next()?),
            option if option.starts_with('-') => return None,
            _ => call.words.push(arg),
        }
    }
    Some(call)
}

/// Does what the words say; false when they say nothing that is known.
fn answer(call: &Call) -> Result<bool, Box<dyn Error>> {
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let (text, value) = match words.as_slice() {
        [] => all()?,
        ["counts"] => {
            let counts = counts::count(&Scenario::all())?;
            (counts.iter().map(|(name, count)| format!("  {name:<36}{count:>14}\n")).collect(), json!(object(counts)))
        }
        ["pairs"] => {
            let comparisons = pairs::compare()?;
            (pairs::text(&comparisons), pairs::json(&comparisons))
        }
        ["run", name, rounds] => match (Scenario::named(name), rounds.parse()) {
            (Some(scenario), Ok(rounds)) => return counts::run(scenario, rounds).map(|()| true),
            _ => return Ok(false),
        },
        _ => return Ok(false),
    };
    let json = format!("{value:#}\n");
    if let Some(file) = &call.save {
        std::fs::write(file, &json).map_err(|error| format!("`{file}`: {error}"))?;
    }
    print!("{}", if call.json { &json } else { &text });
    Ok(true)
}

/// Everything that is known; without valgrind it has no instructions, and without a run of criterion no times.
fn all() -> Result<(String, Value), Box<dyn Error>> {
    let scenarios = Scenario::all();
    let comparisons = pairs::compare()?;
    let counts = match counts::count(&scenarios) {
        Err(error) if error.is::<NoValgrind>() => {
            eprintln!("note: a report without instructions: {error}");
            Vec::new()
        }
        other => other?,
    };
    let mut times = Map::new();
    let mut text = format!("{:<38}{:>14}{:>36}{:>16}\n", "one operation", "median", "95 % interval", "instructions");
    for scenario in scenarios {
        let name = scenario.to_string();
        let time = times::of(scenario)?;
        let count = counts.iter().find(|(counted, _)| *counted == name).map(|(_, count)| count.to_string());
        let (median, interval) = time.as_ref().map(Time::text).unwrap_or_default();
        text += &format!("  {name:<36}{median:>14}{interval:>36}{:>16}\n", count.unwrap_or_default());
        if let Some(time) = time {
            times.insert(name, time.json());
        }
    }
    text += &format!("\nyggdrasil {}: {}", unleash_yggdrasil::CORE_VERSION, pairs::text(&comparisons));
    let value = json!({
        "yggdrasil": unleash_yggdrasil::CORE_VERSION,
        "comparison": pairs::json(&comparisons),
        "nanoseconds": times,
        "instructions": object(counts),
    });
    Ok((text, value))
}

fn object(counts: Vec<(String, u64)>) -> Map<String, Value> {
    counts.into_iter().map(|(name, count)| (name, json!(count))).collect()
}
