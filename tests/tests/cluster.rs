//! The controller on a real API server, a real istiod and real Envoys, which `tests/stack/` starts in a network namespace.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test that panics has failed")]

#[path = "cluster/definition.rs"]
mod definition;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/neighbours.rs"]
mod neighbours;
#[path = "cluster/operation.rs"]
mod operation;
#[path = "cluster/routing.rs"]
mod routing;
#[path = "cluster/story.rs"]
mod story;
#[path = "cluster/workloads.rs"]
mod workloads;

use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test of the mesh answers.
pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Tests with their names.
pub(crate) type Tests = &'static [(&'static str, fn() -> Outcome)];

/// What `tests/stack/run.sh` exits with where the machine has not what it needs.
const MISSING: i32 = 3;

fn trials() -> Vec<Trial> {
    let all = [
        definition::TESTS,
        story::TESTS,
        routing::TESTS,
        neighbours::TESTS,
        workloads::TESTS,
        operation::TESTS,
        faults::TESTS,
    ];
    let trial = |(name, test): &(&'static str, fn() -> Outcome)| {
        let test = *test;
        Trial::test(*name, move || test().map_err(|error| Failed::from(error.to_string())))
    };
    all.iter().flat_map(|tests| tests.iter().map(trial)).collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    if arguments.list {
        return libtest_mimic::run(&arguments, trials()).exit_code();
    }
    if std::env::var_os("SERIN_MESH").is_some() {
        // One mesh, and processes of it that are stopped: one test at a time.
        arguments.test_threads = Some(1);
        if let Err(error) = serin_tests::mesh::install() {
            eprintln!("cannot install into the mesh: {error}");
            return ExitCode::FAILURE;
        }
        return libtest_mimic::run(&arguments, trials()).exit_code();
    }
    let chosen = trials().iter().any(|trial| match &arguments.filter {
        Some(filter) => trial.name().contains(filter.as_str()),
        None => true,
    });
    if !chosen {
        return libtest_mimic::run(&arguments, Vec::new()).exit_code();
    }
    outside()
}

/// Runs this program again inside of a mesh.
fn outside() -> ExitCode {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/run.sh");
    let this = std::env::current_exe();
    let status = this
        .and_then(|this| Command::new(script).arg(this).args(std::env::args_os().skip(1)).env("SERIN_MESH", "1").status());
    match status.map(|status| status.code()) {
        Ok(Some(0)) => ExitCode::SUCCESS,
        Ok(Some(MISSING)) if std::env::var_os("SERIN_REQUIRE_MESH").is_none() => {
            println!("\ntests of the cluster: SKIPPED, the reason is above\n");
            ExitCode::SUCCESS
        }
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot run tests/stack/run.sh: {error}");
            ExitCode::FAILURE
        }
    }
}
