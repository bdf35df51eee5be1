//! The `serin` command and what it is made of.
//!
//! ```text
//! FILE ─ file ─► releases, standalone ─ release ─► checked document ─┬─ explain, validate, compile
//!                                                                    └─ standalone ─► files that Envoy watches
//! ```

pub mod cli;
#[cfg(feature = "cluster")]
pub mod cluster;
mod console;
mod keeper;
pub mod reference;
pub mod standalone;

pub use serin_module::{FILTER, REQUEST_FILTER};
