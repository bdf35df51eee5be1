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

#[cfg(feature = "authoring")]
mod author;
mod buckets;
mod document;
mod engine;
mod error;
mod json;
mod name;
mod request;

#[cfg(feature = "authoring")]
pub use author::explain::{Explanation, Step};
#[cfg(feature = "authoring")]
pub use author::pattern::compiled as patterns_compiled;
#[cfg(feature = "authoring")]
pub use author::unmet::{Comparison, Unmet};
#[cfg(feature = "authoring")]
pub use author::value::SeenValue;
pub use buckets::algorithm::{Algorithm, BUCKETS};
pub use buckets::map::{BucketMap, Run};
pub use buckets::weight::{Weight, WeightError};
pub use document::condition::{AddressMatch, Alternative, Condition, NamedMatch, OsMatch, PathMatch, Source, TextMatch};
pub use document::os::Os;
pub use document::sticky::{IssueCookie, JwtClaim, KeySource, Otherwise, SameSite, SourcePrefix, Sticky};
pub use document::version::DOCUMENT_VERSION;
pub use document::{ReleaseSplit, Rule, SplitDocument};
pub use engine::decide::{Decision, Reason, SetCookie};
pub use engine::envelope::checksum;
pub use engine::release::Release;
pub use engine::split::Split;
pub use engine::update::Update;
pub use error::{Cause, CompileError, DocumentError};
pub use name::{check_header_name, check_release_name, check_version_name};
pub use request::cookie::cookie;
pub use request::jwt::claim;
#[cfg(feature = "authoring")]
pub use request::path::normalized_target;
pub use request::{Destination, Request, RequestView};
