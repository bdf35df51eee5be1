//! The Serin filter: reads a request once, asks the engine, sets the routing header.
//!
//! ```text
//! configuration bytes ─► Split (kept in the VM; a bad document changes nothing)
//! request ─► headers, destination ─ Split::decide ─► routing header, count, perhaps a cookie for the response
//! tick ─► counts to the host's metrics
//! ```
//!
//! Nothing here may panic: a trap costs every stream of a worker. The host calls in at `entries` alone and is called in `host`
//! alone.

#[cfg(any(test, target_arch = "wasm32"))]
mod buffer;
#[cfg(any(test, target_arch = "wasm32"))]
mod counts;
#[cfg(any(test, target_arch = "wasm32"))]
mod destination;
#[cfg(any(test, target_arch = "wasm32"))]
mod identity;
#[cfg(any(test, target_arch = "wasm32"))]
mod issued;
#[cfg(any(test, target_arch = "wasm32"))]
mod pairs;

#[cfg(target_arch = "wasm32")]
mod entries;
#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod plugin;
#[cfg(target_arch = "wasm32")]
mod stream;
