//! What is to write so that documents are as they shall be, and what stands in the way.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serin_release::ReleaseId;

use crate::Object;
use crate::desired::Desired;
use crate::documents::Documents;
use crate::entry::Scope;

/// Documents as they shall be, with the writes that are missing.
#[derive(Debug)]
pub struct Publication {
    pub(crate) documents: Documents,
    /// Carriers to write.
    pub writes: Vec<Write>,
    /// Carriers of scopes that no release uses any more.
    pub removals: Vec<Object>,
    /// Scopes that cannot be written, since something of somebody else's is in the way, and what to do.
    pub blocked: BTreeMap<Scope, String>,
    /// The size of the mesh's document, in bytes.
    pub bytes: usize,
}

/// A carrier to write.
#[derive(Clone, Debug)]
pub struct Write {
    /// Whose proxies read it.
    pub scope: Scope,
    /// As it shall be.
    pub desired: Desired,
    /// What is there.
    pub found: Option<Object>,
    /// Whether proxies will fetch another module for it.
    pub other_module: bool,
}

/// A scope whose document could not be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Why, and what to do.
    pub cause: String,
    /// When it is tried again.
    pub retry_at: Instant,
}

/// A document of an earlier leader that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The object that carries it, with its kind.
    pub carrier: String,
    /// Why.
    pub cause: String,
    /// The releases whose entries are lost; `None` where the document does not even say which ones it has.
    pub releases: Option<BTreeSet<ReleaseId>>,
}

impl Lost {
    /// For people: what cannot be read, which releases wait for it, and what to do.
    #[must_use]
    pub fn message(&self, missing: &[ReleaseId]) -> String {
        const SHOWN: usize = 5;
        let mut names: Vec<String> = missing.iter().take(SHOWN).map(ToString::to_string).collect();
        if missing.len() > SHOWN {
            names.push(format!("{} more", missing.len() - SHOWN));
        }
        let Self { carrier, cause, .. } = self;
        format!(
            "{carrier} holds a document that cannot be read: {cause}. Proxies keep it, and nothing is published until each of these releases \
             can be built from its spec: {}. Correct them, or delete the object to go on without their last good splits",
            names.join(", ")
        )
    }
}

/// Whose documents they are, how much of them is whose, and how soon they arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The namespace of the controller. A mesh has one: another one that finds its name on a carrier writes nothing.
    pub controller: String,
    /// Bytes of JSON that the releases of one namespace may have in a document.
    pub quota: usize,
    /// How long proxies may take to get a document and to tell a metric source.
    pub grace: Duration,
    /// The time between two documents with what steps do by themselves.
    pub batch: Duration,
}

/// Whether proxies can get the filter where they shall be told to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Reachability {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// It is there.
    Reachable,
    /// It is not, and why.
    Unreachable(String),
}
