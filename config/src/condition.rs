//! The conditions of a rule as they are written: one source and one operator each.
//!
//! Plain data that the split document and a `CanaryRelease` share; [`crate::Split::compile`] checks it. `not` and `anyOf`
//! hold single conditions, so that any formula can be written as an AND of ORs while no schema needs recursion: hence three
//! enums of one set of sources, and one macro for them. Serde's `flatten` would say it too, but cannot refuse unknown fields.

use serde::{Deserialize, Serialize};

use crate::os::Os;

macro_rules! sources {
    ($(#[$doc:meta])* $name:ident { $($(#[$extra_doc:meta])* $extra:ident($of:ty),)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase")]
        pub enum $name {
            /// The values of a request header, joined by `,`.
            Header(NamedMatch),
            /// The value of a cookie.
            Cookie(NamedMatch),
            /// The value of a query parameter, percent-decoded.
            Query(NamedMatch),
            /// The path without query and fragment.
            Path(PathMatch),
            /// The method, such as `GET`.
            Method(TextMatch),
            /// The authority (`Host`) as the client sent it.
            Authority(TextMatch),
            /// The operating system that `User-Agent` names.
            Os(OsMatch),
            /// The client's address.
            SourceAddress(AddressMatch),
            $($(#[$extra_doc])* $extra($of),)*
        }

        impl $name {
            /// The source that the condition names, or the condition when it only combines others.
            pub(crate) fn source(&self) -> Result<SourceRef<'_>, &Self> {
                match self {
                    Self::Header(of) => Ok(SourceRef::Header(of)),
                    Self::Cookie(of) => Ok(SourceRef::Cookie(of)),
                    Self::Query(of) => Ok(SourceRef::Query(of)),
                    Self::Path(of) => Ok(SourceRef::Path(of)),
                    Self::Method(of) => Ok(SourceRef::Method(of)),
                    Self::Authority(of) => Ok(SourceRef::Authority(of)),
                    Self::Os(of) => Ok(SourceRef::Os(of)),
                    Self::SourceAddress(of) => Ok(SourceRef::SourceAddress(of)),
                    #[expect(clippy::allow_attributes, reason = "an enum without extra variants has nothing left here")]
                    #[allow(unreachable_patterns, reason = "as above")]
                    other => Err(other),
                }
            }
        }
    };
}

sources! {
    /// One condition of a rule; all of a rule's conditions must hold.
    Condition {
        /// Holds where the source does not match, a missing header, cookie or parameter included.
        Not(Source),
        /// Holds where at least one of these does.
        AnyOf(Vec<Alternative>),
    }
}

sources! {
    /// One member of `anyOf`.
    Alternative {
        /// Holds where the source does not match.
        Not(Source),
    }
}

sources! {
    /// What a condition looks at, with its operator.
    Source {}
}

/// A source, wherever it was written.
#[derive(Clone, Copy)]
pub(crate) enum SourceRef<'a> {
    Header(&'a NamedMatch),
    Cookie(&'a NamedMatch),
    Query(&'a NamedMatch),
    Path(&'a PathMatch),
    Method(&'a TextMatch),
    Authority(&'a TextMatch),
    Os(&'a OsMatch),
    SourceAddress(&'a AddressMatch),
}

macro_rules! text_operators {
    ($(#[$doc:meta])* $name:ident { $($field:tt)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($field)*
            /// The whole value.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub exact: Option<String>,
            /// The beginning of the value, as plain text.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub prefix: Option<String>,
            /// The end of the value.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub suffix: Option<String>,
            /// A part of the value.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub contains: Option<String>,
            /// A pattern in RE2 syntax for the whole value.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub regex: Option<String>,
            /// Some whole values, at least one.
            #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
            pub one_of: Option<Vec<String>>,
            /// Whether the source is there at all, with any bytes.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub present: Option<bool>,
            /// Whether `A` to `Z` equal `a` to `z`.
            #[serde(default, skip_serializing_if = "std::ops::Not::not")]
            pub ignore_case: bool,
        }

        impl $name {
            pub(crate) fn operators(&self) -> Operators<'_> {
                Operators {
                    texts: [
                        ("exact", self.exact.as_deref()),
                        ("prefix", self.prefix.as_deref()),
                        ("suffix", self.suffix.as_deref()),
                        ("contains", self.contains.as_deref()),
                        ("regex", self.regex.as_deref()),
                    ],
                    one_of: self.one_of.as_deref(),
                    present: self.present,
                    ignore_case: self.ignore_case,
                }
            }
        }
    };
}

text_operators! {
    /// An operator on a named header, cookie or query parameter.
    NamedMatch {
        /// The name; header names match in any case, the others exactly.
        pub name: String,
    }
}

text_operators! {
    /// An operator on a text that has no name.
    TextMatch {}
}

text_operators! {
    /// An operator on the path.
    PathMatch {
        /// A prefix by path element, as in the Gateway API: `/api` matches `/api` and `/api/x` and not `/apix`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub path_prefix: Option<String>,
    }
}

/// The operators that all texts have, as written.
pub(crate) struct Operators<'a> {
    pub(crate) texts: [(&'static str, Option<&'a str>); 5],
    pub(crate) one_of: Option<&'a [String]>,
    pub(crate) present: Option<bool>,
    pub(crate) ignore_case: bool,
}

/// An operator on the client's operating system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OsMatch {
    /// This system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exact: Option<Os>,
    /// One of these systems, at least one.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub one_of: Option<Vec<Os>>,
    /// Whether a system was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

/// An operator on the client's address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AddressMatch {
    /// Networks in CIDR form (`10.0.0.0/8`, `2001:db8::/32`) or single addresses, at least one.
    #[serde(rename = "in")]
    pub one_of: Vec<String>,
}
