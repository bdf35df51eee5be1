//! Steps and the schedule of a spec.

use std::collections::{BTreeMap, BTreeSet};

use serin_config::{BUCKETS, Weight};

use super::Check;
use crate::lifecycle::schedule::Schedule;
use crate::lifecycle::steps::Step;

impl Check<'_> {
    pub(super) fn steps(&mut self) {
        let spec = self.spec;
        let mut names = BTreeSet::new();
        // What each canary has been given so far.
        let mut reached: BTreeMap<&str, u32> = BTreeMap::new();
        for (index, step) in spec.steps.iter().enumerate() {
            let path = format!("spec.steps[{index}]");
            if let Some(name) = step.name.as_deref().filter(|name| !names.insert(*name)) {
                self.refuse(format!("{path}.name"), format!("`{name}` is listed already"), "give each step its own name");
            }
            if self.step_weights(&path, step) {
                self.growth(&path, step, &mut reached);
            }
        }
        if spec.schedule.is_some() && spec.steps.is_empty() {
            self.refuse("spec.schedule", "there are no steps that it could hold up", "add `steps`, or leave it out");
        }
        if let Some(schedule) = &spec.schedule {
            self.schedule(schedule);
        }
    }

    /// Whether a step says in one way, and of canaries alone, what they get.
    fn step_weights(&mut self, path: &str, step: &Step) -> bool {
        let canaries = &self.spec.canaries;
        match (step.weight, step.weights.is_empty()) {
            (Some(_), false) => {
                self.refuse(path, "this step has both `weight` and `weights`", "keep one of them");
                return false;
            }
            (None, true) => {
                self.refuse(
                    path,
                    "this step has neither `weight` nor `weights`",
                    "add `weight: 5%`, or `weights: {v2: 5%}`",
                );
                return false;
            }
            (Some(_), true) if canaries.len() != 1 => {
                let problem = format!("`weight` is that of the only canary, and there are {}", canaries.len());
                self.refuse(format!("{path}.weight"), problem, "write `weights: {v2: 5%}` with the version of each");
                return false;
            }
            _ => {}
        }
        let known = |version: &String| canaries.iter().any(|canary| canary.version == *version);
        let unknown: Vec<&String> = step.weights.keys().filter(|version| !known(version)).collect();
        for version in &unknown {
            let problem = format!("`{version}` is not a canary of this release");
            self.refuse(
                format!("{path}.weights.{version}"),
                problem,
                "list canaries only, stable gets what they leave over",
            );
        }
        unknown.is_empty()
    }

    /// No step takes anything from a version, and all of them together never ask for more than there is.
    fn growth<'c>(&mut self, path: &str, step: &Step, reached: &mut BTreeMap<&'c str, u32>)
    where
        Self: 'c,
    {
        let spec = self.spec;
        let only = spec.canaries.len() == 1;
        for canary in &spec.canaries {
            let Some(buckets) = step.buckets(&canary.version, only) else { continue };
            let at =
                if step.weight.is_some() { format!("{path}.weight") } else { format!("{path}.weights.{}", canary.version) };
            self.granularity(&at, Weight::from_buckets(buckets).unwrap_or(Weight::ALL), spec.sticky.as_ref());
            let before = reached.entry(canary.version.as_str()).or_insert(0);
            if buckets < *before {
                let had = Weight::from_buckets(*before).unwrap_or(Weight::ALL);
                self.refuse(
                    at,
                    format!("a step before gave {} {had}, and a step never takes anything away", canary.version),
                    "write at least that much; `serin rollback` takes it away",
                );
            } else {
                *before = buckets;
            }
        }
        let sum: u64 = reached.values().map(|buckets| u64::from(*buckets)).sum();
        if sum > u64::from(BUCKETS) {
            let problem = "the weights that canaries have by this step sum to more than 100%";
            self.refuse(path, problem, "lower one, stable gets what they leave over");
        }
    }

    fn schedule(&mut self, schedule: &Schedule) {
        if let Err(cause) = schedule.zone() {
            self.problems.push(crate::problem::Problem::of_sentence("spec.schedule.timeZone", &cause));
        }
        for (index, window) in schedule.windows.iter().enumerate() {
            if window.to <= window.from {
                let fix = "write a later one; a window over midnight is two, the first of which ends at `24:00`";
                self.refuse(format!("spec.schedule.windows[{index}].to"), "the window closes before it opens", fix);
            }
        }
        for (index, freeze) in schedule.freeze.iter().enumerate() {
            if freeze.to <= freeze.from {
                self.refuse(format!("spec.schedule.freeze[{index}].to"), "it ends before it begins", "write a later time");
            }
        }
    }
}
