//! The controller on a real API server, a real istiod and real Envoys, which `tests/stack/` starts in a network namespace.
#![expect(clippy::indexing_slicing, reason = "a test that panics has failed")]

#[path = "cluster/analysis.rs"]
mod analysis;
#[path = "cluster/clones.rs"]
mod clones;
#[path = "cluster/commands.rs"]
mod commands;
#[path = "cluster/console.rs"]
mod console;
#[path = "cluster/control.rs"]
mod control;
#[path = "cluster/definition.rs"]
mod definition;
#[path = "cluster/docs.rs"]
mod docs;
#[path = "cluster/domain.rs"]
mod domain;
#[path = "cluster/faults.rs"]
mod faults;
#[path = "cluster/fights.rs"]
mod fights;
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
#[path = "cluster/proxies.rs"]
mod proxies;
#[path = "cluster/pty.rs"]
mod pty;
#[path = "cluster/rights.rs"]
mod rights;
#[path = "cluster/rollback.rs"]
mod rollback;
#[path = "cluster/routing.rs"]
mod routing;
#[path = "cluster/scenarios.rs"]
mod scenarios;
#[path = "cluster/stable.rs"]
mod stable;
#[path = "cluster/steps.rs"]
mod steps;
#[path = "cluster/story.rs"]
mod story;
#[path = "cluster/workloads.rs"]
mod workloads;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
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
        clones::TESTS,
        scenarios::TESTS,
        operation::TESTS,
        filter::TESTS,
        rights::TESTS,
        lead::TESTS,
        console::TESTS,
        control::TESTS,
        commands::TESTS,
        steps::TESTS,
        proxies::TESTS,
        analysis::TESTS,
        rollback::TESTS,
        stable::TESTS,
        faults::TESTS,
        fights::TESTS,
        domain::TESTS,
        hostile::TESTS,
    ];
    let trial = |&(name, test): &(&'static str, fn() -> Outcome)| need::test(name, needs, move || tidied(test));
    all.iter().flat_map(|tests| tests.iter().map(trial)).chain(docs::trials(needs)).collect()
}

/// Runs a test; of one that fails nothing is left that would make others fail.
fn tidied(test: impl FnOnce() -> Outcome) -> Outcome {
    let outcome = catch_unwind(AssertUnwindSafe(test));
    if !matches!(outcome, Ok(Ok(()))) {
        serin_tests::mesh::tidy()
            .unwrap_or_else(|error| eprintln!("the mesh is not tidied up, and later tests may fail: {error}"));
    }
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// The longest tests, which `make test-long` runs.
const LONG: [&str; 1] = ["faults::the_api_server_is_away_for_30_seconds"];

/// The domain of a second mesh, and the group of the tests that run there.
const OTHER_DOMAIN: &str = "corp.example";
const OF_OTHER_DOMAIN: &str = "domain::";

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    let inside = std::env::var_os("SERIN_MESH").is_some();
    let needs: &[Need] = if inside { &[] } else { &[Need::Mesh] };
    let mut trials = trials(needs);
    // What is named is run.
    let is_asked_for = |name: &str| {
        arguments.list
            || std::env::var_os("SERIN_LONG").is_some()
            || arguments.filter.as_ref().is_some_and(|own| name.starts_with(own.as_str()))
    };
    trials.retain(|trial| !LONG.contains(&trial.name()) || is_asked_for(trial.name()));
    if inside {
        let other = std::env::var_os("MESH_DOMAIN").is_some();
        trials.retain(|trial| trial.name().starts_with(OF_OTHER_DOMAIN) == other);
        // One mesh, and processes of it that are stopped: one test at a time.
        arguments.test_threads = Some(1);
        if let Err(error) = serin_tests::mesh::install() {
            eprintln!("cannot install into the mesh: {error}");
            return ExitCode::FAILURE;
        }
    } else if !arguments.list && Need::Mesh.missing().is_none() {
        let chosen = |other: bool| {
            let mut of_mesh = trials.iter().filter(|trial| trial.name().starts_with(OF_OTHER_DOMAIN) == other);
            of_mesh.any(|trial| !arguments.is_filtered_out(trial))
        };
        let meshes = [(chosen(false), None), (chosen(true), Some(OTHER_DOMAIN))];
        let codes: Vec<bool> = meshes.into_iter().filter(|(chosen, _)| *chosen).map(|(_, domain)| outside(domain)).collect();
        return if codes.iter().all(|passed| *passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// Runs this program again inside of a mesh; whether it passed.
fn outside(domain: Option<&str>) -> bool {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/run.sh");
    let run = |this: PathBuf| {
        let mut command = Command::new(script);
        command.arg(this).args(std::env::args_os().skip(1)).env("SERIN_MESH", "1").env_remove("MESH_DOMAIN");
        command.envs(domain.map(|domain| ("MESH_DOMAIN", domain))).status()
    };
    match std::env::current_exe().and_then(run) {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("cannot run tests/stack/run.sh: {error}");
            false
        }
    }
}
