//! A test whose part is missing is seen as ignored, and fails where nothing may be left out.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed")]

use std::process::{Command, ExitCode};

use libtest_mimic::Arguments;
use serin_tests::named;
use serin_tests::need::{self, Need, Tests};

const TESTS: Tests = named![
    without_its_part_a_test_is_ignored_and_says_why,
    where_nothing_may_be_left_out_it_fails,
    with_its_part_it_runs,
    the_variable_of_the_mesh_is_only_for_the_mesh,
];

/// This program runs itself with this variable, as one that holds a single test with a need.
const EXAMPLE: &str = "SERIN_NEED_EXAMPLE";

const ABSENT: &str = "no Envoy at /nowhere/envoy; `make envoy` installs it";

fn main() -> ExitCode {
    let example = || need::tests(named![example], &[Need::Envoy]);
    let trials = if std::env::var_os(EXAMPLE).is_some() { example() } else { need::tests(TESTS, &[]) };
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

fn example() {
    println!("the example runs");
}

/// The exit code and the output of the example with this Envoy and these variables.
fn run(envoy: &str, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    for name in ["CI", "SERIN_REQUIRE_ALL", "SERIN_REQUIRE_MESH"] {
        command.env_remove(name);
    }
    command.env(EXAMPLE, "1").env("ENVOY_BIN", envoy).envs(variables.iter().copied());
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

fn without_its_part_a_test_is_ignored_and_says_why() {
    for variables in [&[][..], &[("CI", "")], &[("CI", "false"), ("SERIN_REQUIRE_ALL", "0")]] {
        let (code, said) = run("/nowhere/envoy", variables);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.contains(&format!("test example ... ignored ({ABSENT})")), "{said}");
        assert!(said.contains("0 passed; 0 failed; 1 ignored"), "{said}");
    }
}

fn where_nothing_may_be_left_out_it_fails() {
    for variable in [("CI", "true"), ("CI", "1"), ("SERIN_REQUIRE_ALL", "1")] {
        let (code, said) = run("/nowhere/envoy", &[variable]);
        assert_eq!(code, Some(101), "{said}");
        assert!(said.contains(ABSENT), "{said}");
        assert!(said.contains("0 passed; 1 failed; 0 ignored"), "{said}");
    }
}

fn with_its_part_it_runs() {
    // Any file will do: the example does not start it.
    let there = std::env::current_exe().unwrap();
    let (code, said) = run(there.to_str().unwrap(), &[("CI", "true")]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("the example runs"), "{said}");
    assert!(said.contains("1 passed; 0 failed; 0 ignored"), "{said}");
}

fn the_variable_of_the_mesh_is_only_for_the_mesh() {
    let required = |need: Need| need.is_required(|name| (name == "SERIN_REQUIRE_MESH").then(|| "1".into()));
    assert_eq!([Need::Envoy, Need::Go, Need::Mesh].map(required), [false, true, true]);
}
