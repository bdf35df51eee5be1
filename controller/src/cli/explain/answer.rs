//! An answer: the decision, and how it came to be.

use std::fmt;

use serde::Serialize;
use serin_config::{Decision, Step};

use super::note::Note;

/// What is answered to a request.
#[derive(Clone, Debug)]
pub(super) struct Answer<'s> {
    pub(super) decision: Decision<'s>,
    /// What comes before the decision.
    pub(super) notes: Vec<Note>,
    /// The steps of the decision.
    pub(super) steps: Vec<Step>,
    /// What the last of them rests on.
    pub(super) after: Option<Note>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Note(&'a Note),
    Step(&'a Step),
}

impl Answer<'_> {
    fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.notes.iter().map(Line::Note).chain(self.steps.iter().map(Line::Step)).chain(self.after.iter().map(Line::Note))
    }

    /// The fixed shape, with the steps if they are wanted; `id` is JSON.
    pub(super) fn json(&self, id: &str, steps: bool) -> String {
        let decision = serde_json::to_string(&self.decision).unwrap_or_default();
        // A decision is an object that is never empty.
        let decision = decision.strip_prefix('{').and_then(|fields| fields.strip_suffix('}')).unwrap_or_default();
        if !steps {
            return format!("{{\"id\":{id},{decision}}}");
        }
        let steps = serde_json::to_string(&self.lines().collect::<Vec<_>>()).unwrap_or_default();
        format!("{{\"id\":{id},{decision},\"steps\":{steps}}}")
    }

    /// The decision on one line, with the steps below it if they are wanted.
    pub(super) fn short(&self, id: &str, steps: bool) -> String {
        let [release, version] = [self.decision.release, self.decision.version].map(|name| name.unwrap_or("-"));
        let summary = self.decision.summary();
        format!("{id}\t{release}\t{version}\t{summary}\n{}", if steps { self.numbered() } else { String::new() })
    }

    /// The steps for people.
    pub(super) fn shown_steps(&self) -> Vec<String> {
        self.lines().map(|line| line.to_string()).collect()
    }

    fn numbered(&self) -> String {
        self.lines().zip(1..).map(|(line, number)| format!("  {number:>2}. {line}\n")).collect()
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Note(note) => note.fmt(f),
            Self::Step(step) => step.fmt(f),
        }
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { release, version, .. } = &self.decision;
        writeln!(f, "{}", version.unwrap_or("no version"))?;
        writeln!(f, "  release  {}", release.unwrap_or("-"))?;
        writeln!(f, "  reason   {}", self.decision.summary())?;
        f.write_str(&self.numbered())
    }
}
