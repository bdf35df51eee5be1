//! The split document and the engine that decides by it.
//!
//! ```text
//! bytes ─ SplitDocument::parse ─► SplitDocument ─ Split::compile ─► Split ─ decide(destination, request) ─► Decision
//!          JSON, versioned         plain data      all that can       │      total: no error, no panic, no clock
//!                                                  fail fails here    └ explain: the same walk, with its steps
//! ```
//!
//! The crate knows HTTP words (header, cookie, path) and nothing of a proxy, a mesh, a cluster, clocks, randomness or logs.
//!
//! ```
//! use serin_config::{Destination, Request, Split};
//!
//! let split = Split::parse(br#"{"version": 1, "splits": [{
//!     "release": "bookinfo/reviews", "hosts": ["reviews.bookinfo.svc.cluster.local"], "ports": [9080],
//!     "stable": "v1", "buckets": [["v2", 90000]], "sticky": {"by": [{"cookie": "user"}]}
//! }]}"#)?;
//! let destination = Destination::parse("reviews.bookinfo.svc.cluster.local:9080");
//! let decision = split.decide(&destination, &Request::get("/").header("cookie", "user=ann"));
//! assert_eq!(decision.version, Some("v2"));
//! assert_eq!(decision.bucket, Some(83_458));
//! # Ok::<(), serin_config::DocumentError>(())
//! ```

mod address;
mod allocate;
mod baggage;
mod base64;
mod bucket;
mod bytes;
mod condition;
mod cookie;
mod decide;
mod directory;
mod document;
mod error;
mod explain;
mod json;
mod jwt;
mod keying;
mod lexer;
mod matcher;
mod name;
mod os;
mod patterns;
mod query;
mod regex;
mod request;
mod rules;
mod settings;
mod split;
mod sticky;
mod table;
mod update;
mod walk;
mod weight;

pub use allocate::{BucketMap, Run};
pub use bucket::{Algorithm, BUCKETS};
pub use condition::{AddressMatch, Alternative, Condition, NamedMatch, OsMatch, PathMatch, Source, TextMatch};
pub use cookie::cookie;
pub use decide::{Decision, Observer, Reason, SetCookie, Step};
pub use document::{DOCUMENT_VERSION, ReleaseSplit, Rule, SplitDocument};
pub use error::{Cause, CompileError, DocumentError};
pub use explain::Explanation;
pub use jwt::claim;
pub use name::{check_header_name, check_release_name, check_version_name};
pub use os::Os;
pub use request::{Destination, Request, RequestView};
pub use split::{Release, Split};
pub use sticky::{IssueCookie, JwtClaim, KeySource, Otherwise, SameSite, SourcePrefix, Sticky};
pub use update::Update;
pub use weight::{Weight, WeightError};
