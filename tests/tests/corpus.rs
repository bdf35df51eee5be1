//! One corpus, four runners: the engine, the built filter in process, the command line, a real Envoy.

mod runner;

use libtest_mimic::{Arguments, Failed, Trial};
use serin_tests::corpus::{self, Case};
use serin_tests::envoy;

fn main() {
    let arguments = Arguments::from_args();
    let cases = match corpus::load() {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::exit(1);
        }
    };
    let mut trials = Vec::new();
    for (runner, run) in [("engine", runner::engine as Runner), ("wasm", runner::wasm), ("cli", runner::cli)] {
        for case in cases.clone() {
            trials.push(Trial::test(format!("{runner}::{}", case.name), move || failed(run(&case))));
        }
    }
    match envoy::binary() {
        Ok(_) => {
            for batch in cases.chunks(64) {
                let proxy = runner::Proxy::of(batch.to_vec());
                for case in batch.iter().cloned() {
                    let proxy = proxy.clone();
                    trials.push(Trial::test(format!("envoy::{}", case.name), move || failed(proxy.run(&case))));
                }
            }
        }
        Err(why) => {
            eprintln!("SKIPPED envoy::*: {why}");
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

type Runner = fn(&Case) -> runner::Outcome;

fn failed(outcome: runner::Outcome) -> Result<(), Failed> {
    outcome.map_err(|error| Failed::from(error.to_string()))
}
