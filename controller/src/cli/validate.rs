//! `serin validate`: check a file.

use clap::Args;
use serde_json::json;

use super::{Failure, Input, Output, print};
use crate::file::{self, File, FileError};
use crate::standalone;

/// Check a file.
#[derive(Args, Debug)]
pub(super) struct Validate {
    #[command(flatten)]
    input: Input,
    /// The form of the answer.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What a valid file holds.
struct Summary {
    releases: usize,
    bytes: usize,
}

impl Validate {
    pub(super) fn run(&self) -> Result<(), Failure> {
        let file = self.input.file.display().to_string();
        match (self.check(), self.output) {
            (Ok(Summary { releases, bytes }), Output::Text) => {
                print(&format!("{file}: valid, {releases} releases, a split document of {bytes} bytes\n"))
            }
            (Ok(Summary { releases, bytes }), Output::Json) => {
                print(&format!("{}\n", json!({"file": file, "valid": true, "releases": releases, "documentBytes": bytes})))
            }
            (Err(error), Output::Text) => Err(error.into()),
            (Err(error), Output::Json) => {
                print(&format!("{}\n", json!({"file": file, "valid": false, "error": error.to_string()})))?;
                Err(error.into())
            }
        }
    }

    fn check(&self) -> Result<Summary, FileError> {
        let path = &self.input.file;
        let file = file::read(path)?;
        if let File::Manifest(manifest) = &file
            && !manifest.standalones.is_empty()
        {
            let checked = standalone::check(path, manifest.clone())?;
            return Ok(Summary { releases: checked.split.len(), bytes: checked.document.to_json().len() });
        }
        let checked = file.compile(path)?;
        Ok(Summary { releases: checked.split.len(), bytes: checked.document.to_json().len() })
    }
}
