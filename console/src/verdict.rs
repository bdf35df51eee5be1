//! What is thought of what was seen: of a version's share, of a version beside stable, and of its health. Total: no data is a verdict too.
//!
//! ```text
//! windows: share with interval ─► share            ─► as intended | fewer | more | too little traffic | no data (why)
//! counts of two versions       ─► compare_success  ─► worse | not distinguishable | better | no data
//! histograms of two versions   ─► compare_latency  ─► the same
//! counts of a version, stable  ─► health           ─► healthy | degraded | failing | no data, and why
//! ```
//!
//! Intervals of success and latency are over requests. Requests of one user are not independent, so they are a little too narrow: a verdict here
//! is a hint beside a number. What rolls a release back is its analysis.

pub mod health;
pub mod share;
pub mod thresholds;
pub mod versions;

pub use health::{Assessment, Counts, Health, health};
pub use share::{Observed, ShareVerdict, share};
pub use thresholds::Thresholds;
pub use versions::{Comparison, compare_latency, compare_success};
