//! `serin standalone`: one Envoy that serves a file and follows its changes.
//!
//! ```text
//! FILE, CONTROL ─ watch ─► text ─ look ─► Served ─ steps ─► LDS RDS CDS ECDS ─ publish ─► files ─► Envoy (process), asked through admin
//!                           follow ▲ history: the bucket maps of the last document, in state.json          │ spans of requests
//!                                                                               spans: kept in memory ◄─┘
//! ```

mod access_log;
mod admin;
mod analysis;
mod changes;
mod console;
pub(crate) mod edge;
mod envoy;
mod figures;
mod files;
mod follow;
mod history;
mod last_good;
mod limits;
mod log;
mod look;
mod metrics;
mod process;
mod publish;
mod referer;
mod resolve;
mod serve;
pub(crate) mod spans;
mod spec;
mod state;
mod stats;
mod steps;
mod text;
mod tracing;
mod watch;

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use crate::cli::{Failure, report_warning};
use serin_config::Split;
use serin_release::api::standalone::StandaloneSpec;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::file::Manifest;
use serin_release::{Checked, Moment, Problems, State};

pub use state::kept as kept_state;
pub(crate) use state::place as state_place;

const EXAMPLES: &str = "\
Examples:
  serin standalone -f serin.yaml --check
  serin standalone -f serin.yaml
  serin standalone -f serin.yaml --control control.yaml --console 127.0.0.1:9900";

/// Serve the services of a file with one Envoy, and follow the file's changes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Standalone {
    /// YAML with one Standalone and any number of CanaryReleases.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// YAML with CanaryControls alone, as `serin rollback --control` and the like write it; it may be missing, while nobody says anything.
    #[arg(long, value_name = "CONTROL")]
    control: Option<PathBuf>,
    /// Only check the files.
    #[arg(long)]
    check: bool,
    /// Where Envoy's files and the bucket maps are kept; by default systemd's state directory, else `.serin/NAME` beside FILE.
    #[arg(long, value_name = "DIR", env = "SERIN_STATE_DIR")]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    console: console::Arguments,
}

impl Standalone {
    /// Runs until SIGTERM.
    ///
    /// # Errors
    /// The file is not valid, or Envoy does not run.
    pub fn run(self) -> Result<(), Failure> {
        if self.check {
            let source = text::Source { file: self.file.clone(), control: self.control };
            let served = text::parse(&source, &text::read_now(&source), &State::default(), &Moment::default()).1?;
            let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
            let services = count(served.spec.services.len(), "service");
            let releases = count(served.checked.split.len(), "release");
            let file = self.file.display();
            anstream::println!("{file}: valid, {services}, {releases}");
            served.warnings.iter().for_each(|warning| report_warning(&format!("{file}: {warning}")));
            return Ok(());
        }
        let directory = state::directory(&self.file, self.state_dir.as_deref());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(|error| Failure::running("cannot start", error))?;
        let source = text::Source { file: self.file, control: self.control };
        let ended = runtime.block_on(serve::serve(source, directory, self.console.settings()));
        // Who waits for a disk may wait for ever.
        runtime.shutdown_background();
        ended
    }
}

/// Checks a manifest that holds a `Standalone`, and says what is allowed but perhaps not meant.
///
/// # Errors
/// What is wrong with it.
pub fn check(path: &Path, manifest: Manifest) -> Result<(Checked, Vec<String>), Problems> {
    let served = resolve::resolve(path, manifest, &State::default(), &Moment::default())?;
    Ok((served.checked, served.warnings))
}

/// The manifest in a file.
///
/// # Errors
/// It cannot be read, or holds something else.
pub(crate) fn manifest(path: &Path) -> Result<Manifest, Problems> {
    text::manifest(path, &serin_release::file::bytes(path)?)
}

/// A file with a `Standalone` as its proxy has it.
pub(crate) struct Proxied {
    /// Its `Standalone`.
    pub(crate) spec: StandaloneSpec,
    /// The version of each service's default route, in the order of the services.
    pub(crate) defaults: Vec<String>,
    /// Its releases.
    pub(crate) releases: Vec<CanaryRelease>,
    /// The engine.
    pub(crate) split: Split,
}

/// Resolves a manifest that holds a `Standalone`, with these bucket maps of the documents before.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn proxied(path: &Path, manifest: Manifest, previous: &State) -> Result<Proxied, Problems> {
    let resolve::Served { spec, defaults, releases, checked, .. } =
        resolve::resolve(path, manifest, previous, &Moment::default())?;
    Ok(Proxied { spec, defaults, releases, split: checked.split })
}

/// The metrics of a process that has just started, as Prometheus reads them.
pub(crate) fn metrics_text() -> String {
    metrics::Metrics::new().text()
}

/// What a failure says.
pub(crate) fn message(failure: Failure) -> String {
    match failure {
        Failure::Failed(message)
        | Failure::Forbidden(message)
        | Failure::Invalid(message)
        | Failure::Otherwise(message)
        | Failure::GaveUp(message)
        | Failure::Person(message) => message,
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
