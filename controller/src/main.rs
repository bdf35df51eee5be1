//! `serin`: see `serin --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    serin_controller::cli::run()
}
