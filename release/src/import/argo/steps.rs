//! The steps of a Rollout, which do one thing each, as steps of a release, which have a weight, a time and what they wait for.

use serde::Deserialize;
use serde_json::Value;
use serin_config::{Alternative, Condition, Weight};

use super::super::amounts;
use super::super::draft::Draft;
use super::super::objects::{Rest, read};
use super::super::rules::Outcome;
use super::super::when::{StringMatch, When};
use super::analysis::{Analyses, Run};
use crate::lifecycle::steps::{Check, Step};

#[derive(Debug, Default, Deserialize)]
struct HeaderRoute {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "match")]
    matches: Vec<HeaderMatch>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HeaderMatch {
    #[serde(default)]
    header_name: String,
    #[serde(default)]
    header_value: StringMatch,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Pause {
    duration: Option<Value>,
    #[serde(flatten)]
    rest: Rest,
}

/// Steps under way.
struct Steps<'a> {
    /// Each with the number of the source's step that ends it.
    done: Vec<(Step, usize)>,
    version: &'a str,
    whole: u64,
    /// The source's step at which an analysis begins.
    begins: Option<usize>,
}

/// Steps of a Rollout; weights are parts of `whole`.
pub(super) fn steps(
    draft: &mut Draft,
    source: &[Rest],
    (version, whole): (&str, u64),
    background: Option<&Run>,
    analyses: &mut Analyses<'_>,
) -> Vec<Step> {
    let mut steps = Steps { done: Vec::new(), version, whole, begins: None };
    let start = background.map(|run| usize::try_from(run.starting_step.unwrap_or_default()).unwrap_or_default());
    let mut is_lost = false;
    if let (Some(run), Some(start)) = (background, start) {
        is_lost = !analyses.add(draft, "analysis", run);
        steps.begins = Some(start);
    }
    for (at, step) in source.iter().enumerate() {
        for (name, value) in step {
            steps.take(draft, at, (name, value), analyses);
        }
    }
    if !source.is_empty() && steps.done.last().and_then(|(step, _)| step.weight) != Some(Weight::ALL) {
        steps.done.push((Step { weight: Some(Weight::ALL), ..Step::default() }, source.len()));
    }
    let begins = steps.begins.unwrap_or(usize::MAX);
    let last = steps.done.len().saturating_sub(1);
    for (number, (step, end)) in steps.done.iter_mut().enumerate() {
        // The last one is followed by nothing that could wait.
        if *end < begins && number < last {
            step.analysis = Some(Check::Off);
        }
        // Where a check is lost, a person is asked.
        step.approve |= is_lost && *end >= start.unwrap_or_default() && number < last;
    }
    steps.done.into_iter().map(|(step, _)| step).collect()
}

impl Steps<'_> {
    /// The step that is being written; before the first weight nobody gets the canary.
    fn last(&mut self, at: usize) -> Option<&mut Step> {
        if self.done.is_empty() {
            self.done.push((Step { weight: Some(Weight::NONE), ..Step::default() }, at));
        }
        let (step, end) = self.done.last_mut()?;
        *end = at;
        Some(step)
    }

    fn take(&mut self, draft: &mut Draft, at: usize, (name, value): (&str, &Value), analyses: &mut Analyses<'_>) {
        let path = format!("steps[{at}].{name}");
        match name {
            "setWeight" => self.weight(draft, at, value),
            "pause" => self.pause(draft, at, value),
            "analysis" => {
                let run: Run = read(value).unwrap_or_default();
                let is_whole = analyses.add(draft, &path, &run);
                self.begins = Some(self.begins.unwrap_or(at).min(at));
                if let Some(step) = self.last(at) {
                    step.analysis = Some(Check::Pass);
                    step.approve |= !is_whole;
                }
            }
            "setHeaderRoute" => self.header_route(draft, &path, value),
            "setCanaryScale" => draft.lost(path, "set workload.replicas"),
            "setMirrorRoute" => draft.lost(path, "a mirror is routing.http.mirrors, for the whole release"),
            "replicaProgressThreshold" => draft.lost(path, "Serin waits for ready pods; see canaries[].minReady"),
            "experiment" | "plugin" => {
                if let Some(step) = self.last(at) {
                    step.approve = true;
                }
                draft.lost(path, "run it beside the release, and `serin approve` behind it: the step waits for that");
            }
            _ => draft.lost(path, "has no counterpart in Serin"),
        }
    }

    fn weight(&mut self, draft: &mut Draft, at: usize, value: &Value) {
        match value.as_u64() {
            Some(weight) => {
                let weight = Some(amounts::share(weight, self.whole));
                self.done.push((Step { weight, ..Step::default() }, at));
            }
            None => draft.lost(format!("steps[{at}].setWeight"), "is not a number; the step before goes on"),
        }
    }

    fn pause(&mut self, draft: &mut Draft, at: usize, value: &Value) {
        let Pause { duration, rest } = read(value).unwrap_or_default();
        draft.rest(&format!("steps[{at}].pause"), &rest, &[]);
        let seconds = duration.as_ref().map(amounts::seconds_of);
        if seconds == Some(None) {
            draft.lost(format!("steps[{at}].pause.duration"), "is not a time, so the step waits for a person");
        }
        let Some(step) = self.last(at) else { return };
        match seconds.flatten() {
            Some(seconds) => step.hold = amounts::span(u64::from(step.hold_seconds()) + u64::from(seconds)),
            None => step.approve = true,
        }
    }

    /// Headers one of which is enough become one rule.
    fn header_route(&mut self, draft: &mut Draft, path: &str, value: &Value) {
        let route: HeaderRoute = read(value).unwrap_or_default();
        draft.rest(path, &route.rest, &[]);
        if route.matches.is_empty() {
            return draft.changed(path, "a rule ends with its release, so this says nothing");
        }
        let mut when = When::default();
        for (number, matched) in route.matches.iter().enumerate() {
            let wanted = matched.header_value.wanted();
            when.header(&format!("{path}.match[{number}]"), &matched.header_name, wanted);
            when.rest(&format!("{path}.match[{number}]"), &matched.rest);
        }
        if when.conditions.len() > 1 {
            let alternatives = std::mem::take(&mut when.conditions).into_iter().filter_map(alternative);
            when.conditions = vec![Condition::AnyOf(alternatives.collect())];
        }
        let name = if route.name.is_empty() { "headers".to_owned() } else { route.name };
        draft.rule(path, name, when, Outcome::Version(self.version.to_owned()));
        draft.changed(path, "the rule holds for the whole release; in Argo it begins with its step");
    }
}

fn alternative(condition: Condition) -> Option<Alternative> {
    match condition {
        Condition::Header(named) => Some(Alternative::Header(named)),
        Condition::Cookie(named) => Some(Alternative::Cookie(named)),
        _ => None,
    }
}
