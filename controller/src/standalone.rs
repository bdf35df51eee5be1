//! `serin standalone`: one Envoy that serves a file and follows its changes.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Failure;
use crate::file::{FileError, Manifest};
use crate::release::Checked;

/// Serve the services of a file with one Envoy, and follow the file's changes.
#[derive(Args, Debug)]
pub struct Standalone {
    /// YAML with one Standalone and any number of CanaryReleases.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Only check the file.
    #[arg(long)]
    check: bool,
}

impl Standalone {
    /// Runs until SIGTERM.
    ///
    /// # Errors
    /// The file is not valid, or Envoy does not run.
    pub fn run(self) -> Result<(), Failure> {
        Err(Failure::Failed("not built yet".into()))
    }
}

/// Checks a manifest that holds a `Standalone`.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path, _manifest: Manifest) -> Result<Checked, FileError> {
    Err(FileError::new(path, "not built yet"))
}
