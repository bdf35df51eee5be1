//! What is asked of Prometheus, as text that is the same for the same question, and what it answers.
//!
//! Queries are made from hosts, releases and windows alone: nothing of a browser's passes through. One query covers all hosts of a list. A window
//! is in seconds and holds at least 4 scrapes. Rates are per second; a rate times the window is the count that intervals need.
//!
//! - [`istio`]: Istio's standard metrics, by workload.
//! - [`envoy`]: Envoy's own counters of clusters, in `serin standalone` and in the mesh.
//! - [`decisions`]: Serin's own.
//! - [`answer`]: instant vectors.

pub mod answer;
pub mod decisions;
pub mod envoy;
pub mod istio;
pub mod selector;

pub use answer::{Answer, AnswerError, Labels};
pub use selector::Selector;
