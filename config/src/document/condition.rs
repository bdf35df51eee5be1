//! The conditions of a rule as they are written: one source and one operator each.
//!
//! Plain data that the split document and a `CanaryRelease` share; [`crate::Split::compile`] checks it. `not` and `anyOf`
//! hold single conditions, so that any formula can be written as an AND of ORs while no schema needs recursion: hence three
//! enums of one set of sources, and one macro for them. Serde's `flatten` would say it too, but cannot refuse unknown fields.

use serde::{Deserialize, Serialize};

use crate::document::os::Os;

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
            /// The authority (`Host`) as the client sent it, with a port if the client sent one: `shop.example.com` does not equal
            /// `shop.example.com:8080`. Browsers leave out a scheme's own port, 80 or 443.
            Authority(TextMatch),
            /// The operating system that `User-Agent` names.
            Os(OsMatch),
            /// The client's address.
            SourceAddress(AddressMatch),
            $($(#[$extra_doc])* $extra($of),)*
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
