//! What a pass over a release came to.

use std::sync::Arc;
use std::time::Instant;

use serin_release::api::v1alpha1::Allocation;

use crate::Kind;
use crate::conditions::Condition;
use crate::desired::Desired;
use crate::entry::Entry;
use crate::refusal::Refusal;

/// What a pass over a release came to.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It may not be routed: the last good state stays, and the status says why.
    Refused(Refusal),
    /// It is routed.
    Routed(Box<Routed>),
    /// It goes to another host: it leaves the one before, and then begins at the new one.
    Moves(Leaves),
    /// It leaves the mesh.
    Leaves(Leaves),
}

/// A release that is routed.
#[derive(Clone, Debug)]
pub struct Routed {
    /// What is to write.
    pub writes: Writes,
    /// Its entry of the document; `None` while the last one stays, until a new stable version can be reached.
    pub entry: Option<Arc<Entry>>,
    /// The bucket maps of the spec.
    pub allocation: Allocation,
    /// The versions that the spec sends requests to; stable is the first.
    pub asked: Vec<String>,
    /// Those of them that no route leads to yet.
    pub pending: Vec<String>,
    /// What canaries lack of the pods that their weights need, in words.
    pub lacking: Vec<String>,
    /// What the owner still has to do for the routes.
    pub gap: Option<Condition>,
    /// When to look again.
    pub requeue_at: Option<Instant>,
}

/// A release that leaves the mesh, or its host.
#[derive(Clone, Debug, Default)]
pub struct Leaves {
    /// What is to write.
    pub writes: Writes,
    /// Whether nothing of it is left, so that its finalizer goes.
    pub done: bool,
    /// When to look again.
    pub requeue_at: Option<Instant>,
}

/// Writes of one release, in this order.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    /// Objects as they shall be.
    pub objects: Vec<Desired>,
    /// Objects that shall go.
    pub removals: Vec<(Kind, String)>,
    /// Objects that are nobody's canary any more: they lose Serin's labels and stay.
    pub disowned: Vec<(Kind, String)>,
    /// Deployments that shall have no pods any more.
    pub scaled_down: Vec<String>,
}

impl Outcome {
    /// What is to write.
    #[must_use]
    pub fn writes(&self) -> Option<&Writes> {
        match self {
            Self::Refused(_) => None,
            Self::Routed(routed) => Some(&routed.writes),
            Self::Moves(leaves) | Self::Leaves(leaves) => Some(&leaves.writes),
        }
    }

    /// When to look again.
    #[must_use]
    pub const fn requeue_at(&self) -> Option<Instant> {
        match self {
            Self::Refused(_) => None,
            Self::Routed(routed) => routed.requeue_at,
            Self::Moves(leaves) | Self::Leaves(leaves) => leaves.requeue_at,
        }
    }

    /// Its name in metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Routed(_) => "accepted",
            Self::Moves(_) => "moving",
            Self::Leaves(_) => "deleting",
        }
    }
}
