//! Releases as their owners write them, and the way from their text to a checked document.
//!
//! ```text
//! FILE ─ file ─► CanaryRelease, Standalone ─ validate ─ weights ─ entry ─► SplitDocument ─ Split::compile ─► Checked
//! ```
//! Pure: nothing here knows a cluster's client, a runtime or a command line.

pub mod api;
pub mod compile;
pub mod difference;
pub mod domain;
pub mod entry;
pub mod file;
pub mod id;
pub mod import;
pub mod lifecycle;
pub mod limits;
pub mod lint;
pub mod patch;
pub mod problem;
pub mod reference;
mod route;
pub mod served;
pub mod state;
pub mod target;
pub mod validate;
pub mod weights;
pub mod yaml;

pub use compile::{Checked, Moment, compile};
pub use id::{ReleaseId, ReleaseIdError};
pub use problem::{Problem, Problems};
pub use state::{Kept, State};
pub use target::Target;
pub use validate::validate;
