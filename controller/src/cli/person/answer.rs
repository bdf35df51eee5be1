//! What a word comes to, before it is said and after.

use std::fmt;

use serde_json::json;
use serin_config::Weight;
use serin_release::Target;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::difference::{Difference, Move};
use serin_release::entry::{self, Previous};
use serin_release::lifecycle::control::Control;
use serin_release::served::Limits;

use super::Found;
use crate::cli::{Failure, Output, print};

/// Who moves by a word.
pub(super) struct Answer {
    release: String,
    dry_run: bool,
    control: Control,
    moves: Vec<Move>,
    told: Option<String>,
}

impl Answer {
    pub(super) fn new(
        found: &Found,
        before: &CanaryRelease,
        after: &CanaryRelease,
        control: &Control,
        dry_run: bool,
    ) -> Self {
        let allocation = found.release.status.as_ref().map(|status| &status.allocation);
        let entry = |release: &CanaryRelease| {
            let kept = entry::of(release, &Target::in_mesh(release), Previous { allocation, kept: None });
            // Who is rolled back keeps the buckets, and stable serves them.
            Limits { waiting: release.banned.clone(), ..Limits::default() }.serve(&kept.split)
        };
        let moves = Difference::of(&entry(before), &entry(after)).moves;
        Self { release: found.release.id(), dry_run, control: control.clone(), moves, told: None }
    }

    /// With what to say instead of who moves.
    pub(super) fn telling(self, told: Option<String>) -> Self {
        Self { told, ..self }
    }

    pub(super) fn print(&self, output: Output) -> Result<(), Failure> {
        match output {
            Output::Text => print(&self.to_string()),
            Output::Json => {
                let share = |one: &Move| json!({"from": one.from, "to": one.to, "share": percent(one.buckets)});
                let moves: Vec<_> = self.moves.iter().map(share).collect();
                let Self { release, dry_run, control, .. } = self;
                print(&format!("{}\n", json!({"release": release, "dryRun": dry_run, "control": control, "moves": moves})))
            }
        }
    }
}

fn percent(buckets: u32) -> String {
    Weight::from_buckets(buckets).unwrap_or(Weight::ALL).to_string()
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(told) = &self.told {
            return f.write_str(told);
        }
        let would = if self.dry_run { "would move" } else { "move" };
        if self.moves.is_empty() {
            return writeln!(f, "{}: nobody moves", self.release);
        }
        for one in &self.moves {
            writeln!(f, "{}: {} of people {would} from {} to {}", self.release, percent(one.buckets), one.from, one.to)?;
        }
        Ok(())
    }
}
