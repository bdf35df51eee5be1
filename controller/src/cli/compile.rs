//! `serin compile`: print the split document that the filter reads.

use clap::Args;

use super::{Failure, Input, Output, print};
use serin_release::file;

const EXAMPLE: &str = "\
Example:
  serin compile -f release.yaml -o text";

/// Print the split document that the filter reads: patterns compiled, defaults left out.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLE)]
pub(super) struct Compile {
    #[command(flatten)]
    input: Input,
    /// Output format: `json` on one line, or `text`, the same JSON with indentation.
    #[arg(short, long, value_enum, default_value_t = Output::Json)]
    output: Output,
}

impl Compile {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let document = file::read(&self.input.file)?.compile(&self.input.file)?.document;
        let text = match self.output {
            Output::Json => document.to_json(),
            Output::Text => {
                serde_json::to_string_pretty(&document).map_err(|error| Failure::running("cannot write", error))?
            }
        };
        print(&format!("{text}\n"))
    }
}
