//! The verbs.

use clap::Args;
use serin_config::Weight as Share;
use serin_release::lifecycle::verb::Verb;

use super::{Named, say};
use crate::cli::{Failure, complete};

/// Send everybody of a canary back to stable, at once. Its people come back to it when the rollback is taken back.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  serin rollback reviews --because '5xx on checkout'
  serin rollback bookinfo/reviews v2
  serin rollback shop -f serin.yaml --control control.yaml")]
pub(in crate::cli) struct Rollback {
    #[command(flatten)]
    named: Named,
    /// The canary [default: each canary].
    #[arg(add = complete::canaries())]
    version: Option<String>,
}

/// Send everybody to one version.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  serin takeover reviews v2 --because 'all checks are good'")]
pub(in crate::cli) struct Takeover {
    #[command(flatten)]
    named: Named,
    /// The version that gets everybody.
    #[arg(add = complete::versions())]
    version: String,
    /// Also where no pod of the version is ready: people go to stable until one is.
    #[arg(long)]
    anyway: bool,
}

/// Set the weights of canaries by hand, whatever the spec says.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  serin weight reviews v2=25%")]
pub(in crate::cli) struct Weight {
    #[command(flatten)]
    named: Named,
    /// Weight of each canary. One that is not listed gets nobody.
    #[arg(value_name = "VERSION=WEIGHT", required = true, value_parser = share, add = complete::weights())]
    weights: Vec<(String, Share)>,
}

/// Keep the split as it is, whatever the spec says.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  serin pause reviews --because 'holidays'")]
pub(in crate::cli) struct Pause {
    #[command(flatten)]
    named: Named,
}

/// Take back a rollback, a takeover, weights by hand and a pause: the spec acts again.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  serin resume reviews")]
pub(in crate::cli) struct Resume {
    #[command(flatten)]
    named: Named,
    /// Begin again from the first step, after a failure.
    #[arg(long)]
    retry: bool,
}

/// Let a release go on that waits for a person.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  serin approve bookinfo/reviews --because 'checked with QA'")]
pub(in crate::cli) struct Approve {
    #[command(flatten)]
    named: Named,
    /// The step, from 1; it may be approved before it is reached [default: the one that waits].
    #[arg(long, value_name = "N")]
    step: Option<u32>,
}

/// Reads `VERSION=WEIGHT`.
fn share(text: &str) -> Result<(String, Share), String> {
    let (version, weight) = text.split_once('=').ok_or("write VERSION=WEIGHT, such as `v2=25%`")?;
    Ok((version.to_owned(), weight.parse().map_err(|error: serin_config::WeightError| error.to_string())?))
}

impl Rollback {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, &Verb::Rollback { version: self.version.clone() })
    }
}

impl Takeover {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, &Verb::Takeover { version: self.version.clone(), anyway: self.anyway })
    }
}

impl Weight {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, &Verb::Weight { weights: self.weights.iter().cloned().collect() })
    }
}

impl Pause {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, &Verb::Pause)
    }
}

impl Resume {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, &Verb::Resume { retry: self.retry })
    }
}

impl Approve {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, &Verb::Approve { step: self.step })
    }
}
