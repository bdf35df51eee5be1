//! What a pass over a release works on.

use std::time::Instant;

use serin_config::SplitDocument;

use crate::contest::Contests;
use crate::entry::Entry;
use crate::gate::Gate;
use crate::life::Life;
use crate::order::{Pace, Served, Timers};
use crate::proxies::Seen;
use crate::references::References;
use crate::resource::Resource;

/// What is remembered of a release between passes.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// Since when what is known.
    pub timers: Timers,
    /// What the gate said last.
    pub gate: Gate,
    /// Its objects that somebody else changes.
    pub contests: Contests,
}

/// What is the same for all releases.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A document without splits.
    pub document: SplitDocument,
    /// How long to wait between steps.
    pub pace: Pace,
    /// Whether Deployments are written: clones for canaries with a `workload`.
    pub workloads: bool,
}

/// A pass over a release.
#[derive(Clone, Copy, Debug)]
pub struct Pass<'a> {
    /// The release.
    pub resource: &'a Resource,
    /// What concerns it.
    pub references: &'a References,
    /// What is or will be published of it.
    pub entry: Option<&'a Entry>,
    /// What proxies may be sending requests to, by the last document that was written.
    pub served: Served<'a>,
    /// What acts of a person's word.
    pub life: &'a Life,
    /// What metric sources tell of it.
    pub seen: Seen<'a>,
    /// What is the same for all releases.
    pub settings: &'a Settings,
    /// The time.
    pub now: Instant,
}
