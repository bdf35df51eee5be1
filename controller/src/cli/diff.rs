//! `serin diff`: who moves if a file is applied.

mod people;
mod words;

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use serde::Serialize;
use serin_config::{ReleaseSplit, Split, SplitDocument};
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::difference::Difference;
use serin_release::entry::{self, Previous};
use serin_release::file::{self, File};
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live::{live, weights};
use serin_release::lifecycle::plan::{Planned, Progress, Signals};
use serin_release::lifecycle::run::What;
use serin_release::lifecycle::verb::is_ready;
use serin_release::served::Limits;
use serin_release::{Kept, Target};

use super::{Failure, Output, print};
use people::{People, Requests, User};

const EXAMPLES: &str = "\
Examples:
  serin diff -f new.yaml --from old.yaml
  kubectl get crel reviews -o yaml | serin diff -f new.yaml --from - --user ann --exit-code";

/// Show who moves if a file is applied: by shares, exactly, and for single users and requests.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Diff {
    /// YAML file with the CanaryRelease as it shall be; `-` reads standard input.
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    file: PathBuf,
    /// The release, as `NAME` or `NAMESPACE/NAME` [default: the only one of the file].
    #[arg(add = super::complete::releases())]
    name: Option<String>,
    /// YAML file with the release as it is, with its status, such as `kubectl get crel -o yaml` prints; `-` reads standard input. By default the
    /// cluster of the kubeconfig is asked.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// A user, by the value of the key that makes a user sticky. Repeat the option for more users.
    #[arg(long, value_name = "KEY")]
    user: Vec<String>,
    /// File with one request per line, as JSON like that of `serin explain`.
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// End with exit code 3 if anybody moves.
    #[arg(long)]
    exit_code: bool,
    /// Output format.
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// What is answered.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    release: String,
    /// Where the release as it is comes from.
    from: String,
    /// Whether there is none yet: then everybody is stable's.
    new: bool,
    /// Whether its steps begin from the first one again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    begins: bool,
    #[serde(flatten)]
    difference: Difference,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    users: Vec<User>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<Requests>,
}

/// A release as it is, and where that is known from.
struct Known {
    release: Option<CanaryRelease>,
    from: String,
}

impl Diff {
    pub(super) fn run(&self) -> Result<(), Failure> {
        if self.file.as_os_str() == "-" && self.from.as_ref().is_some_and(|from| from.as_os_str() == "-") {
            return Err(Failure::Invalid("both files are standard input; write one of them to a file".to_owned()));
        }
        let after = self.wanted()?;
        let known = match &self.from {
            Some(path) => known_of_file(path, &after)?,
            None => self.of_cluster(&after)?,
        };
        let Change { before, now, begins } = change(known.release.as_ref(), &after)?;
        let difference = Difference::of(&before, &now);
        let people = People::new(split(&self.file, &before)?, split(&self.file, &now)?);
        let answer = Answer {
            release: after.id(),
            from: known.from,
            new: known.release.is_none(),
            begins,
            users: self.user.iter().map(|key| people.user(key, &now)).collect::<Result<_, _>>()?,
            requests: self.requests.as_deref().map(|path| people.requests(path)).transpose()?,
            difference,
        };
        let text = match self.output {
            Output::Text => answer.to_string(),
            Output::Json => {
                let json = serde_json::to_string(&answer).map_err(|error| Failure::running("cannot write", error))?;
                format!("{json}\n")
            }
        };
        print(&text)?;
        match self.exit_code && !answer.difference.is_nothing() {
            true => Err(Failure::Otherwise(String::new())),
            false => Ok(()),
        }
    }

    /// The release as it shall be.
    fn wanted(&self) -> Result<CanaryRelease, Failure> {
        let file = file::read(&self.file)?;
        // What is wrong with it is said first.
        file.clone().compile(&self.file)?;
        let shown = file::display_name(&self.file);
        let File::Manifest(manifest) = file else {
            return Err(Failure::Invalid(format!("{shown}: a split document has no releases; pass the CanaryRelease")));
        };
        let named = |release: &&CanaryRelease| match self.name.as_deref() {
            None => true,
            Some(name) => release.id() == name || release.metadata.name == name,
        };
        let all: Vec<String> = manifest.releases.iter().map(CanaryRelease::id).collect();
        let mut found = manifest.releases.iter().filter(named);
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(only.clone()),
            (Some(_), Some(_)) => {
                Err(Failure::Invalid(format!("{shown}: it has several releases; name one of {}", all.join(", "))))
            }
            (None, _) => Err(Failure::Invalid(format!(
                "{shown}: it has no release `{}`; name one of {}",
                self.name.as_deref().unwrap_or_default(),
                all.join(", ")
            ))),
        }
    }

    #[cfg(feature = "cluster")]
    fn of_cluster(&self, after: &CanaryRelease) -> Result<Known, Failure> {
        Ok(match super::cluster::release(after)? {
            Some((release, generation)) => {
                Known { release: Some(release), from: format!("the cluster, generation {generation}") }
            }
            None => Known { release: None, from: "the cluster".to_owned() },
        })
    }

    #[cfg(not(feature = "cluster"))]
    fn of_cluster(&self, _: &CanaryRelease) -> Result<Known, Failure> {
        Err(Failure::Invalid("this `serin` was built without the cluster; pass the release as it is with --from".to_owned()))
    }
}

/// The release of the same name in a file.
fn known_of_file(path: &Path, after: &CanaryRelease) -> Result<Known, Failure> {
    let from = file::display_name(path);
    let File::Manifest(manifest) = file::read(path)? else {
        return Err(Failure::Invalid(format!("{from}: a split document has no releases; pass the CanaryRelease")));
    };
    let release = manifest.releases.into_iter().find(|release| release.id() == after.id());
    Ok(Known { release, from })
}

/// What proxies decide by before and after, and whether steps begin from the first one.
pub(crate) struct Change {
    pub(crate) before: ReleaseSplit,
    pub(crate) now: ReleaseSplit,
    pub(crate) begins: bool,
}

/// Bucket maps go on from those of the status, and so do steps and what a person said.
pub(crate) fn change(known: Option<&CanaryRelease>, after: &CanaryRelease) -> Result<Change, Failure> {
    let fresh = CanaryRelease { status: None, ..after.clone() };
    let Some(known) = known else {
        let mut nobody = fresh.clone();
        (nobody.spec.canaries, nobody.spec.rules, nobody.spec.takeover) = (Vec::new(), Vec::new(), None);
        let before = entry::of(&nobody, &Target::in_mesh(&nobody), Previous::default());
        let (now, _) = acting(&fresh, &Progress::default(), Previous::default())?;
        return Ok(Change { before: before.split, now: now.split, begins: false });
    };
    let status = known.status.clone().unwrap_or_default();
    let progress = Progress { run: status.run.clone(), weights: weights(&status.allocation.base), control: status.acting() };
    let allocation = known.status.as_ref().map(|status| &status.allocation);
    // As it acts: what its text says, without what time would do to it meanwhile.
    let (before, planned) = acting(known, &progress, Previous { allocation, kept: None })?;
    let (run, weights) = (planned.progress.run.or(progress.run), weights(&before.allocation.base));
    let progress = Progress { run, weights, control: progress.control };
    let after = CanaryRelease { status: known.status.clone(), ..fresh };
    let previous = Previous { allocation: Some(&before.allocation), kept: Some(&before) };
    let (now, planned) = acting(&after, &progress, previous)?;
    let begins = planned.happened.iter().any(|happened| happened.what == What::Started);
    Ok(Change { before: before.split, now: now.split, begins })
}

/// A release as steps and a person's word leave it at the time of its last look, where pods are as its status has them.
fn acting(release: &CanaryRelease, progress: &Progress, previous: Previous<'_>) -> Result<(Kept, Planned), Failure> {
    let spec = &release.spec;
    let versions = std::iter::once(&spec.stable.version).chain(spec.canaries.iter().map(|canary| &canary.version));
    let ready = versions.filter(|version| is_ready(release, version)).cloned().collect();
    let signals = Signals { ready, ..Signals::default() };
    let attempt = progress.run.as_ref().map_or(0, |run| run.attempt);
    let word = release.word.clone().or_else(|| progress.control.clone()).unwrap_or_default();
    let word = Control { attempt: word.attempt.max(attempt), ..word };
    let now = progress.run.as_ref().map_or(Timestamp::UNIX_EPOCH, |run| run.seen);
    let lived = live(release, &word, progress, &signals, now)
        .map_err(|cause| Failure::Invalid(format!("{}: {cause}", release.id())))?;
    let kept = entry::of(&lived.release, &Target::in_mesh(&lived.release), previous);
    // Who is rolled back keeps the buckets, and stable serves them.
    let split = Limits { waiting: lived.release.banned, ..Limits::default() }.serve(&kept.split);
    Ok((Kept { split, ..kept }, lived.planned))
}

/// The engine of one entry.
fn split(path: &Path, entry: &ReleaseSplit) -> Result<Split, Failure> {
    let mut document = SplitDocument::new(vec![entry.clone()]);
    document.embed_automata().map_err(|error| Failure::Invalid(format!("{}: {error}", file::display_name(path))))
}
