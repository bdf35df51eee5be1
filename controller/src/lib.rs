//! The `serin` command and what it is made of.
//!
//! ```text
//! FILE ─ file ─► releases, standalone ─ release ─► checked document ─┬─ explain, validate, compile
//!                                                                    └─ standalone ─► files that Envoy watches
//! ```

pub mod api;
pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
pub mod file;
#[cfg(feature = "cluster")]
pub mod reconcile;
pub mod release;
pub mod standalone;

/// The filter of this version, for any document.
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_filter.wasm"));

/// The same without an entry for responses, for documents that issue no cookies: nearly all, and each stream costs less.
pub const REQUEST_FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_request_filter.wasm"));
