//! Between steps 1 and 2: the release as a person's word leaves it. Pure; the time comes in.

use std::sync::Arc;

use jiff::Timestamp;
use serin_release::Problem;
use serin_release::api::v1alpha1::{CanaryRelease, ControlStatus, HistoryEntry, Status, StatusCondition};
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::live::{live as live_release, weights};
use serin_release::lifecycle::plan::{Planned, Progress, Signals};

use crate::Object;
use crate::conditions::{Condition, ConditionType, Reason};
use crate::resource::Resource;

/// What a CanaryControl says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// What it says.
    pub control: Control,
    /// Its generation; 0 where there is none.
    pub generation: i64,
    /// What is wrong with one that cannot be read: then nothing of it acts.
    pub problem: Option<Problem>,
}

impl Word {
    /// Reads the CanaryControl of a release, if there is one.
    #[must_use]
    pub fn read(object: Option<&Object>) -> Self {
        let Some(object) = object.filter(|object| !object.metadata.deleting) else { return Self::default() };
        let generation = object.metadata.generation;
        let spec = object.data.get("spec").cloned().unwrap_or_else(|| serde_json::json!({}));
        match serin_release::yaml::from_value(&spec, "spec") {
            Ok(control) => Self { control, generation, problem: None },
            Err(problem) => Self { generation, problem: Some(problem), ..Self::default() },
        }
    }
}

/// What acts of a person's word, and what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// What it came to; `None` for a release whose text says nothing.
    pub planned: Option<Planned>,
    /// What the person said.
    pub word: Word,
    /// What the spec says: a takeover, else weights.
    pub spec: String,
}

impl Life {
    /// Whether a person's word acts; `None` where there is none and never was.
    #[must_use]
    pub fn overridden(&self, before: &[StatusCondition]) -> Option<Condition> {
        let known = self.word.generation > 0 || Reason::among(before, ConditionType::Overridden).is_some();
        let planned = self.planned.as_ref().filter(|_| known)?;
        if let Some(problem) = &self.word.problem {
            return Some(Condition::new(Reason::ControlInvalid, format!("the CanaryControl cannot be read: {problem}")));
        }
        let acting = planned.progress.control.as_ref();
        let hold = acting.and_then(|control| control.hold.as_ref());
        if planned.is_void && hold.is_none() {
            let hold = self.word.control.hold.as_ref();
            let named = hold.map(|hold| hold.version.iter().chain(hold.weights.keys()).cloned().collect::<Vec<_>>());
            let message = format!(
                "the CanaryControl speaks of {}, which the release does not have, so its hold does not act: correct it, or take it back with \
                 `serin resume`",
                named.unwrap_or_default().join(", ")
            );
            return Some(Condition::new(Reason::ControlVoid, message));
        }
        Some(match acting.and_then(Control::said) {
            Some(said) => Condition::new(Reason::Overridden, format!("{said}; the spec says {}", self.spec)),
            None => Condition::new(Reason::NotOverridden, "the spec acts"),
        })
    }

    /// The part of a status that says what acts of a control.
    #[must_use]
    pub fn control(&self, before: &Status, now: &str) -> Option<ControlStatus> {
        let acting = self.planned.as_ref()?.progress.control.as_ref()?;
        ControlStatus::of(acting, self.word.generation, before.control.as_ref(), now)
    }

    /// The history with what happened.
    #[must_use]
    pub fn history(&self, before: &Status, now: &str) -> Vec<HistoryEntry> {
        let happened = self.planned.as_ref().map(|planned| planned.happened.as_slice()).unwrap_or_default();
        before.history_with(happened, now)
    }
}

/// What a spec says of its canaries.
fn spec_says(release: &CanaryRelease) -> String {
    let spec = &release.spec;
    let weights = spec.canaries.iter().map(|canary| format!("{}={}", canary.version, canary.weight));
    match &spec.takeover {
        Some(version) => format!("takeover: {version}"),
        None if spec.canaries.is_empty() => "no canary".to_owned(),
        None => weights.collect::<Vec<_>>().join(", "),
    }
}

/// The release as it acts now. One that leaves, or whose text says nothing, is as it was.
#[must_use]
pub fn live(resource: &Arc<Resource>, word: Word, now: Timestamp) -> (Arc<Resource>, Life) {
    let parsed = resource.parsed.as_ref().ok().filter(|_| !resource.leaves());
    let status = &resource.status;
    let progress = Progress { run: None, weights: weights(&status.allocation.base), control: status.acting() };
    let lived = parsed.and_then(|release| live_release(release, &word.control, &progress, &Signals::default(), now).ok());
    match lived {
        Some(lived) => {
            let spec = parsed.map(spec_says).unwrap_or_default();
            let mut acting = Resource::clone(resource);
            acting.parsed = Ok(lived.release);
            (Arc::new(acting), Life { planned: Some(lived.planned), word, spec })
        }
        None => (Arc::clone(resource), Life { word, ..Life::default() }),
    }
}
