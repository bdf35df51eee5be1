//! From releases and what a cluster holds to what it shall hold, in steps.
//!
//! ```text
//! Store ─ Reader ─► References ─ check ─► Accepted ─ plan ─► Order ─ build ─► Outcome ─► Publisher ─► documents
//! ```
//! Pure: nothing here knows a cluster's client, a runtime or a command line. Time and objects come in, what to write goes out.
//! What is particular to a kind of mesh stands behind [`home::Home`].

pub mod analysis;
mod autoscaler;
pub mod capacity;
pub mod check;
pub mod cleanup;
mod clones;
pub mod conditions;
pub mod contest;
mod deployments;
pub mod desired;
pub mod digest;
pub mod documents;
pub mod entry;
mod few;
pub mod fit;
pub mod gate;
pub mod home;
pub mod hosts;
pub mod key;
pub mod kind;
mod leave;
pub mod life;
pub mod lint;
pub mod message;
pub mod names;
pub mod object;
pub mod order;
pub mod outcome;
pub mod pass;
mod progress;
pub mod proxies;
pub mod publication;
pub mod publisher;
pub mod reader;
pub mod reconcile;
pub mod references;
pub mod refusal;
pub mod resource;
pub mod retreat;
pub mod service;
pub mod status;
pub mod store;
pub mod word;
pub mod workload;

pub use kind::Kind;
pub use object::{Content, Metadata, Name, Object};
