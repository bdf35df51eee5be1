//! Rules under way. A rule that cannot be carried over leaves its requests to what comes behind it, so what comes behind must not give them
//! more of a canary than they had.

use serin_config::{BUCKETS, SplitDocument};

use super::report::{Kind, Line};
use super::when::{Fit, When};
use crate::api::v1alpha1::{CanaryRelease, Rule, Share};
use crate::compile::{Moment, compile};
use crate::problem::Problems;
use crate::state::State;
use crate::target::Target;

/// Where the requests of a rule go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// To one version, stable's or a canary's.
    Version(String),
    /// To canaries by weight, the rest to stable.
    Split(Vec<Share>),
    /// To none of the versions: a redirect, another Service. Stable gets them, so that no canary does.
    Elsewhere,
}

/// A rule under way.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its place in the source.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) when: When,
    pub(super) outcome: Outcome,
}

/// What became of the rules.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub(super) rules: Vec<Rule>,
    pub(super) report: Vec<Line>,
    /// The most buckets that weights may give, and the place of the rule that is the reason.
    pub(super) cap: Option<(u32, String)>,
}

impl Resolved {
    fn most(&self) -> u32 {
        self.cap.as_ref().map_or(BUCKETS, |(most, _)| *most)
    }

    /// A rule is gone that gave so much of a canary.
    fn gone(&mut self, path: &str, share: u32) {
        if share < self.most() {
            self.cap = Some((share, path.to_owned()));
        }
    }

    fn lost(&mut self, path: &str, text: impl Into<String>) {
        self.report.push(Line::new(Kind::Lost, path, text));
    }
}

/// Keeps the rules that a release can have. `bare` is the release without rules and weights.
pub(super) fn resolve(entries: Vec<Entry>, bare: &CanaryRelease) -> Resolved {
    let mut resolved = Resolved::default();
    for entry in entries {
        let share = share(&entry.outcome, &bare.spec.stable.version);
        let fit = entry.when.fit;
        // What was changed of a rule that is gone is of no interest.
        let is_kept = |note: &Line| fit == Fit::Fits || note.kind != Kind::Changed;
        resolved.report.extend(entry.when.notes.iter().filter(|note| is_kept(note)).cloned());
        match fit {
            Fit::Never => continue,
            Fit::Lost => {
                resolved.gone(&entry.path, share);
                continue;
            }
            Fit::Fits => {}
        }
        if share > resolved.most() {
            let before = resolved.cap.as_ref().map(|(_, path)| path.clone()).unwrap_or_default();
            let text = format!("left out: {before} is lost, which kept some of these requests from the canary");
            resolved.lost(&entry.path, text);
            continue;
        }
        let rule = rule(&entry, &resolved.rules, &bare.spec.stable.version);
        match fault(bare, &rule) {
            Some(cause) => {
                resolved.lost(&entry.path, format!("left out: {cause}"));
                resolved.gone(&entry.path, share);
            }
            None => {
                let text = format!("becomes the rule `{}`", rule.name);
                resolved.report.push(Line::new(Kind::Carried, &entry.path, text));
                resolved.rules.push(rule);
            }
        }
    }
    resolved
}

/// How many buckets of a rule's requests get a canary.
fn share(outcome: &Outcome, stable: &str) -> u32 {
    match outcome {
        Outcome::Version(version) if version != stable => BUCKETS,
        Outcome::Version(_) | Outcome::Elsewhere => 0,
        Outcome::Split(shares) => shares.iter().map(|share| share.weight.buckets()).sum::<u32>().min(BUCKETS),
    }
}

fn rule(entry: &Entry, before: &[Rule], stable: &str) -> Rule {
    let is_taken = |name: &str| before.iter().any(|rule| rule.name == name);
    let numbered = (2_usize..).map(|number| format!("{}-{number}", entry.name));
    let name = std::iter::once(entry.name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default();
    let (version, split) = match &entry.outcome {
        Outcome::Version(version) => (Some(version.clone()), None),
        Outcome::Split(shares) => (None, Some(shares.clone())),
        Outcome::Elsewhere => (Some(stable.to_owned()), None),
    };
    Rule { name, when: entry.when.conditions.clone(), version, split, sticky: None }
}

/// Why a release cannot have a rule.
fn fault(bare: &CanaryRelease, rule: &Rule) -> Option<String> {
    let mut release = bare.clone();
    release.spec.rules = vec![rule.clone()];
    refused(&release)
}

/// Why a release would be refused, in one sentence.
pub(super) fn refused(release: &CanaryRelease) -> Option<String> {
    let target = Target::in_mesh(release);
    let checked =
        compile(&[(release.clone(), target)], &State::default(), SplitDocument::new(Vec::new()), &Moment::default());
    match checked {
        Ok(_) => None,
        Err(Problems(problems)) => Some(problems.first().map(|problem| problem.in_its_object()).unwrap_or_default()),
    }
}
