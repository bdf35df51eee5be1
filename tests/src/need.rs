//! What a test needs of the machine, and what becomes of the test where it is missing.
//!
//! Such a test is listed as `ignored` with the reason. Where nothing may be left out it fails instead: with `CI` or
//! `SERIN_REQUIRE_ALL` set, for the mesh and the chart also with `SERIN_REQUIRE_MESH`.

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use libtest_mimic::{Completion, Failed, Trial};

/// What a test answers.
pub type Outcome = Result<(), Box<dyn Error>>;

/// Tests that panic where something is wrong, with their names.
pub type Tests = &'static [(&'static str, fn())];

/// Functions with their names, as a list of tests.
#[macro_export]
macro_rules! named {
    ($($test:path),* $(,)?) => { &[$((stringify!($test), $test)),*] };
}

/// A part that not every machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// An Envoy.
    Envoy,
    /// Go, which builds Helm.
    Go,
    /// What `tests/stack/` builds and starts.
    Mesh,
}

impl Need {
    /// Why this machine lacks it; none where it is there.
    ///
    /// It is looked for once in a process.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        static SEEN: [OnceLock<Option<String>>; 3] = [const { OnceLock::new() }; 3];
        let [envoy, go, mesh] = &SEEN;
        let (seen, look): (_, fn() -> Result<(), String>) = match self {
            Self::Envoy => (envoy, || crate::envoy::binary().map(|_| ())),
            Self::Go => (go, go_is_there),
            Self::Mesh => (mesh, mesh_can_start),
        };
        seen.get_or_init(|| look().err()).as_deref()
    }

    /// Whether a test without it fails, by the variables of the environment.
    #[must_use]
    pub fn is_required(self, variable: impl Fn(&str) -> Option<OsString>) -> bool {
        let set = |name: &str| variable(name).is_some_and(|value| !["", "0", "false"].iter().any(|off| value == *off));
        let of_the_mesh = matches!(self, Self::Go | Self::Mesh);
        set("CI") || set("SERIN_REQUIRE_ALL") || (of_the_mesh && set("SERIN_REQUIRE_MESH"))
    }
}

fn go_is_there() -> Result<(), String> {
    let answer = Command::new("go").arg("version").output();
    match answer.is_ok_and(|answer| answer.status.success()) {
        true => Ok(()),
        false => Err("Go is missing; install Go 1.26 or newer".to_owned()),
    }
}

fn mesh_can_start() -> Result<(), String> {
    crate::envoy::binary()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/run.sh");
    let answer = Command::new(&script).arg("--check").output();
    let answer = answer.map_err(|error| format!("cannot run {}: {error}", script.display()))?;
    match answer.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&answer.stderr).trim().replace('\n', "; ")),
    }
}

/// A test that needs parts of the machine.
#[must_use]
pub fn test(name: &str, needs: &'static [Need], run: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    let own = name.to_owned();
    Trial::ignorable_test(name, move || {
        let name = &own;
        let missing = needs.iter().find_map(|need| Some((need, need.missing()?)));
        match missing {
            None => {
                let begun = Instant::now();
                let outcome = run().map(|()| Completion::Completed).map_err(|error| Failed::from(error.to_string()));
                // scripts/timed.py says at the end which tests take long.
                eprintln!("{} took {:.1} s", name, begun.elapsed().as_secs_f64());
                outcome
            }
            Some((need, why)) if need.is_required(|variable| std::env::var_os(variable)) => {
                Err(format!("nothing may be left out here (CI, SERIN_REQUIRE_ALL): {why}").into())
            }
            Some((_, why)) => Ok(Completion::ignored_with(why)),
        }
    })
}

/// Tests that need parts of the machine.
#[must_use]
pub fn tests(tests: Tests, needs: &'static [Need]) -> Vec<Trial> {
    let trial = |&(name, run): &(&'static str, fn())| {
        test(name, needs, move || {
            run();
            Ok(())
        })
    };
    tests.iter().map(trial).collect()
}
