//! From releases to one checked document, in pure steps.
//!
//! ```text
//! CanaryRelease ─ validate ─ weights ─► Allocation ─ entry ─► SplitDocument ─ Split::compile ─► Checked
//! ```

use serin_config::{Split, SplitDocument};

use jiff::Timestamp;

use crate::api::v1alpha1::{Allocation, CanaryRelease};
use crate::entry::{self, Previous};
use crate::lifecycle::live::{live, weights};
use crate::lifecycle::plan::{Progress, Signals};
use crate::problem::{Problem, Problems};
use crate::served::Limits;
use crate::state::State;
use crate::target::Target;
use crate::validate::validate;

/// A document that the engine compiled: nothing else may be published.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The document, with the automata of its patterns.
    pub document: SplitDocument,
    /// The engine that it compiles to.
    pub split: Split,
    /// What to keep for the next document.
    pub state: State,
}

/// Turns releases with their targets into a checked document.
///
/// `settings` is a document without splits, whose other fields are kept.
///
/// # Errors
/// What is wrong with each release, else the first thing that the engine refuses, with the path in the release's own text.
pub fn compile(
    releases: &[(CanaryRelease, Target)],
    previous: &State,
    settings: SplitDocument,
) -> Result<Checked, Problems> {
    let mut document = settings;
    let mut state = State::default();
    let mut problems = Vec::new();
    for (release, target) in releases {
        if let Err(Problems(found)) = validate(release, &document.routing_header) {
            problems.extend(found);
            continue;
        }
        let id = release.id();
        let kept = previous.0.get(&id);
        let status = release.status.as_ref().map(|status| &status.allocation);
        let previous = Previous { allocation: kept.map(|kept| &kept.allocation).or(status), kept };
        let acting = match acting(release, previous.allocation) {
            Ok(acting) => acting,
            Err(cause) => {
                problems.push(Problem::of_sentence("spec.schedule.timeZone", &cause).in_object(id));
                continue;
            }
        };
        let kept = entry::of(&acting, target, previous);
        // Who is rolled back keeps the buckets, and stable serves them.
        let limits = Limits { waiting: acting.banned, ..Limits::default() };
        document.splits.push(limits.serve(&kept.split));
        state.0.insert(id, kept);
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let split = document.embed_automata().map_err(|error| entry::in_release(releases, &error))?;
    Ok(Checked { document, split, state })
}

/// The release as a person's word leaves it.
fn acting(release: &CanaryRelease, allocation: Option<&Allocation>) -> Result<CanaryRelease, String> {
    let Some(word) = &release.word else { return Ok(release.clone()) };
    let weights = allocation.map(|allocation| weights(&allocation.base)).unwrap_or_default();
    let progress = Progress { weights, ..Progress::default() };
    // Nothing of a word depends on the time.
    live(release, word, &progress, &Signals::default(), Timestamp::UNIX_EPOCH).map(|lived| lived.release)
}
