//! Stickiness in the form in which it is asked: from a request to a key, and from the key to a bucket.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::buckets::algorithm::{self, Algorithm, Murmur3};
use crate::document::sticky::{IssueCookie, JwtClaim, SourcePrefix};
use crate::engine::issue::{Fallback, REQUEST_ID};
use crate::error::Cause;
use crate::json::value::Json;
use crate::name::{check_filled, header};
use crate::request::address;
use crate::request::baggage;
use crate::request::cookie::{cookie, cookie_in};
use crate::request::jwt;
use crate::request::network::{bits, mask};
use crate::request::source::{Named, TextSource};
use crate::request::{RequestView, joined};

/// How keys are found and hashed.
#[derive(Clone, Debug)]
pub(crate) struct Keying {
    sources: Vec<Source>,
    fallback: Fallback,
    #[cfg(feature = "authoring")]
    salt: String,
    /// What is hashed before each key: the salt.
    prefix: Murmur3,
    pub(crate) algorithm: Algorithm,
}

#[derive(Clone, Debug)]
struct Source {
    /// As decisions name it: `cookie:user`.
    label: String,
    from: KeyFrom,
}

#[derive(Clone, Debug)]
enum KeyFrom {
    /// A cookie, a header or a query parameter.
    Text(TextSource),
    JwtClaim(JwtClaim),
    Baggage(String),
    SourceAddress(SourcePrefix),
}

/// The kinds of key sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cookie,
    Header,
    Query,
    JwtClaim,
    Baggage,
    SourceAddress,
}

impl Kind {
    const ALL: [Self; 6] = [Self::Cookie, Self::Header, Self::Query, Self::JwtClaim, Self::Baggage, Self::SourceAddress];

    /// Their names, in the same order.
    const NAMES: [&str; 6] = ["cookie", "header", "query", "jwtClaim", "baggage", "sourceAddress"];
}

/// A request's key.
pub(crate) struct Key<'s, 'r> {
    pub(crate) label: &'s str,
    pub(crate) value: Cow<'r, [u8]>,
    pub(crate) issue: Option<&'s IssueCookie>,
}

impl Keying {
    /// What a split without `sticky` has: another bucket for each request.
    pub(crate) fn per_request(release: &str) -> Self {
        Self {
            sources: Vec::new(),
            fallback: Fallback::random(),
            #[cfg(feature = "authoring")]
            salt: release.to_owned(),
            prefix: Algorithm::default().prefix(release.as_bytes()),
            algorithm: Algorithm::default(),
        }
    }

    /// Reads the stickiness of a release; with a fault it is of no use.
    pub(crate) fn compile(json: &Json<'_>, release: &str) -> Self {
        let [by, otherwise, salt, cohort, algorithm] = &json.fields(&["by", "otherwise", "salt", "cohort", "algorithm"]);
        let sources = by.items().read(Source::compile);
        let fallback = Fallback::compile(otherwise);
        if sources.is_empty() && matches!(fallback, Fallback::Stable) {
            by.fault(Cause::NoKeySource);
        }
        if salt.given() && cohort.given() {
            cohort.fault(Cause::SaltAndCohort);
        }
        let salt = if cohort.given() { cohort } else { salt };
        let salt = if salt.given() { salt.checked(check_filled) } else { release.to_owned() };
        let algorithm = if algorithm.missing() {
            Algorithm::default()
        } else {
            match algorithm.word(&["serin", "flagd", "unleash"]) {
                2 => Algorithm::Unleash,
                1 => Algorithm::Flagd,
                _ => Algorithm::Serin,
            }
        };
        let prefix = algorithm.prefix(salt.as_bytes());
        Self {
            sources,
            fallback,
            #[cfg(feature = "authoring")]
            salt,
            prefix,
            algorithm,
        }
    }

    /// The labels of all sources that are asked before the request counts as one without a key.
    #[cfg(feature = "authoring")]
    pub(crate) fn labels(&self) -> impl Iterator<Item = &str> {
        let last = match &self.fallback {
            Fallback::Stable => None,
            Fallback::Random(label) => Some(label.as_str()),
            Fallback::Issue(issue) => Some(issue.0.as_str()),
        };
        self.sources.iter().map(|source| source.label.as_str()).chain(last)
    }

    /// The first key that is present and not empty.
    pub(crate) fn key<'s, 'r>(&'s self, request: &'r impl RequestView) -> Option<Key<'s, 'r>>
    where
        's: 'r,
    {
        let filled = |value: &Cow<'_, [u8]>| !value.is_empty();
        for source in &self.sources {
            if let Some(value) = source.value(request).filter(filled) {
                return Some(Key { label: &source.label, value, issue: None });
            }
        }
        match &self.fallback {
            Fallback::Stable => None,
            _ => self.fall_back(request),
        }
    }

    #[inline(never)]
    fn fall_back<'s, 'r>(&'s self, request: &'r impl RequestView) -> Option<Key<'s, 'r>>
    where
        's: 'r,
    {
        let id = || joined(request, REQUEST_ID).filter(|value| !value.is_empty());
        match &self.fallback {
            Fallback::Stable => None,
            Fallback::Random(label) => id().map(|value| Key { label, value, issue: None }),
            Fallback::Issue(both) => {
                let (label, issue) = &**both;
                if let Some(value) = of_cookie(request, issue.name.as_bytes()).filter(|value| !value.is_empty()) {
                    return Some(Key { label, value: Cow::Borrowed(value), issue: None });
                }
                id().map(|id| Key { label, value: Cow::Owned(algorithm::identity(&id).into_bytes()), issue: Some(issue) })
            }
        }
    }

    /// Whether a request without a key gets an identity.
    pub(crate) fn issues_cookies(&self) -> bool {
        matches!(self.fallback, Fallback::Issue(_))
    }

    /// The labels of the sources whose key makes a visitor known.
    #[cfg(feature = "authoring")]
    pub(crate) fn own_labels(&self) -> impl Iterator<Item = &str> {
        let issued = match &self.fallback {
            Fallback::Issue(issue) => Some(issue.0.as_str()),
            _ => None,
        };
        self.sources.iter().map(|source| source.label.as_str()).chain(issued)
    }

    /// Whether a key is not the visitor's own: the request's id, or an identity made from it.
    #[cfg(feature = "authoring")]
    pub(crate) fn is_made(&self, key: &Key<'_, '_>) -> bool {
        key.issue.is_some() || matches!(&self.fallback, Fallback::Random(label) if std::ptr::eq(label.as_str(), key.label))
    }

    /// The salt.
    #[cfg(feature = "authoring")]
    pub(crate) fn salt(&self) -> &str {
        &self.salt
    }

    #[inline]
    pub(crate) fn bucket(&self, key: &[u8]) -> u32 {
        self.algorithm.bucket_behind(self.prefix, key)
    }
}

impl Source {
    fn compile(json: &Json<'_>) -> Self {
        let Some((at, value)) = json.variant("key source", &Kind::NAMES) else {
            return Self { label: String::new(), from: KeyFrom::Baggage(String::new()) };
        };
        let mut label = Kind::NAMES.get(at).copied().unwrap_or_default().to_owned();
        let from = match Kind::ALL.get(at).copied().unwrap_or(Kind::SourceAddress) {
            Kind::Cookie => KeyFrom::Text(TextSource::named(Named::Cookie, &value)),
            Kind::Header => KeyFrom::Text(TextSource::named(Named::Header, &value)),
            Kind::Query => KeyFrom::Text(TextSource::named(Named::Query, &value)),
            Kind::JwtClaim => {
                let [claim, from] = &value.fields(&["claim", "header"]);
                KeyFrom::JwtClaim(JwtClaim {
                    claim: claim.checked(check_filled),
                    header: if from.missing() { JwtClaim::default_header() } else { header(from) },
                })
            }
            Kind::Baggage => KeyFrom::Baggage(value.checked(check_filled)),
            Kind::SourceAddress => {
                let ([ipv4, ipv6], missing) = (&value.fields(&["ipv4Prefix", "ipv6Prefix"]), SourcePrefix::default());
                KeyFrom::SourceAddress(SourcePrefix {
                    ipv4_prefix: prefix(ipv4, 32, missing.ipv4_prefix),
                    ipv6_prefix: prefix(ipv6, 128, missing.ipv6_prefix),
                })
            }
        };
        #[cfg(feature = "authoring")]
        if let KeyFrom::Text(source) = &from {
            source.refuse_host(&value, "another key source");
        }
        if let Some(name) = from.name() {
            label.push(':');
            label.push_str(name);
        }
        Self { label, from }
    }

    #[inline]
    fn value<'r>(&'r self, request: &'r impl RequestView) -> Option<Cow<'r, [u8]>> {
        match &self.from {
            KeyFrom::Text(TextSource::Cookie(name)) => of_cookie(request, name.as_bytes()).map(Cow::Borrowed),
            KeyFrom::Text(TextSource::Header(name)) => joined(request, name),
            _ => self.other(request),
        }
    }

    /// Apart from the usual sources, so that what each request runs through is short.
    #[inline(never)]
    fn other<'r>(&'r self, request: &'r impl RequestView) -> Option<Cow<'r, [u8]>> {
        match &self.from {
            KeyFrom::Text(source) => source.value(request),
            KeyFrom::Baggage(name) => baggage::entry(request.values("baggage"), name.as_bytes()),
            KeyFrom::JwtClaim(jwt) => jwt::claim(&joined(request, &jwt.header)?, &jwt.claim).map(Cow::Owned),
            KeyFrom::SourceAddress(prefix) => {
                Some(Cow::Owned(address::text(network(request.source()?, *prefix)).into_bytes()))
            }
        }
    }
}

impl KeyFrom {
    /// The name in its label.
    fn name(&self) -> Option<&str> {
        match self {
            Self::Text(TextSource::Header(name) | TextSource::Cookie(name) | TextSource::Query(name))
            | Self::Baggage(name)
            | Self::JwtClaim(JwtClaim { claim: name, .. }) => Some(name),
            _ => None,
        }
    }
}

/// The cookie of a name. Nearly all requests have one header of cookies at most: others are asked for only where it is not in
/// the first.
fn of_cookie<'r>(request: &'r impl RequestView, name: &[u8]) -> Option<&'r [u8]> {
    cookie_in(request.first("cookie")?, name).or_else(|| cookie(request.values("cookie").skip(1), name))
}

/// The address with all bits behind the prefix clear; IPv4-mapped IPv6 counts as IPv4.
#[inline(never)]
fn network(address: IpAddr, prefix: SourcePrefix) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let kept = bits(IpAddr::V4(v4)) & mask(96 + u32::from(prefix.ipv4_prefix));
            Ipv6Addr::from_bits(kept).to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED).into()
        }
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & mask(u32::from(prefix.ipv6_prefix))).into(),
    }
}

fn prefix(json: &Json<'_>, most: u8, missing: u8) -> u8 {
    if json.missing() {
        return missing;
    }
    let length = u8::try_from(json.number(u64::from(u8::MAX))).unwrap_or_default();
    if length > most {
        json.fault(Cause::PrefixLength(length, most));
    }
    length
}
