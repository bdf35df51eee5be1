//! The Serin filter: reads a request once, asks the engine, sets the routing header.
//!
//! ```text
//! configuration bytes ─ root ─► Split (kept in the VM; a bad document changes nothing)
//! request ─ stream ─► headers, destination ─ Release::decide ─► routing header, count, perhaps a cookie for the response
//! tick ─ root ─► counts to the host's metrics
//! ```
//!
//! Nothing here may panic: a trap costs every stream of a worker. Host calls are made in `host` alone.

#[cfg(any(test, target_arch = "wasm32"))]
mod counts;
#[cfg(any(test, target_arch = "wasm32"))]
mod destination;
#[cfg(any(test, target_arch = "wasm32"))]
mod pairs;

#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod plugin;
#[cfg(target_arch = "wasm32")]
mod root;
#[cfg(target_arch = "wasm32")]
mod stream;
