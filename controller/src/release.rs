//! From releases to one checked document, in pure steps.
//!
//! ```text
//! CanaryRelease ─ validate ─► what its versions are ─ plan ─► Allocation ─ build ─► SplitDocument ─ Split::compile
//! ```

pub(crate) mod build;
pub(crate) mod plan;
mod validate;

pub(crate) use validate::validate;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serin_config::{ReleaseSplit, Split, SplitDocument};

use crate::api::v1alpha1::{Allocation, CanaryRelease};

/// Where a release applies, as the resolving side knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The hosts, at least one.
    pub hosts: Vec<String>,
    /// The ports; all when empty.
    pub ports: Vec<u16>,
}

/// What is kept of each release between two documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct State(pub BTreeMap<String, Kept>);

/// What is kept of one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its bucket maps.
    pub allocation: Allocation,
    /// Its last good split, which a pause holds.
    pub split: ReleaseSplit,
}

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

/// What is wrong with a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{release}: {path}: {cause}")]
pub struct ReleaseError {
    /// `NAMESPACE/NAME`.
    pub release: String,
    /// Where in its text, such as `spec.canaries[1].weight`.
    pub path: String,
    /// What is wrong there, and what to do.
    pub cause: String,
}

impl ReleaseError {
    /// An error at a place of a release.
    pub fn new(release: &CanaryRelease, path: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { release: release.id(), path: path.into(), cause: cause.into() }
    }
}

/// Turns releases with their targets into a checked document.
///
/// `settings` is a document without splits, whose other fields are kept.
///
/// # Errors
/// The first thing that is wrong, with the path in the release's own text.
pub fn compile(
    releases: &[(CanaryRelease, Target)],
    previous: &State,
    settings: SplitDocument,
) -> Result<Checked, ReleaseError> {
    let mut document = settings;
    let mut state = State::default();
    for (release, target) in releases {
        validate(release)?;
        let id = release.id();
        let kept = previous.0.get(&id);
        let status = release.status.as_ref().map(|status| &status.allocation);
        let allocation = plan::plan(&release.spec, kept.map(|kept| &kept.allocation).or(status));
        let split = match kept {
            Some(kept) if release.spec.paused => build::frozen(release, target, &kept.split),
            _ => build::split(release, target, &allocation),
        };
        let allocation = match kept {
            Some(kept) if release.spec.paused => kept.allocation.clone(),
            _ => allocation,
        };
        document.splits.push(split.clone());
        state.0.insert(id, Kept { allocation, split });
    }
    let split = document.embed_automata().map_err(|error| build::in_release(releases, &error))?;
    Ok(Checked { document, split, state })
}
