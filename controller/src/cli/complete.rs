//! Names that a shell completes: of releases and versions, of a cluster or a file. Where they cannot be had in time, there are none.

#[cfg(feature = "cluster")]
mod cluster;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use clap::{ArgMatches, CommandFactory};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{CompleteEnv, Shells};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::file::{self, File};

use super::{Cli, Failure, print};

#[cfg(feature = "cluster")]
pub(super) use cluster::{contexts, namespaces};

/// So long a person waits for names.
const PATIENCE: Duration = Duration::from_secs(1);

/// The variable by which a shell's script asks.
const ASKED: &str = "SERIN_COMPLETE";

/// Answers the script of a shell; `None` where none asks.
pub(super) fn answered() -> Option<ExitCode> {
    std::env::var_os(ASKED)?;
    let folder = std::env::current_dir().ok();
    match CompleteEnv::with_factory(Cli::command).var(ASKED).try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(false) => None,
        Ok(true) => Some(ExitCode::SUCCESS),
        // Whatever it says would stand in the middle of what is typed.
        Err(_) => Some(ExitCode::FAILURE),
    }
}

/// Prints what a shell reads to complete commands, options and names.
pub(super) fn script(shell: clap_complete::Shell) -> Result<(), Failure> {
    let (shells, name, mut script) = (Shells::builtins(), shell.to_string(), Vec::new());
    let completer =
        shells.completer(&name).ok_or_else(|| Failure::Invalid(format!("there is no script for {name}; use bash")))?;
    let written = completer.write_registration(ASKED, "serin", "serin", "serin", &mut script);
    written.map_err(|error| Failure::running("cannot write the script", error))?;
    print(&String::from_utf8_lossy(&script))
}

/// What is typed already, as far as it can be read.
struct Typed(ArgMatches);

impl Typed {
    fn read() -> Option<Self> {
        let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
        let matches = Cli::command().ignore_errors(true).try_get_matches_from(words).ok()?;
        matches.subcommand().map(|(_, own)| Self(own.clone()))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.0.try_get_one::<String>(name).ok().flatten().cloned()
    }

    fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.try_get_one::<PathBuf>(name).ok().flatten().cloned()
    }

    /// The releases of the file that is named.
    fn of_file(&self) -> Option<Vec<CanaryRelease>> {
        match file::read(&self.path("file")?).ok()? {
            File::Manifest(manifest) => Some(manifest.releases),
            File::Document(_) => None,
        }
    }
}

/// What a job finds in time.
fn in_time(job: impl FnOnce() -> Option<Vec<String>> + Send + 'static) -> Vec<String> {
    let (sender, found) = mpsc::channel();
    thread::spawn(move || sender.send(job()));
    found.recv_timeout(PATIENCE).ok().flatten().unwrap_or_default()
}

fn completer(names: fn(&str) -> Option<Vec<String>>) -> ArgValueCompleter {
    ArgValueCompleter::new(move |current: &OsStr| {
        let Some(current) = current.to_str().map(str::to_owned) else { return Vec::new() };
        let begin = current.clone();
        let names = in_time(move || names(&current)).into_iter();
        names.filter(|name| name.starts_with(&begin)).map(CompletionCandidate::new).collect()
    })
}

/// Names of releases.
pub(super) fn releases() -> ArgValueCompleter {
    completer(|current| {
        let typed = Typed::read()?;
        if typed.path("file").is_some() {
            let of_file = typed.of_file()?.into_iter();
            let has_namespace = current.contains('/');
            return Some(of_file.map(|one| if has_namespace { one.id() } else { one.metadata.name }).collect());
        }
        of_cluster(&typed, current)
    })
}

#[cfg(feature = "cluster")]
use cluster::releases as of_cluster;

#[cfg(not(feature = "cluster"))]
fn of_cluster(_typed: &Typed, _current: &str) -> Option<Vec<String>> {
    None
}

/// The release that is named already.
fn named() -> Option<CanaryRelease> {
    let typed = Typed::read()?;
    let name = typed.text("name")?;
    if typed.path("file").is_some() {
        return typed.of_file()?.into_iter().find(|one| one.id() == name || one.metadata.name == name);
    }
    #[cfg(feature = "cluster")]
    return cluster::release(&typed, &name);
    #[cfg(not(feature = "cluster"))]
    None
}

fn canary_names(release: &CanaryRelease) -> impl Iterator<Item = String> {
    release.spec.canaries.iter().map(|canary| canary.version.clone())
}

/// The canaries of the release that is named.
pub(super) fn canaries() -> ArgValueCompleter {
    completer(|_| Some(canary_names(&named()?).collect()))
}

/// The versions of the release that is named.
pub(super) fn versions() -> ArgValueCompleter {
    completer(|_| {
        let release = named()?;
        Some(std::iter::once(release.spec.stable.version.clone()).chain(canary_names(&release)).collect())
    })
}

/// The canaries of the release that is named, each with what stands before its weight.
pub(super) fn weights() -> ArgValueCompleter {
    completer(|_| Some(canary_names(&named()?).map(|version| format!("{version}=")).collect()))
}
