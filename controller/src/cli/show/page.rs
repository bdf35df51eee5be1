//! The page of a release, and what of it fits a screen.

use serin_config::BUCKETS;
use serin_release::api::v1alpha1::{CanaryRelease, Status};
use serin_release::lifecycle::run::Run;
use serin_release::lifecycle::steps::Step;

use crate::cli::screen::{Size, cut, wrapped};
use crate::cli::table::{narrow, table};
use crate::cli::view::View;

/// How wide the bar of shares is.
const BAR: usize = 50;
/// So many entries of the history are shown.
const HISTORY: usize = 8;
/// What stands before the steps.
const STEPS: &str = "STEPS    ";
/// Wider than any screen.
const UNBOUND: usize = usize::MAX;

/// The parts of a page, from top to bottom, each in lines.
struct Parts {
    head: Vec<String>,
    versions: Vec<String>,
    steps: Vec<String>,
    verdict: Vec<String>,
    control: Vec<String>,
    conditions: Vec<String>,
    history: Vec<String>,
    /// Whether an empty line stands between two parts.
    has_gaps: bool,
}

/// The page.
pub(super) fn page(view: &View) -> String {
    Parts::of(view, UNBOUND).text()
}

/// The page as it fits a screen. What is least needed goes first: the oldest of the history, details of the verdict, empty lines, conditions.
pub(super) fn fitted(view: &View, size: Size) -> String {
    let mut parts = Parts::of(view, size.columns);
    while parts.height() > size.lines && parts.shrink() {}
    let text = parts.text();
    text.lines().take(size.lines).map(|line| cut(line, size.columns) + "\n").collect()
}

impl Parts {
    fn of(view: &View, columns: usize) -> Self {
        let status = view.status();
        let release = view.resource.parsed.as_ref().ok();
        Self {
            head: head(view, columns),
            versions: versions(view, columns),
            steps: release.map(|release| steps(release, status.run.as_ref(), columns)).unwrap_or_default(),
            verdict: verdict(status),
            control: control(status),
            conditions: conditions(status, columns),
            history: history(status, columns),
            has_gaps: true,
        }
    }

    fn all(&self) -> impl Iterator<Item = &Vec<String>> {
        let Self { head, versions, steps, verdict, control, conditions, history, has_gaps: _ } = self;
        [head, versions, steps, verdict, control, conditions, history].into_iter().filter(|part| !part.is_empty())
    }

    fn height(&self) -> usize {
        let gaps = if self.has_gaps { self.all().count().saturating_sub(1) } else { 0 };
        self.all().map(Vec::len).sum::<usize>() + gaps
    }

    fn text(&self) -> String {
        let parts = self.all().map(|part| part.iter().map(|line| line.clone() + "\n").collect::<String>());
        parts.collect::<Vec<_>>().join(if self.has_gaps { "\n" } else { "" })
    }

    /// Takes something away; false where nothing more may go.
    fn shrink(&mut self) -> bool {
        // A heading and its newest entry.
        if self.history.len() > 2 {
            self.history.pop();
        } else if self.verdict.len() > 1 {
            self.verdict.pop();
        } else if self.has_gaps {
            self.has_gaps = false;
        } else if !self.conditions.is_empty() {
            self.conditions.clear();
        } else if !self.history.is_empty() {
            self.history.clear();
        } else {
            return false;
        }
        true
    }
}

fn head(view: &View, columns: usize) -> Vec<String> {
    let status = view.status();
    let step = view.step().map(|(step, of)| format!(", step {step} of {of}")).unwrap_or_default();
    let title = format!("{}  {}{step}", view.resource.id, view.phase_name());
    let message = status.message.iter().filter(|_| view.is_observed());
    let message = message.map(|line| format!("{}: {line}", status.reason.as_deref().unwrap_or_default()));
    std::iter::once(title).chain(message.flat_map(|line| wrapped(&line, columns, 2))).collect()
}

fn versions(view: &View, columns: usize) -> Vec<String> {
    let status = view.status();
    if status.versions.is_empty() {
        return vec!["nothing is published yet".to_owned()];
    }
    let mut rows = vec![["VERSION", "SHARE", "READY"].map(str::to_owned).to_vec()];
    let mut bar = String::new();
    let wide = u32::try_from(BAR.min(columns)).unwrap_or_default();
    for version in &status.versions {
        let role = if version.version == view.stable() { "stable" } else { "canary" };
        rows.push(vec![format!("{} {role}", version.version), version.share.to_string(), version.ready.to_string()]);
        let cells = version.share.buckets() * wide / BUCKETS;
        let cell = if role == "stable" { "·" } else { "#" };
        bar.push_str(&cell.repeat(usize::try_from(cells).unwrap_or_default()));
    }
    lines(&table(&narrow(rows, columns))).chain([bar]).collect()
}

fn lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(str::to_owned)
}

/// A step in few words.
fn words(step: &Step) -> String {
    let weights = match &step.weight {
        Some(weight) => weight.to_string(),
        None => step.weights.iter().map(|(version, weight)| format!("{version}={weight}")).collect::<Vec<_>>().join(","),
    };
    let over = step.over.map(|over| format!(" over {over}")).unwrap_or_default();
    let hold = step.hold.map(|hold| format!(" {hold}")).unwrap_or_default();
    format!("{weights}{over}{hold}{}", if step.approve { " approve" } else { "" })
}

fn steps(release: &CanaryRelease, run: Option<&Run>, columns: usize) -> Vec<String> {
    let steps = &release.spec.steps;
    let Some(run) = run.filter(|_| !steps.is_empty()) else { return Vec::new() };
    let at = usize::try_from(run.step).unwrap_or(usize::MAX);
    let marked = steps.iter().enumerate().map(|(index, step)| {
        let mark = if index < at {
            "✓"
        } else if index == at {
            "▸"
        } else {
            "·"
        };
        format!("{mark} {}", words(step))
    });
    let marked: Vec<String> = marked.collect();
    let room = columns.saturating_sub(STEPS.chars().count());
    let next = if run.next.is_empty() { String::new() } else { format!(": {}", run.next) };
    let state = wrapped(&format!("{:?}{next}", run.state), room, 0);
    let indent = " ".repeat(STEPS.chars().count());
    let state = state.into_iter().map(|line| format!("{indent}{line}"));
    std::iter::once(format!("{STEPS}{}", around(&marked, at, room))).chain(state).collect()
}

/// Steps in one line: where there are too many, those that are done go first.
fn around(marked: &[String], at: usize, columns: usize) -> String {
    let line = |from: usize| {
        let before = (from > 0).then(|| "…".to_owned());
        before.into_iter().chain(marked.iter().skip(from).cloned()).collect::<Vec<_>>().join("   ")
    };
    let fits = |from: &usize| line(*from).chars().count() <= columns;
    let last = at.min(marked.len().saturating_sub(1));
    cut(&line((0..last).find(fits).unwrap_or(last)), columns)
}

fn verdict(status: &Status) -> Vec<String> {
    let Some(analysis) = &status.analysis else { return Vec::new() };
    let metrics = analysis.metrics.iter().map(|metric| format!("         {}: {}", metric.name, metric.because));
    std::iter::once(format!("VERDICT  {}", analysis.verdict)).chain(metrics).collect()
}

fn control(status: &Status) -> Vec<String> {
    let Some(control) = &status.control else { return Vec::new() };
    let by = if control.by.is_empty() { "somebody" } else { &control.by };
    let kind = control.kind.map_or_else(|| "Paused".to_owned(), |kind| format!("{kind:?}"));
    let version = control.version.as_deref().map(|version| format!(" of {version}")).unwrap_or_default();
    let because = if control.because.is_empty() { String::new() } else { format!(": {}", control.because) };
    vec![format!("BY HAND  {kind}{version} by {by} since {}{because}", control.since)]
}

fn conditions(status: &Status, columns: usize) -> Vec<String> {
    let mark = |state: &str| match state {
        "True" => "✓",
        "False" => "✗",
        _ => "?",
    };
    let one = |condition: &serin_release::api::v1alpha1::StatusCondition| {
        // That nobody took over and no word acts is the usual state, and no fault.
        let is_quiet = matches!(condition.reason.as_str(), "NoTakeover" | "RolledBack" | "NotOverridden");
        format!("{} {}", condition.kind, if is_quiet { "–" } else { mark(&condition.status) })
    };
    let mut lines: Vec<String> = Vec::new();
    for condition in status.conditions.iter().map(one) {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 3 + condition.chars().count() <= columns => {
                line.push_str(&format!("   {condition}"));
            }
            _ => lines.push(condition),
        }
    }
    lines
}

fn history(status: &Status, columns: usize) -> Vec<String> {
    if status.history.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![["WHEN", "WHO", "WHAT"].map(str::to_owned).to_vec()];
    for entry in status.history.iter().take(HISTORY) {
        let moved = match (entry.from.as_str(), entry.to.as_str()) {
            ("", "") => String::new(),
            (from, to) if from == to => format!(" at {to}"),
            ("", to) => format!(" to {to}"),
            (from, "") => format!(" from {from}"),
            (from, to) => format!(" {from} → {to}"),
        };
        let because = if entry.because.is_empty() { String::new() } else { format!(": {}", entry.because) };
        rows.push(vec![entry.at.clone(), entry.by.clone(), format!("{:?}{moved}{because}", entry.what)]);
    }
    lines(&table(&narrow(rows, columns))).collect()
}

#[cfg(test)]
mod tests;
