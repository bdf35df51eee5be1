//! The `serin` command and what it is made of.
//!
//! ```text
//! FILE ─ file ─► releases, standalone ─ release ─► checked document ─┬─ explain, validate, compile
//!                                                                    └─ standalone ─► files that Envoy watches
//! ```

pub mod api;
pub mod cli;
pub mod file;
pub mod release;
pub mod standalone;

/// The filter for this version, as it runs in every proxy.
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_filter.wasm"));
