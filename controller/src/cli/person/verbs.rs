//! The verbs.

use std::collections::BTreeMap;

use clap::Args;
use serin_config::Weight as Share;
use serin_release::lifecycle::control::{Approval, Control, Hold, HoldKind};
use serin_release::lifecycle::run::RunState;

use super::{Found, Named, Said, say};
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

/// A version that the release has.
fn known(found: &Found, version: &str, with_stable: bool) -> Result<(), Failure> {
    let spec = &found.release.spec;
    let canaries = spec.canaries.iter().map(|canary| canary.version.as_str());
    let versions: Vec<&str> = with_stable.then_some(spec.stable.version.as_str()).into_iter().chain(canaries).collect();
    match versions.contains(&version) {
        true => Ok(()),
        false => Err(Failure::Invalid(format!(
            "`{version}` is not a {} of {}; use one of {}",
            if with_stable { "version" } else { "canary" },
            found.release.id(),
            versions.join(", ")
        ))),
    }
}

fn with_hold(found: &Found, kind: HoldKind, version: Option<String>, weights: BTreeMap<String, Share>) -> Control {
    Control { hold: Some(Hold { kind, version, weights }), ..found.control.clone() }
}

impl Rollback {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, |found| {
            self.version.iter().try_for_each(|version| known(found, version, false))?;
            let control = with_hold(found, HoldKind::Rollback, self.version.clone(), BTreeMap::new());
            // A rollback asks nothing.
            Ok(Said { control, question: None, answer: None })
        })
    }
}

impl Takeover {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, |found| {
            known(found, &self.version, true)?;
            let versions = found.release.status.iter().flat_map(|status| &status.versions);
            let is_ready = versions.into_iter().find(|own| own.version == self.version).is_none_or(|own| own.ready > 0);
            if !is_ready && !self.anyway {
                return Err(Failure::Invalid(format!(
                    "{}: no pod of {} is ready, so that nobody would get it; wait for its pods, or pass --anyway",
                    found.release.id(),
                    self.version
                )));
            }
            let control = with_hold(found, HoldKind::Takeover, Some(self.version.clone()), BTreeMap::new());
            let question = format!("{} gets everybody, and the split is kept for when that is taken back. ", self.version);
            Ok(Said { control, question: Some(question), answer: None })
        })
    }
}

impl Weight {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, |found| {
            self.weights.iter().try_for_each(|(version, _)| known(found, version, false))?;
            let sum: u32 = self.weights.iter().map(|(_, weight)| weight.buckets()).sum();
            if sum > Share::ALL.buckets() {
                return Err(Failure::Invalid(
                    "the weights sum to more than 100%; lower one, stable gets what they leave over".to_owned(),
                ));
            }
            let weights: BTreeMap<String, Share> = self.weights.iter().cloned().collect();
            let before = found.weights();
            let shrinks =
                before.iter().any(|(version, buckets)| weights.get(version).map_or(0, |weight| weight.buckets()) < *buckets);
            let question = shrinks.then(|| "People leave a canary. ".to_owned());
            Ok(Said { control: with_hold(found, HoldKind::Weights, None, weights), question, answer: None })
        })
    }
}

impl Pause {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, |found| {
            let control = Control { paused: true, ..found.control.clone() };
            Ok(Said { control, question: None, answer: None })
        })
    }
}

impl Resume {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, |found| {
            let question = "The spec acts again. ".to_owned();
            let attempt = found.control.attempt + u32::from(self.retry);
            let control = Control { hold: None, paused: false, attempt, ..found.control.clone() };
            Ok(Said { control, question: Some(question), answer: None })
        })
    }
}

impl Approve {
    pub(in crate::cli) fn run(&self) -> Result<(), Failure> {
        say(&self.named, |found| {
            let invalid = |cause: String| Failure::Invalid(format!("{}: {cause}", found.release.id()));
            let run = found.release.status.as_ref().and_then(|status| status.run.as_ref());
            let unknown = match found.release.spec.steps.is_empty() {
                true => "it has no steps, so nothing waits for an approval",
                false => {
                    "how far its steps have come is not known; wait until they have begun, and for a file pass the --state-dir of its `serin standalone`"
                }
            };
            let run = run.ok_or_else(|| invalid(unknown.to_owned()))?;
            let step = match self.step {
                Some(step) => step.checked_sub(1),
                None if run.state == RunState::AwaitingApproval => Some(run.step),
                None => {
                    let next = if run.next.is_empty() { String::new() } else { format!(", then {}", run.next) };
                    return Err(invalid(format!("nothing waits for an approval: the steps are {:?}{next}", run.state)));
                }
            };
            let steps = &found.release.spec.steps;
            let asked =
                |step: &u32| usize::try_from(*step).ok().and_then(|at| steps.get(at)).is_some_and(|step| step.approve);
            let step = step.filter(asked).ok_or_else(|| {
                let number = self.step.unwrap_or_default();
                invalid(format!("step {number} of {} needs no approval; see `approve` in spec.steps", steps.len()))
            })?;
            let approval = Approval { run: run.id.clone(), step };
            // Approvals of other runs mean nothing any more.
            let mut approved: Vec<Approval> = found.control.approved.clone();
            approved.retain(|one| one.run == run.id && *one != approval);
            approved.push(approval);
            let answer = format!("{}: step {} of {} is approved\n", found.release.id(), step + 1, steps.len());
            Ok(Said { control: Control { approved, ..found.control.clone() }, question: None, answer: Some(answer) })
        })
    }
}
