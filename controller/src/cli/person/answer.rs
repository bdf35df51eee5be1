//! What a word comes to, before it is said and after.

use std::fmt;

use serde_json::json;
use serin_config::Weight;
use serin_release::difference::Move;
use serin_release::lifecycle::control::Control;

use crate::cli::{Failure, Output, print};

/// Who moves by a word.
pub(super) struct Answer {
    pub(super) release: String,
    /// Whether nothing is written.
    pub(super) dry_run: bool,
    pub(super) control: Control,
    pub(super) moves: Vec<Move>,
    /// What to say instead of who moves.
    pub(super) told: Option<String>,
}

impl Answer {
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
