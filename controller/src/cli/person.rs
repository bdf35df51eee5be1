//! What a person says of a release: roll back, take over, weights by hand, pause, and the end of these.
//!
//! Nothing here writes the release: the word goes into the `CanaryControl` of the same name, where no tool that applies the release
//! takes it back. On a cluster that is an object; beside the file of `serin standalone` it is a document of another file.

mod answer;
#[cfg(feature = "cluster")]
mod cluster;
mod files;
mod verbs;

pub(super) use verbs::{Approve, Pause, Resume, Rollback, Takeover, Weight};

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live::{self, live};
use serin_release::lifecycle::plan::{Progress, Signals};

use super::ask::ask;
#[cfg(feature = "cluster")]
use super::cluster::Place;
use super::{Failure, Output};
use answer::Answer;
use files::{Files, InFiles};

/// So often a word is said again that another person's word overtakes.
const TRIES: u32 = 5;

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

/// What is there of a release.
struct Found {
    release: CanaryRelease,
    control: Control,
}

impl Found {
    /// The weights in the bucket map.
    fn weights(&self) -> BTreeMap<String, u32> {
        self.release.status.as_ref().map(|status| live::weights(&status.allocation.base)).unwrap_or_default()
    }
}

/// A word that is about to be said.
struct Said {
    /// The control as it shall be.
    control: Control,
    /// Whether people may be moved in a way that asks for a second thought, and what to ask.
    question: Option<String>,
    /// What it comes to, where that is not who moves.
    answer: Option<String>,
}

/// What became of a write.
enum Written {
    /// It is there, with this generation.
    Whole(i64),
    /// Somebody else has written meanwhile: what was read is out of date, and nothing was written.
    Outdated,
}

/// Where the words about a release are kept.
trait Keeper {
    /// What was read, and alone is replaced.
    type Read;

    /// The release and its control.
    fn find(&self) -> Result<(Found, Self::Read), Failure>;
    /// Who says it.
    fn who(&self) -> Result<String, Failure>;
    /// Writes the control in the place of what was read.
    fn write(&self, read: &Self::Read, control: &Control, dry_run: bool) -> Result<Written, Failure>;
    /// Waits until it acts, as far as that can be known.
    fn wait(&self, generation: i64) -> Result<(), Failure>;
    /// What to look at where others keep changing it.
    fn place(&self) -> String;
}

/// Says a word, where the release is kept.
fn say(named: &Named, word: impl Fn(&Found) -> Result<Said, Failure>) -> Result<(), Failure> {
    match Files::of(named)? {
        Some(files) => say_to(named, &files, word),
        #[cfg(feature = "cluster")]
        None => say_to(named, &cluster::Cluster::connect(named)?, word),
        #[cfg(not(feature = "cluster"))]
        None => Err(Failure::Invalid("no file is named; pass -f FILE and --control CONTROL".to_owned())),
    }
}

/// Says a word: shows who moves, asks where that is due, writes, and waits until it is seen. A word that comes in between is heard first,
/// and this one is said about what that left.
fn say_to<K: Keeper>(named: &Named, keeper: &K, word: impl Fn(&Found) -> Result<Said, Failure>) -> Result<(), Failure> {
    let by = keeper.who()?;
    for _ in 0..TRIES {
        let (found, read) = keeper.find()?;
        let Said { mut control, question, answer: told } = word(&found)?;
        control.by.clone_from(&by);
        control.because.clone_from(&named.because);
        let answer = moves(named, &found, &control)?.telling(told);
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
    Err(Failure::Failed(format!(
        "others have changed the CanaryControl {TRIES} times meanwhile, and nothing was written; look at `{}` and try again",
        keeper.place()
    )))
}

/// Who moves by a control.
fn moves(named: &Named, found: &Found, control: &Control) -> Result<Answer, Failure> {
    let status = found.release.status.as_ref();
    let progress = Progress {
        run: status.and_then(|status| status.run.clone()),
        weights: found.weights(),
        control: status.and_then(|status| status.acting()),
    };
    // The word alone: no time passes, and pods are as they were when the controller looked last.
    let now = progress.run.as_ref().map_or_else(jiff::Timestamp::now, |run| run.seen);
    let acting =
        |control: &Control| live(&found.release, control, &progress, &Signals::default(), now).map(|lived| lived.release);
    let invalid = |cause: String| Failure::Failed(format!("{}: {cause}", found.release.id()));
    let (before, after) = (acting(&found.control).map_err(invalid)?, acting(control).map_err(invalid)?);
    Ok(Answer::new(found, &before, &after, control, named.dry_run != DryRun::None))
}
