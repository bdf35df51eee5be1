//! Stickiness as it is written: where the key of a request comes from and what becomes of it.

use serde::{Deserialize, Serialize};

use crate::buckets::algorithm::Algorithm;

/// How a request finds its bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sticky {
    /// Sources of the key; the first one present and not empty is the key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<KeySource>,
    /// What happens when there is no key.
    #[serde(default, skip_serializing_if = "Otherwise::is_stable")]
    pub otherwise: Otherwise,
    /// What makes the buckets of this release its own; by default the release's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub salt: Option<String>,
    /// A salt that releases share, so that they agree on who is in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cohort: Option<String>,
    /// How salt and key become a bucket.
    #[serde(default, skip_serializing_if = "is_default")]
    pub algorithm: Algorithm,
}

/// A place of a request that can identify who sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum KeySource {
    /// The cookie of this name.
    Cookie(String),
    /// The header of this name.
    Header(String),
    /// The query parameter of this name.
    Query(String),
    /// A claim of a JSON Web Token. The token is not verified: it buckets, it does not authorise.
    JwtClaim(JwtClaim),
    /// The entry of this name in W3C baggage.
    Baggage(String),
    /// The client's address or network.
    SourceAddress(SourcePrefix),
}

/// A claim of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JwtClaim {
    /// The claim, such as `sub`.
    pub claim: String,
    /// The header that holds the token, with or without `Bearer`.
    #[serde(default = "JwtClaim::default_header", skip_serializing_if = "is_authorization")]
    pub header: String,
}

/// How much of an address identifies a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourcePrefix {
    /// Bits of an IPv4 address, 0 to 32.
    #[serde(default = "ipv4_prefix")]
    pub ipv4_prefix: u8,
    /// Bits of an IPv6 address, 0 to 128.
    #[serde(default = "ipv6_prefix")]
    pub ipv6_prefix: u8,
}

/// What a request without a key gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Otherwise {
    /// Stable, so that no user changes version between two requests.
    #[default]
    Stable,
    /// A bucket by the request's id, another one each time.
    Random,
    /// An identity of its own, in a cookie that the response sets; it decides this request already.
    IssueCookie(IssueCookie),
}

/// A cookie to set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssueCookie {
    /// Its name.
    pub name: String,
    /// Its life in seconds; by default as long as the browser runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u64>,
    /// The path below which it is sent; `/` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The domain; by default the host alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Whether other sites' requests carry it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_site: Option<SameSite>,
    /// Whether only TLS carries it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secure: bool,
    /// Whether scripts cannot see it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub http_only: bool,
}

/// Which requests from other sites carry a cookie (RFC 6265bis, section 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum SameSite {
    /// None.
    #[serde(alias = "strict")]
    Strict,
    /// Top-level navigations.
    #[serde(alias = "lax")]
    Lax,
    /// All; the cookie must be `secure`.
    #[serde(alias = "none")]
    None,
}

impl Otherwise {
    fn is_stable(&self) -> bool {
        *self == Self::Stable
    }
}

impl Default for SourcePrefix {
    fn default() -> Self {
        Self { ipv4_prefix: ipv4_prefix(), ipv6_prefix: ipv6_prefix() }
    }
}

fn ipv4_prefix() -> u8 {
    32
}

fn ipv6_prefix() -> u8 {
    64
}

impl JwtClaim {
    pub(crate) fn default_header() -> String {
        "authorization".to_owned()
    }
}

fn is_authorization(header: &str) -> bool {
    header == "authorization"
}

fn is_default(algorithm: &Algorithm) -> bool {
    *algorithm == Algorithm::default()
}
