//! What is published of a release, and for whom.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serin_config::ReleaseSplit;
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::Allocation;

/// What one carrier reaches; all entries are in the mesh's document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All sidecars and gateways.
    Mesh,
    /// A waypoint: namespace and name of its Gateway.
    Waypoint(String, String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("mesh"),
            Self::Waypoint(namespace, name) => write!(f, "waypoint {namespace}/{name}"),
        }
    }
}

/// What is published of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its bucket maps.
    pub allocation: Allocation,
    /// What its last good spec says; a pause holds it.
    pub wanted: ReleaseSplit,
    /// The same without what cannot take requests: what the filter reads.
    pub served: ReleaseSplit,
    /// The automata of its patterns.
    pub automata: BTreeMap<String, String>,
    /// The scopes whose proxies need it.
    pub scopes: BTreeSet<Scope>,
}

/// Entries by their releases; a copy shares them.
pub type Entries = BTreeMap<ReleaseId, Arc<Entry>>;

impl Entry {
    /// Whether proxies would see no difference.
    #[must_use]
    pub fn same_for_proxies(&self, other: &Self) -> bool {
        self.served == other.served && self.scopes == other.scopes && self.automata == other.automata
    }
}

/// How many buckets of the default split a version has, takeover aside.
#[must_use]
pub fn buckets_of(split: &ReleaseSplit, version: &str) -> u32 {
    split.buckets.iter().filter(|(of, _)| of == version).map(|(_, buckets)| buckets).sum()
}
