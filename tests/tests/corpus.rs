//! One corpus, four runners: the engine, the built filter in process, the command line, a real Envoy.

mod runner;

use libtest_mimic::Arguments;
use serin_tests::corpus::{self, Case};
use serin_tests::need::{self, Outcome};

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
    for &(runner, run) in RUNNERS {
        for case in cases.clone() {
            trials.push(need::test(&format!("{runner}::{}", case.name), &[], move || run(&case)));
        }
    }
    #[cfg(feature = "system")]
    for batch in cases.chunks(64) {
        let proxy = runner::Proxy::of(batch.to_vec());
        for case in batch.iter().cloned() {
            let proxy = proxy.clone();
            let name = format!("envoy::{}", case.name);
            trials.push(need::test(&name, &[need::Need::Envoy], move || proxy.run(&case)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

type Runner = fn(&Case) -> Outcome;

/// All but the proxy, which answers many cases at once.
const RUNNERS: &[(&str, Runner)] = &[
    ("engine", runner::engine),
    ("wasm", runner::wasm),
    #[cfg(feature = "system")]
    ("cli", runner::cli),
];
