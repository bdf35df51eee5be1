//! `serin compile`: print the split document of a file.

use clap::Args;

use super::{Failure, Input, Output, print};
use crate::file;

/// Print the split document of a file, as the filter reads it: patterns compiled, defaults left out.
#[derive(Args, Debug)]
pub(super) struct Compile {
    #[command(flatten)]
    input: Input,
    /// `json` on one line, or `text`: the same, indented for people.
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
