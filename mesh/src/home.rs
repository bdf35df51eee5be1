//! A home: the kind of mesh whose objects act on a decision.
//!
//! The safe order, the status and deletion know a home by what stands here alone. Another one is a file beside `istio.rs` and its
//! [`Kind`]s; `mesh/tests/home.rs` has a small one.

pub mod istio;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serin_config::SplitDocument;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::domain::ClusterDomain;

use crate::conditions::Condition;
use crate::desired::Desired;
use crate::documents::Module;
use crate::entry::Scope;
use crate::key::{Key, common_keys};
use crate::reader::Reader;
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::service::Service;
use crate::store::Store;
use crate::{Content, Kind, Name, Object};

/// The objects of one kind of mesh.
pub trait Home: fmt::Debug + Send + Sync {
    /// The domain of the cluster.
    fn domain(&self) -> ClusterDomain {
        ClusterDomain::default()
    }

    /// What an object of a kind of its own is found by, beside its name.
    fn keys(&self, kind: Kind, object: &Content) -> Vec<Key>;

    /// Step 1: what it has of a release, and what is around it there. Reads only.
    fn observe(&self, release: &Resource, service: Option<&Object>, reader: &Reader<'_>) -> Box<dyn Site>;

    /// The kind of the objects that carry documents to proxies.
    fn carrier(&self) -> Kind;

    /// Namespace and name of the object that carries the document of a scope.
    fn carrier_name(&self, scope: &Scope) -> Name;

    /// The scope of an object that carries a document of Serin's; `None` where it is somebody else's.
    fn scope_of(&self, carrier: &Object) -> Option<Scope>;

    /// The object that carries a document, as one text, to the proxies of a scope. `fetch` says since when all proxies could have the
    /// module: those that failed to get it before ask again.
    fn carry(&self, scope: &Scope, document: &str, module: &Module, fetch: Option<&str>) -> Desired;

    /// What such an object says of that.
    fn fetch<'a>(&self, carrier: &'a Object) -> Option<&'a str>;

    /// Where such an object has its module from.
    fn module_url<'a>(&self, carrier: &'a Object) -> Option<&'a str>;

    /// The document that such an object carries; `None` where it carries none.
    ///
    /// # Errors
    /// This version of Serin cannot read it; the text says why.
    fn carried(&self, carrier: &Object) -> Option<Result<SplitDocument, String>>;

    /// The checksum that proxies tell of the document that a carrier carries, where they do.
    fn checksum(&self, _carrier: &Object) -> Option<u32> {
        None
    }
}

/// A copy of a cluster whose objects are found by their names and labels, and by what a home reads.
#[must_use]
pub fn store(home: Arc<dyn Home>) -> Store {
    let domain = home.domain();
    Store::new(Box::new(move |kind, object| [common_keys(kind, object), home.keys(kind, object)].concat()), domain)
}

/// What a home has of one release, and what is around it there.
pub trait Site: fmt::Debug + Send + Sync {
    /// Whether the host exists, where no Service of the namespace has it.
    fn has_host(&self) -> bool;

    /// The labels by which its workloads are selected, where no Service does.
    fn selector(&self) -> BTreeMap<String, String>;

    /// The number of ready endpoints that are not pods of the Service, by version.
    fn endpoints(&self) -> BTreeMap<String, u32>;

    /// The scopes whose proxies need the entry of the release.
    fn scopes(&self) -> BTreeSet<Scope>;

    /// Step 2: whether a release may be routed here.
    ///
    /// # Errors
    /// The first reason why not.
    fn check(&self, release: &CanaryRelease, routing_header: &str) -> Result<(), Refusal>;

    /// Whether objects of ours are still those of another host, which the release had before.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// Step 3: how far each version has come. `versions` are those that are wanted or that a document names.
    fn reach(&self, versions: &BTreeSet<String>, routing_header: &str) -> Reach;

    /// Step 4: the objects as they shall be, in the order in which they are written.
    fn desired(&self, plan: &Plan<'_>) -> Vec<Desired>;

    /// Step 4: objects of ours that a plan has no more use for, whatever their versions.
    fn surplus(&self, plan: &Plan<'_>) -> Vec<(Kind, String)>;

    /// Objects of ours that are there. Deletion removes those that route before those that make versions known.
    fn owned(&self) -> Vec<Owned>;

    /// What the owner still has to do so that a release is routed to these versions, the first of which is stable.
    fn gap(&self, versions: &[&str], routing_header: &str) -> Option<Condition>;
}

/// How far versions have come: a request may be sent to one once it is known and then routed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Versions that proxies can be told apart by: in Istio, those that have a subset.
    pub known: BTreeSet<String>,
    /// Versions that all routes lead to which the release needs.
    pub routed: BTreeSet<String>,
    /// Versions that some route of ours leads to.
    pub mentioned: BTreeSet<String>,
    /// What shall stand behind a version in the routing header, so that no client can ask for one; `None` where others write the
    /// routes, which know the version alone.
    pub key: RoutingKey,
    /// Whether all routes of ours ask for that.
    pub keyed: bool,
    /// What else some of them ask for.
    pub other_keys: BTreeSet<RoutingKey>,
}

/// What stands behind a version in the routing header, `VERSION.KEY`; `None` where the header holds the version alone.
pub type RoutingKey = Option<String>;

/// What may be written of a release now.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// The release with what the API server says of it.
    pub resource: &'a Resource,
    /// Its text.
    pub release: &'a CanaryRelease,
    /// Its Service.
    pub service: Option<&'a Service>,
    /// The version that requests go to which no route names: of the split and not of the spec, since a pause holds stable too.
    pub stable: &'a str,
    /// The request header that carries the version.
    pub routing_header: &'a str,
    /// What may stand behind the version there.
    pub routing_keys: &'a BTreeSet<RoutingKey>,
    /// Versions to make known.
    pub known: &'a BTreeSet<String>,
    /// Versions to route to. While stable is not among them, routes stay as they are.
    pub routes: &'a BTreeSet<String>,
    /// Whether stable has no endpoint while pods that the release does not list are ready: what would go to stable goes to any pod.
    pub stranded: bool,
}

/// An object of ours that is there.
#[derive(Clone, Debug, PartialEq)]
pub struct Owned {
    /// Its kind.
    pub kind: Kind,
    /// Its name, in the namespace of the release.
    pub name: String,
    /// What it is for.
    pub role: Role,
}

/// What an object of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It makes versions known.
    Knows,
    /// It routes to them.
    Routes,
}
