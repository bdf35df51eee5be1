//! `serin standalone`: one Envoy that serves a file and follows its changes.
//!
//! ```text
//! FILE ─ watch ─► resolve ─► Served ─ envoy ─► LDS RDS CDS ECDS ─ files ─► Envoy (process), asked through admin
//!                    ▲ state.json: the bucket maps of the last document
//! ```

mod admin;
mod changes;
mod envoy;
mod files;
mod process;
mod publish;
mod resolve;
mod serve;
mod watch;

use std::env;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::Failure;
use crate::file::{self, File, FileError, Manifest};
use crate::release::{Checked, State};

/// Serve the services of a file with one Envoy, and follow the file's changes.
#[derive(Args, Debug)]
pub struct Standalone {
    /// YAML with one Standalone and any number of CanaryReleases.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// Only check the file.
    #[arg(long)]
    check: bool,
    /// Where Envoy's files and the bucket maps are kept; `.serin` beside FILE, or systemd's state directory, unless told.
    #[arg(long, value_name = "DIR", env = "SERIN_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

impl Standalone {
    /// Runs until SIGTERM.
    ///
    /// # Errors
    /// The file is not valid, or Envoy does not run.
    pub fn run(self) -> Result<(), Failure> {
        if self.check {
            let checked = resolve::resolve(&self.file, manifest(&self.file, &read(&self.file)?)?, &State::default())?;
            let (services, releases) = (checked.spec.services.len(), checked.checked.split.len());
            anstream::println!("{}: valid, {services} services, {releases} releases", self.file.display());
            return Ok(());
        }
        let directory = self.state_dir.clone().unwrap_or_else(|| default_directory(&self.file));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Failure::running("cannot start", error))?;
        runtime.block_on(serve::serve(&self.file, &directory))
    }
}

/// Checks a manifest that holds a `Standalone`.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path, manifest: Manifest) -> Result<Checked, FileError> {
    Ok(resolve::resolve(path, manifest, &State::default())?.checked)
}

/// The manifest in a file's text.
fn manifest(path: &Path, text: &[u8]) -> Result<Manifest, FileError> {
    match file::parse(path, text)? {
        File::Manifest(manifest) => Ok(manifest),
        File::Document(_) => Err(FileError::new(path, "is a split document; standalone needs YAML with a Standalone")),
    }
}

/// What a failure says.
fn message(failure: Failure) -> String {
    match failure {
        Failure::Failed(message) | Failure::Invalid(message) => message,
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|error| FileError::new(path, format!("cannot be read: {error}")))
}

fn default_directory(file: &Path) -> PathBuf {
    match env::var_os("STATE_DIRECTORY") {
        // Several directories of a unit are joined by colons; the first is as good as any.
        Some(directories) => env::split_paths(&directories).next().unwrap_or_default(),
        None => file.parent().unwrap_or(Path::new("")).join(".serin"),
    }
}
