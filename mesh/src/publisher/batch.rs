//! Changes that steps make by themselves: those of all releases share one document for a while, since each document makes every proxy
//! read it. A person's change and a rollback wait for nothing, and take along what waits.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serin_release::ReleaseId;

/// The changes that wait for others.
#[derive(Debug)]
pub(super) struct Batch {
    every: Duration,
    waiting: BTreeSet<ReleaseId>,
    /// When such changes were published last.
    last: Option<Instant>,
}

impl Batch {
    /// One document in so long a time.
    pub(super) const fn new(every: Duration) -> Self {
        Self { every, waiting: BTreeSet::new(), last: None }
    }

    /// Takes in that a release has another entry; whether it may wait.
    pub(super) fn note(&mut self, id: &ReleaseId, may_wait: bool) {
        if may_wait {
            self.waiting.insert(id.clone());
        } else {
            self.waiting.remove(id);
        }
    }

    /// When what waits is due; `None` where nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.last.map(|last| last + self.every).filter(|_| !self.waiting.is_empty())
    }

    /// Whether a release waits for others.
    pub(super) fn holds(&self, id: &ReleaseId, now: Instant) -> bool {
        self.waiting.contains(id) && self.due().is_some_and(|due| due > now)
    }

    /// Takes in that all that waited was published; answers with the releases.
    pub(super) fn published(&mut self, now: Instant) -> BTreeSet<ReleaseId> {
        if !self.waiting.is_empty() {
            self.last = Some(now);
        }
        std::mem::take(&mut self.waiting)
    }
}
