//! Traces: spans as services report them, kept for a while, and one request as a tree of them.
//!
//! ```text
//! body in Zipkin's JSON ─ read ─► spans ─ Traces::add ─► kept, the oldest traces go first ─► list: a line for each trace
//!                                                                                       └──► get: one trace as a tree
//! ```

mod limit;
mod span;
mod store;
mod summary;
mod tree;

pub use span::{Kind, Span, read};
pub use store::{Counts, Traces};
pub use summary::{Filter, Summary};
pub use tree::{Node, Trace};
