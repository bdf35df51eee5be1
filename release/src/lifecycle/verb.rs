//! What a person may say of a release, as the command line and the console say it, and who moves by it. Pure.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serin_config::{ReleaseSplit, Weight};

use super::control::{Approval, Control, Hold, HoldKind};
use super::live::{live, weights};
use super::plan::{Progress, Signals};
use super::run::RunState;
use crate::api::v1alpha1::CanaryRelease;
use crate::difference::Difference;
use crate::entry::{self, Previous};
use crate::served::Limits;
use crate::target::Target;

/// What a person says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Everybody of a canary goes back to stable; without a version, of each canary.
    Rollback {
        /// The canary.
        version: Option<String>,
    },
    /// A version gets everybody.
    Takeover {
        /// The version.
        version: String,
        /// Also where no pod of it is ready.
        anyway: bool,
    },
    /// Canaries get these weights; one that is not listed gets nobody.
    Weight {
        /// The weights, by version.
        weights: BTreeMap<String, Weight>,
    },
    /// The split stays as it is.
    Pause,
    /// The spec acts again.
    Resume {
        /// From the first step, after a failure.
        retry: bool,
    },
    /// A step may be left.
    Approve {
        /// The step, from 1; without it the one that waits.
        step: Option<u32>,
    },
}

/// A word that is about to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The control as it shall be.
    pub control: Control,
    /// What to ask first, where people may be moved in a way that asks for a second thought.
    pub question: Option<String>,
    /// What it comes to, where that is not who moves.
    pub answer: Option<String>,
}

impl Verb {
    /// The word about a release, beside what was said of it before.
    ///
    /// # Errors
    /// A sentence: it speaks of what the release does not have, or would move people to nobody.
    pub fn said(&self, release: &CanaryRelease, before: &Control) -> Result<Said, String> {
        let held = |kind, version, weights| Control { hold: Some(Hold { kind, version, weights }), ..before.clone() };
        let (control, question) = match self {
            // A rollback asks nothing.
            Self::Rollback { version } => {
                version.iter().try_for_each(|version| known(release, version, false))?;
                (held(HoldKind::Rollback, version.clone(), BTreeMap::new()), None)
            }
            Self::Takeover { version, anyway } => {
                known(release, version, true)?;
                if !anyway && !is_ready(release, version) {
                    return Err(format!(
                        "{}: no pod of {version} is ready, so that nobody would get it; wait for its pods, or pass --anyway",
                        release.id(),
                    ));
                }
                let question = format!("{version} gets everybody, and the split is kept for when that is taken back. ");
                (held(HoldKind::Takeover, Some(version.clone()), BTreeMap::new()), Some(question))
            }
            Self::Weight { weights } => {
                let question = shrinks(release, weights)?.then(|| "People leave a canary. ".to_owned());
                (held(HoldKind::Weights, None, weights.clone()), question)
            }
            Self::Pause => (Control { paused: true, ..before.clone() }, None),
            Self::Resume { retry } => {
                let attempt = before.attempt + u32::from(*retry);
                let control = Control { hold: None, paused: false, attempt, ..before.clone() };
                (control, Some("The spec acts again. ".to_owned()))
            }
            Self::Approve { step } => return approve(release, before, *step),
        };
        Ok(Said { control, question, answer: None })
    }

    /// The command that says the same.
    #[must_use]
    pub fn command(&self, release: &str) -> String {
        let mut words = match self {
            Self::Rollback { version } => {
                vec!["rollback".to_owned(), release.to_owned()].into_iter().chain(version.clone()).collect()
            }
            Self::Takeover { version, .. } => vec!["takeover".to_owned(), release.to_owned(), version.clone()],
            Self::Weight { weights } => {
                let weights = weights.iter().map(|(version, weight)| format!("{version}={weight}"));
                ["weight".to_owned(), release.to_owned()].into_iter().chain(weights).collect()
            }
            Self::Pause => vec!["pause".to_owned(), release.to_owned()],
            Self::Resume { .. } => vec!["resume".to_owned(), release.to_owned()],
            Self::Approve { step } => {
                let step = step.iter().flat_map(|step| ["--step".to_owned(), step.to_string()]);
                ["approve".to_owned(), release.to_owned()].into_iter().chain(step).collect()
            }
        };
        match self {
            Self::Takeover { anyway: true, .. } => words.push("--anyway".to_owned()),
            Self::Resume { retry: true } => words.push("--retry".to_owned()),
            _ => {}
        }
        format!("serin {}", words.join(" "))
    }
}

/// Whether a version of a release may have been seen to be ready.
#[must_use]
pub fn is_ready(release: &CanaryRelease, version: &str) -> bool {
    let versions = release.status.iter().flat_map(|status| &status.versions);
    versions.into_iter().find(|own| own.version == version).is_none_or(|own| own.ready > 0)
}

/// A version that the release has.
fn known(release: &CanaryRelease, version: &str, with_stable: bool) -> Result<(), String> {
    let spec = &release.spec;
    let canaries = spec.canaries.iter().map(|canary| canary.version.as_str());
    let versions: Vec<&str> = with_stable.then_some(spec.stable.version.as_str()).into_iter().chain(canaries).collect();
    match versions.contains(&version) {
        true => Ok(()),
        false => Err(format!(
            "`{version}` is not a {} of {}; use one of {}",
            if with_stable { "version" } else { "canary" },
            release.id(),
            versions.join(", ")
        )),
    }
}

/// Whether people leave a canary by these weights.
fn shrinks(release: &CanaryRelease, weights: &BTreeMap<String, Weight>) -> Result<bool, String> {
    weights.keys().try_for_each(|version| known(release, version, false))?;
    let sum: u64 = weights.values().map(|weight| u64::from(weight.buckets())).sum();
    if sum > u64::from(Weight::ALL.buckets()) {
        return Err("the weights sum to more than 100%; lower one, stable gets what they leave over".to_owned());
    }
    let of = |version: &String| weights.get(version).map_or(0, |weight| weight.buckets());
    Ok(reached(release).iter().any(|(version, buckets)| of(version) < *buckets))
}

/// The weights in the bucket map.
fn reached(release: &CanaryRelease) -> BTreeMap<String, u32> {
    release.status.as_ref().map(|status| weights(&status.allocation.base)).unwrap_or_default()
}

fn approve(release: &CanaryRelease, before: &Control, step: Option<u32>) -> Result<Said, String> {
    let invalid = |cause: String| format!("{}: {cause}", release.id());
    let run = release.status.as_ref().and_then(|status| status.run.as_ref());
    let unknown = match release.spec.steps.is_empty() {
        true => "it has no steps, so nothing waits for an approval",
        false => {
            "how far its steps have come is not known; wait until they have begun, and for a file pass the --state-dir of its `serin standalone`"
        }
    };
    let run = run.ok_or_else(|| invalid(unknown.to_owned()))?;
    let at = match step {
        Some(step) => step.checked_sub(1),
        None if run.state == RunState::AwaitingApproval => Some(run.step),
        None => {
            let next = if run.next.is_empty() { String::new() } else { format!(", then {}", run.next) };
            return Err(invalid(format!("nothing waits for an approval: the steps are {:?}{next}", run.state)));
        }
    };
    let steps = &release.spec.steps;
    let asked = |at: &u32| usize::try_from(*at).ok().and_then(|at| steps.get(at)).is_some_and(|step| step.approve);
    let at = at.filter(asked).ok_or_else(|| {
        let number = step.unwrap_or_default();
        invalid(format!("step {number} of {} needs no approval; see `approve` in spec.steps", steps.len()))
    })?;
    let approval = Approval { run: run.id.clone(), step: at };
    // Approvals of other runs mean nothing any more.
    let mut approved: Vec<Approval> = before.approved.clone();
    approved.retain(|one| one.run == run.id && *one != approval);
    approved.push(approval);
    let answer = format!("{}: step {} of {} is approved\n", release.id(), at + 1, steps.len());
    Ok(Said { control: Control { approved, ..before.clone() }, question: None, answer: Some(answer) })
}

/// Who moves when one word about a release replaces another.
///
/// # Errors
/// As those of [`entries`].
pub fn moves(release: &CanaryRelease, before: &Control, after: &Control, now: Timestamp) -> Result<Difference, String> {
    let (before, after) = entries(release, before, after, now)?;
    Ok(Difference::of(&before, &after))
}

/// What proxies decide by when one word about a release replaces another: no time passes, and pods are as they were when they were looked
/// at last. `now` counts where nothing was looked at yet.
///
/// # Errors
/// The schedule names no time zone.
pub fn entries(
    release: &CanaryRelease,
    before: &Control,
    after: &Control,
    now: Timestamp,
) -> Result<(ReleaseSplit, ReleaseSplit), String> {
    let status = release.status.as_ref();
    let progress = Progress {
        run: status.and_then(|status| status.run.clone()),
        weights: reached(release),
        control: status.and_then(|status| status.acting()),
    };
    let now = progress.run.as_ref().map_or(now, |run| run.seen);
    let allocation = status.map(|status| &status.allocation);
    let entry = |control: &Control| -> Result<_, String> {
        let acting = live(release, control, &progress, &Signals::default(), now)?.release;
        let kept = entry::of(&acting, &Target::in_mesh(&acting), Previous { allocation, kept: None });
        // Who is rolled back keeps the buckets, and stable serves them.
        Ok(Limits { waiting: acting.banned, ..Limits::default() }.serve(&kept.split))
    };
    Ok((entry(before)?, entry(after)?))
}
