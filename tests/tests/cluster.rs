//! The controller on a real API server, a real istiod and real Envoys, which `tests/stack/` starts in a network namespace.
#![expect(clippy::indexing_slicing, reason = "a test that panics has failed")]

#[path = "cluster/definition.rs"]
mod definition;
#[path = "cluster/docs.rs"]
mod docs;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/filter.rs"]
mod filter;
#[path = "cluster/hostile.rs"]
mod hostile;
#[path = "cluster/key.rs"]
mod key;
#[path = "cluster/lead.rs"]
mod lead;
#[path = "cluster/neighbours.rs"]
mod neighbours;
#[path = "cluster/operation.rs"]
mod operation;
#[path = "cluster/rights.rs"]
mod rights;
#[path = "cluster/rollback.rs"]
mod rollback;
#[path = "cluster/routing.rs"]
mod routing;
#[path = "cluster/stable.rs"]
mod stable;
#[path = "cluster/story.rs"]
mod story;
#[path = "cluster/workloads.rs"]
mod workloads;

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Trial};
use serin_tests::need::{self, Need};

pub(crate) use serin_tests::need::Outcome;

/// Tests with their names.
pub(crate) type Tests = &'static [(&'static str, fn() -> Outcome)];

fn trials(needs: &'static [Need]) -> Vec<Trial> {
    let all = [
        definition::TESTS,
        story::TESTS,
        routing::TESTS,
        key::TESTS,
        neighbours::TESTS,
        workloads::TESTS,
        operation::TESTS,
        filter::TESTS,
        rights::TESTS,
        lead::TESTS,
        rollback::TESTS,
        stable::TESTS,
        faults::TESTS,
        hostile::TESTS,
    ];
    let trial = |&(name, test): &(&'static str, fn() -> Outcome)| need::test(name, needs, test);
    all.iter().flat_map(|tests| tests.iter().map(trial)).chain(docs::trials(needs)).collect()
}

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let inside = std::env::var_os("SERIN_MESH").is_some();
    let chosen = trials(&[]).iter().any(|trial| !arguments.is_filtered_out(trial));
    if !inside && chosen && !arguments.list && Need::Mesh.missing().is_none() {
        return outside();
    }
    if inside {
        // One mesh, and processes of it that are stopped: one test at a time.
        arguments.test_threads = Some(1);
        if let Err(error) = serin_tests::mesh::install() {
            eprintln!("cannot install into the mesh: {error}");
            return ExitCode::FAILURE;
        }
    }
    let needs: &[Need] = if inside { &[] } else { &[Need::Mesh] };
    libtest_mimic::run(&arguments, trials(needs)).exit_code()
}

/// Runs this program again inside of a mesh.
fn outside() -> ExitCode {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/run.sh");
    let this = std::env::current_exe();
    let status = this
        .and_then(|this| Command::new(script).arg(this).args(std::env::args_os().skip(1)).env("SERIN_MESH", "1").status());
    match status {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cannot run tests/stack/run.sh: {error}");
            ExitCode::FAILURE
        }
    }
}
