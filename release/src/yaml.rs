//! YAML and JSON as Kubernetes reads them, into types, with words for people where something does not fit.
//!
//! ```text
//! text ─ read ─► Node (value, line, column) ─ de ─► a type        errors: words ─► Problem (path, line, what to write)
//! serde_json::Value (an object of a cluster) ─┘
//! ```
//! A reader of our own on a parser of events, since a library's errors speak of its own types, and since scalars must mean
//! what they mean to `kubectl`: `version: 1` is a number, and the API server refuses it where a text belongs.

mod de;
mod node;
mod read;
mod words;

pub use de::{from_node, from_value};
pub use node::{Content, Key, Node};
pub use read::documents;
