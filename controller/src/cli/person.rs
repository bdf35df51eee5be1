//! What a person says of a release: roll back, take over, weights by hand, pause, and the end of these.
//!
//! Nothing here writes the release: the word goes into the `CanaryControl` of the same name, where no tool that applies the release
//! takes it back. On a cluster that is an object; beside the file of `serin standalone` it is a document of another file.

mod answer;
mod verbs;

pub(super) use verbs::{Approve, Pause, Resume, Rollback, Takeover, Weight};

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serin_release::lifecycle::verb::{Said, Verb, moves};

use super::ask::ask;
#[cfg(feature = "cluster")]
use super::cluster::Place;
use super::{Failure, Output};
#[cfg(feature = "cluster")]
use crate::keeper::cluster::Cluster;
use crate::keeper::files::Files;
use crate::keeper::{Keeper, TRIES, Written, overtaken};
use answer::Answer;

/// Which release, of which cluster or file, and how to answer.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// The release, as `NAME` or `NAMESPACE/NAME`.
    #[arg(add = super::complete::releases())]
    name: String,
    #[cfg(feature = "cluster")]
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    files: InFiles,
    /// Why, for the status, the history and the event.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    because: String,
    /// What to do: `none`, do it; `client`, only say what it would do; `server`, ask the API server too.
    #[arg(long, value_enum, default_value_t = DryRun::None)]
    dry_run: DryRun,
    /// Ask nothing.
    #[arg(long)]
    yes: bool,
    /// How long to wait until the controller has seen it, in seconds.
    #[cfg(feature = "cluster")]
    #[arg(long, value_name = "SECONDS", default_value = "10")]
    timeout: u64,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DryRun {
    /// It is done.
    None,
    /// Nothing is asked of the cluster but what is there.
    Client,
    /// The API server checks it and writes nothing.
    Server,
}

/// Which files hold a release and what people say of it.
#[derive(Args, Clone, Debug)]
struct InFiles {
    /// FILE of `serin standalone` with the release, instead of a cluster.
    #[cfg_attr(
        feature = "cluster",
        arg(short = 'f', long = "file", value_name = "FILE", requires = "control", conflicts_with_all = CLUSTER)
    )]
    #[cfg_attr(not(feature = "cluster"), arg(short = 'f', long = "file", value_name = "FILE", required = true))]
    file: Option<PathBuf>,
    /// File with the CanaryControls of FILE, which `serin standalone` has as --control: it is written, and made where it is missing.
    #[cfg_attr(feature = "cluster", arg(long, value_name = "CONTROL", requires = "file", conflicts_with_all = CLUSTER))]
    #[cfg_attr(not(feature = "cluster"), arg(long, value_name = "CONTROL", required = true))]
    control: Option<PathBuf>,
    /// State directory of `serin standalone`, which knows how far steps have come [default: as `serin standalone` has it].
    #[arg(long, value_name = "DIR", env = "SERIN_STATE_DIR")]
    state_dir: Option<PathBuf>,
}

/// What belongs to a cluster.
#[cfg(feature = "cluster")]
const CLUSTER: [&str; 4] = ["namespace", "context", "kubeconfig", "timeout"];

impl Named {
    /// The files that are named; `None` where it is about a cluster.
    fn files(&self) -> Result<Option<Files>, Failure> {
        let InFiles { file: Some(file), control: Some(control), state_dir } = self.files.clone() else { return Ok(None) };
        if self.dry_run == DryRun::Server {
            let words = "--dry-run=server asks an API server, and files have none; use --dry-run=client";
            return Err(Failure::Invalid(words.to_owned()));
        }
        Ok(Some(Files { name: self.name.clone(), file, control, state_dir }))
    }
}

/// Says a word, where the release is kept.
fn say(named: &Named, verb: &Verb) -> Result<(), Failure> {
    match named.files()? {
        Some(files) => say_to(named, &files, verb),
        #[cfg(feature = "cluster")]
        None => say_to(named, &Cluster::connect(&named.place, &named.name, named.timeout)?, verb),
        #[cfg(not(feature = "cluster"))]
        None => Err(Failure::Invalid("no file is named; pass -f FILE and --control CONTROL".to_owned())),
    }
}

/// Says a word: shows who moves, asks where that is due, writes, and waits until it is seen. A word that comes in between is heard first,
/// and this one is said about what that left.
fn say_to<K: Keeper>(named: &Named, keeper: &K, verb: &Verb) -> Result<(), Failure> {
    let by = keeper.who()?;
    for _ in 0..TRIES {
        let (found, read) = keeper.find()?;
        let Said { mut control, question, answer: told } =
            verb.said(&found.release, &found.control).map_err(Failure::Invalid)?;
        control.by.clone_from(&by);
        control.because.clone_from(&named.because);
        // It counts where nothing was looked at yet.
        let now = jiff::Timestamp::now();
        let moves = moves(&found.release, &found.control, &control, now)
            .map_err(|cause| Failure::Failed(format!("{}: {cause}", found.release.id())))?
            .moves;
        let dry_run = named.dry_run != DryRun::None;
        let answer = Answer { release: found.release.id(), dry_run, control: control.clone(), moves, told };
        if let Some(question) = question.filter(|_| !named.yes && named.dry_run == DryRun::None) {
            ask(&format!("{answer}{question}"))?;
        }
        if named.dry_run == DryRun::Client {
            return answer.print(named.output);
        }
        match keeper.write(&read, &control, named.dry_run == DryRun::Server)? {
            Written::Outdated => {}
            Written::Whole(generation) => {
                if named.dry_run == DryRun::None {
                    keeper.wait(generation)?;
                }
                return answer.print(named.output);
            }
        }
    }
    Err(overtaken(keeper))
}
