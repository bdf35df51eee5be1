//! Places of a request that hold a text.

use std::borrow::Cow;

#[cfg(feature = "authoring")]
use crate::error::Cause;
use crate::json::value::Json;
use crate::name::{check_cookie_name, check_filled, header};
use crate::request::cookie::cookie;
use crate::request::{RequestView, joined, query};

/// Where a text stands in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextSource {
    Header(String),
    Cookie(String),
    Query(String),
    Path,
    Method,
    Authority,
}

/// The sources of texts that have a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Header,
    Cookie,
    Query,
}

impl TextSource {
    /// A header, a cookie or a parameter of the name that stands there.
    #[inline(never)]
    pub(crate) fn named(kind: Named, name: &Json<'_>) -> Self {
        match kind {
            Named::Header => Self::Header(header(name)),
            Named::Cookie => Self::Cookie(name.checked(check_cookie_name)),
            Named::Query => Self::Query(name.checked(check_filled)),
        }
    }

    /// Refuses the header `host`, which no request has: a filter that reads an old document goes on without it.
    #[cfg(feature = "authoring")]
    pub(crate) fn refuse_host(&self, name: &Json<'_>, instead: &'static str) {
        if matches!(self, Self::Header(header) if header == "host") {
            name.fault(Cause::HostHeader(instead));
        }
    }

    /// What stands there in a request.
    pub(crate) fn value<'r>(&'r self, request: &'r impl RequestView) -> Option<Cow<'r, [u8]>> {
        match self {
            Self::Header(name) => joined(request, name),
            Self::Cookie(name) => cookie(request.values("cookie"), name.as_bytes()).map(Cow::Borrowed),
            Self::Query(name) => query::parameter(target(request)?, name.as_bytes()),
            Self::Path => target(request).map(query::path).map(Cow::Borrowed),
            Self::Method => request.values(":method").next().map(Cow::Borrowed),
            Self::Authority => request.values(":authority").next().map(Cow::Borrowed),
        }
    }
}

fn target(request: &impl RequestView) -> Option<&[u8]> {
    request.values(":path").next()
}
