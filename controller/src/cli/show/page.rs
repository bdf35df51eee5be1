//! The page of a release: at most 80 columns where texts allow it.

use std::fmt::Write;

use serin_config::BUCKETS;
use serin_release::api::v1alpha1::{CanaryRelease, Status};
use serin_release::lifecycle::run::Run;
use serin_release::lifecycle::steps::Step;

use crate::cli::table::table;
use crate::cli::view::View;

/// How wide the bar of shares is.
const BAR: u32 = 50;
/// So many entries of the history are shown.
const HISTORY: usize = 8;

/// The page.
pub(super) fn page(view: &View) -> String {
    let status = view.status();
    let mut text = String::new();
    let step = view.step().map(|(step, of)| format!(", step {step} of {of}")).unwrap_or_default();
    // Writing to a String does not fail.
    let _ = writeln!(text, "{}  {}{step}", view.resource.id, view.phase_name());
    for line in status.message.iter().filter(|_| view.is_observed()) {
        let _ = writeln!(text, "{}: {line}", status.reason.as_deref().unwrap_or_default());
    }
    let _ = write!(text, "\n{}", versions(view));
    if let Ok(release) = &view.resource.parsed {
        text.push_str(&steps(release, status.run.as_ref()));
    }
    text.push_str(&verdict(status));
    text.push_str(&control(status));
    let _ = writeln!(text, "\n{}", conditions(status));
    text.push_str(&history(status));
    text
}

fn versions(view: &View) -> String {
    let status = view.status();
    if status.versions.is_empty() {
        return "nothing is published yet\n".to_owned();
    }
    let mut rows = vec![["VERSION", "SHARE", "READY"].map(str::to_owned).to_vec()];
    let mut bar = String::new();
    for version in &status.versions {
        let role = if version.version == view.stable() { "stable" } else { "canary" };
        rows.push(vec![format!("{} {role}", version.version), version.share.to_string(), version.ready.to_string()]);
        let cells = version.share.buckets() * BAR / BUCKETS;
        let cell = if role == "stable" { "·" } else { "#" };
        bar.push_str(&cell.repeat(usize::try_from(cells).unwrap_or_default()));
    }
    format!("{}{bar}\n", table(&rows))
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

fn steps(release: &CanaryRelease, run: Option<&Run>) -> String {
    let steps = &release.spec.steps;
    let Some(run) = run.filter(|_| !steps.is_empty()) else { return String::new() };
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
    let next = if run.next.is_empty() { String::new() } else { format!(": {}", run.next) };
    format!("\nSTEPS    {}\n         {:?}{next}\n", marked.collect::<Vec<_>>().join("   "), run.state)
}

fn verdict(status: &Status) -> String {
    let Some(analysis) = &status.analysis else { return String::new() };
    let mut text = format!("\nVERDICT  {}\n", analysis.verdict);
    for metric in &analysis.metrics {
        let _ = writeln!(text, "         {}: {}", metric.name, metric.because);
    }
    text
}

fn control(status: &Status) -> String {
    let Some(control) = &status.control else { return String::new() };
    let by = if control.by.is_empty() { "somebody" } else { &control.by };
    let kind = control.kind.map_or_else(|| "Paused".to_owned(), |kind| format!("{kind:?}"));
    let version = control.version.as_deref().map(|version| format!(" of {version}")).unwrap_or_default();
    let because = if control.because.is_empty() { String::new() } else { format!(": {}", control.because) };
    format!("\nBY HAND  {kind}{version} by {by} since {}{because}\n", control.since)
}

fn conditions(status: &Status) -> String {
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
    status.conditions.iter().map(one).collect::<Vec<_>>().join("   ")
}

fn history(status: &Status) -> String {
    if status.history.is_empty() {
        return String::new();
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
    format!("\n{}", table(&rows))
}
