//! The Helm chart, by a Helm that is built for it.

use std::path::Path;
use std::process::{Command, ExitCode};

use libtest_mimic::Arguments;
use serin_tests::need::{self, Need, Outcome};

fn main() -> ExitCode {
    let trial = need::test("the_chart_renders_what_deploy_installs", &[Need::Go], the_chart_renders_what_deploy_installs);
    libtest_mimic::run(&Arguments::from_args(), vec![trial]).exit_code()
}

fn the_chart_renders_what_deploy_installs() -> Outcome {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/check.sh");
    match Command::new(&script).status()?.success() {
        true => Ok(()),
        false => Err(format!("{} fails; its words are above", script.display()).into()),
    }
}
