//! A release of a cluster as commands show it. Pure.

use jiff::Timestamp;
use serde_json::{Value, json};
use serin_mesh::resource::Resource;
use serin_release::api::v1alpha1::{Phase, Status};
use serin_release::lifecycle::verdict::Verdict;

/// A release of a cluster.
pub(super) struct View {
    pub(super) resource: Resource,
}

impl View {
    pub(super) fn status(&self) -> &Status {
        &self.resource.status
    }

    /// Stable's version; `?` where the spec cannot be read.
    pub(super) fn stable(&self) -> &str {
        self.resource.parsed.as_ref().map_or("?", |release| &release.spec.stable.version)
    }

    /// The phase as the controller has told it, of the spec as it is.
    pub(super) fn phase(&self) -> Option<Phase> {
        self.status().phase.filter(|_| self.is_observed())
    }

    /// The phase in one word.
    pub(super) fn phase_name(&self) -> &'static str {
        self.phase().map_or("Unknown", Phase::name)
    }

    /// Whether the controller has seen the spec as it is.
    pub(super) fn is_observed(&self) -> bool {
        self.status().observed_generation == Some(self.resource.generation)
    }

    fn steps(&self) -> usize {
        self.resource.parsed.as_ref().map_or(0, |release| release.spec.steps.len())
    }

    /// The step, from 1, and how many there are.
    pub(super) fn step(&self) -> Option<(usize, usize)> {
        let (run, steps) = (self.status().run.as_ref()?, self.steps());
        let at = usize::try_from(run.step).unwrap_or(usize::MAX);
        (steps > 0).then(|| (at.saturating_add(1).min(steps), steps))
    }

    /// When something happened last.
    fn since(&self) -> Option<&str> {
        self.status().history.first().map(|entry| entry.at.as_str())
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        self.status().analysis.as_ref().map(|analysis| analysis.verdict)
    }

    /// What comes next, or what is wrong.
    pub(super) fn next(&self) -> String {
        let status = self.status();
        let run = status.run.as_ref();
        match self.phase() {
            None => "the controller has not seen it yet".to_owned(),
            Some(Phase::AwaitingApproval) => format!("serin approve {}", self.resource.id),
            Some(Phase::Refused | Phase::Progressing) => status.message.clone().unwrap_or_default(),
            _ => match run.and_then(|run| run.failed.last()) {
                Some(failed) => failed.because.clone(),
                None => run.map(|run| run.next.clone()).unwrap_or_default(),
            },
        }
    }

    /// The line of a list.
    pub(super) fn row(&self, now: Timestamp) -> Vec<String> {
        let dash = || "-".to_owned();
        let canaries = if self.status().canaries.is_empty() { dash() } else { self.status().canaries.clone() };
        vec![
            self.resource.id.namespace.clone(),
            self.resource.id.name.clone(),
            self.stable().to_owned(),
            canaries,
            self.phase_name().to_owned(),
            self.step().map_or_else(dash, |(step, of)| format!("{step}/{of}")),
            self.since().and_then(|at| Some(age(at.parse().ok()?, now))).unwrap_or_else(dash),
            self.verdict().map_or_else(dash, |verdict| verdict.to_string()),
            self.next(),
        ]
    }

    /// The same for tools.
    pub(super) fn json(&self) -> Value {
        let status = self.status();
        json!({
            "release": self.resource.id.to_string(),
            "stable": self.stable(),
            "phase": self.phase_name(),
            "reason": status.reason,
            "message": status.message,
            "versions": status.versions,
            "step": self.step().map(|(step, _)| step),
            "steps": self.steps(),
            "since": self.since(),
            "verdict": self.verdict(),
            "next": self.next(),
        })
    }

    /// One line that says where it is.
    pub(super) fn line(&self) -> String {
        let step = self.step().map(|(step, of)| format!(" at step {step} of {of}")).unwrap_or_default();
        let canaries =
            if self.status().canaries.is_empty() { String::new() } else { format!(", {}", self.status().canaries) };
        let next = match (self.phase(), self.next()) {
            (Some(Phase::AwaitingApproval), command) => format!("; run `{command}`"),
            (_, next) if next.is_empty() => String::new(),
            (_, next) => format!("; {next}"),
        };
        format!("{}: {}{step}{canaries}{next}", self.resource.id, self.phase_name())
    }
}

/// The head of a list.
pub(super) const HEAD: [&str; 9] = ["NAMESPACE", "NAME", "STABLE", "CANARIES", "PHASE", "STEP", "SINCE", "VERDICT", "NEXT"];

/// A stretch of time in its largest unit.
pub(super) fn age(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second()).max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}
