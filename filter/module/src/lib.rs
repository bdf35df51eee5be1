//! The filter as proxies run it, built for wasm32 by this crate's build script.
//!
//! Whatever carries or tests the filter depends on this crate, so that all of them have the same bytes.

/// The filter of this version, for any document.
pub const FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_filter.wasm"));

/// The same without an entry for responses, for documents that issue no cookies: nearly all, and each stream costs less.
pub const REQUEST_FILTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/serin_request_filter.wasm"));
