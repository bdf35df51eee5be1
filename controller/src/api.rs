//! What users write: the kinds of `serin.dev`.

#[cfg(feature = "cluster")]
pub mod crd;
pub mod standalone;
pub mod v1alpha1;

/// Group and version of all kinds.
pub const API_VERSION: &str = "serin.dev/v1alpha1";
