//! What users write: the kinds of `serin.dev`.

pub mod metadata;
mod replicas;
pub mod standalone;
pub mod v1alpha1;
mod workload;

/// Group and version of all kinds.
pub const API_VERSION: &str = "serin.dev/v1alpha1";

/// Group of all kinds.
pub const GROUP: &str = "serin.dev";
