//! The life of a release from its first step to its end. Pure: time, counts, and what is seen of a release, come in.
//!
//! ```text
//! spec, CanaryControl, run, signals ─ plan ─► weights, takeover, who gets nobody, what happened
//!                               ▲
//! counts of requests ─ evidence ─ verdict
//! ```

pub mod analysis;
pub mod baseline;
pub mod control;
pub mod evidence;
pub mod live;
pub mod notify;
pub mod plan;
pub mod run;
pub mod schedule;
pub mod span;
pub mod steps;
pub mod verb;
pub mod verdict;
mod words;
