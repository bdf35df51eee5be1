//! Stickiness in the form in which it is asked: from a request to a key, and from the key to a bucket.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::baggage;
use crate::bucket::{self, Algorithm, Murmur3};
use crate::cookie::cookie;
use crate::error::{Cause, CompileError};
use crate::jwt;
use crate::matcher::{bits, mask};
use crate::name::{check_cookie_name, check_header_name, is_token};
use crate::query;
use crate::request::{RequestView, joined};
use crate::sticky::{IssueCookie, KeySource, Otherwise, SameSite, SourcePrefix, Sticky};

/// The header whose value is another one for each request.
const REQUEST_ID: &str = "x-request-id";

/// How keys are found and hashed.
#[derive(Clone, Debug)]
pub(crate) struct Keying {
    sources: Vec<Source>,
    fallback: Fallback,
    /// The salt, and what is hashed before each key.
    salt: String,
    prefix: Murmur3,
    pub(crate) algorithm: Algorithm,
}

#[derive(Clone, Debug)]
struct Source {
    /// As decisions name it: `cookie:user`.
    label: String,
    from: KeySource,
}

#[derive(Clone, Debug)]
enum Fallback {
    Stable,
    /// Holds the label of the request's id.
    Random(String),
    /// Boxed, since few have it.
    Issue(Box<(String, IssueCookie)>),
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
            fallback: Fallback::Random(format!("header:{REQUEST_ID}")),
            salt: release.to_owned(),
            prefix: Algorithm::default().prefix(release.as_bytes()),
            algorithm: Algorithm::default(),
        }
    }

    pub(crate) fn compile(sticky: &Sticky, release: &str) -> Result<Self, CompileError> {
        let salt = match (&sticky.salt, &sticky.cohort) {
            (Some(_), Some(_)) => return Err(Cause::SaltAndCohort.at("cohort")),
            (Some(salt), None) if salt.is_empty() => return Err(Cause::Empty.at("salt")),
            (None, Some(cohort)) if cohort.is_empty() => return Err(Cause::Empty.at("cohort")),
            (Some(salt), None) | (None, Some(salt)) => salt.clone(),
            (None, None) => release.to_owned(),
        };
        let mut sources = Vec::with_capacity(sticky.by.len());
        for (index, source) in sticky.by.iter().enumerate() {
            sources.push(Source::compile(source).map_err(|error| error.within(&format!("by[{index}]")))?);
        }
        let fallback = match &sticky.otherwise {
            Otherwise::Stable if sources.is_empty() => return Err(Cause::NoKeySource.at("by")),
            Otherwise::Stable => Fallback::Stable,
            Otherwise::Random => Fallback::Random(format!("header:{REQUEST_ID}")),
            Otherwise::IssueCookie(cookie) => {
                check_issue(cookie).map_err(|cause| cause.at("otherwise.issueCookie"))?;
                Fallback::Issue(Box::new((format!("cookie:{}", cookie.name), cookie.clone())))
            }
        };
        let algorithm = sticky.algorithm;
        let prefix = algorithm.prefix(salt.as_bytes());
        Ok(Self { sources, fallback, salt, prefix, algorithm })
    }

    /// The labels of all sources that are asked before the request counts as one without a key.
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
                id().map(|id| Key { label, value: Cow::Owned(bucket::identity(&id).into_bytes()), issue: Some(issue) })
            }
        }
    }

    /// The salt.
    pub(crate) fn salt(&self) -> &str {
        &self.salt
    }

    #[inline]
    pub(crate) fn bucket(&self, key: &[u8]) -> u32 {
        self.algorithm.bucket_behind(self.prefix, key)
    }
}

impl Source {
    fn compile(source: &KeySource) -> Result<Self, CompileError> {
        let (label, from) = match source {
            KeySource::Cookie(name) => {
                check_cookie_name(name).map_err(|cause| cause.at("cookie"))?;
                (format!("cookie:{name}"), source.clone())
            }
            KeySource::Header(name) => {
                let name = check_header_name(name).map_err(|cause| cause.at("header"))?;
                (format!("header:{name}"), KeySource::Header(name))
            }
            KeySource::Query(name) if name.is_empty() => return Err(Cause::Empty.at("query")),
            KeySource::Query(name) => (format!("query:{name}"), source.clone()),
            KeySource::Baggage(name) if name.is_empty() => return Err(Cause::Empty.at("baggage")),
            KeySource::Baggage(name) => (format!("baggage:{name}"), source.clone()),
            KeySource::JwtClaim(jwt) if jwt.claim.is_empty() => return Err(Cause::Empty.at("jwtClaim.claim")),
            KeySource::JwtClaim(jwt) => {
                let header = check_header_name(&jwt.header).map_err(|cause| cause.at("jwtClaim.header"))?;
                let claim = jwt.claim.clone();
                (format!("jwtClaim:{claim}"), KeySource::JwtClaim(crate::sticky::JwtClaim { claim, header }))
            }
            KeySource::SourceAddress(prefix) => {
                for (length, most, name) in [(prefix.ipv4_prefix, 32, "ipv4Prefix"), (prefix.ipv6_prefix, 128, "ipv6Prefix")]
                {
                    if length > most {
                        return Err(Cause::PrefixLength(length, most).at(format!("sourceAddress.{name}")));
                    }
                }
                ("sourceAddress".to_owned(), source.clone())
            }
        };
        Ok(Self { label, from })
    }

    #[inline]
    fn value<'r>(&'r self, request: &'r impl RequestView) -> Option<Cow<'r, [u8]>> {
        match &self.from {
            KeySource::Cookie(name) => of_cookie(request, name.as_bytes()).map(Cow::Borrowed),
            _ => self.other(request),
        }
    }

    /// Apart from the usual source, so that what each request runs through is short.
    #[inline(never)]
    fn other<'r>(&'r self, request: &'r impl RequestView) -> Option<Cow<'r, [u8]>> {
        match &self.from {
            KeySource::Cookie(_) => None,
            KeySource::Header(name) => joined(request, name),
            KeySource::Query(name) => query::parameter(request.values(":path").next()?, name.as_bytes()),
            KeySource::Baggage(name) => baggage::entry(request.values("baggage"), name.as_bytes()),
            KeySource::JwtClaim(jwt) => jwt::claim(&joined(request, &jwt.header)?, &jwt.claim).map(Cow::Owned),
            KeySource::SourceAddress(prefix) => {
                Some(Cow::Owned(network(request.source()?, *prefix).to_string().into_bytes()))
            }
        }
    }
}

/// The cookie of a name. Nearly all requests have one header of cookies at most: others are asked for only where it is not in
/// the first.
fn of_cookie<'r>(request: &'r impl RequestView, name: &[u8]) -> Option<&'r [u8]> {
    let first = request.first("cookie")?;
    cookie([first], name).or_else(|| cookie(request.values("cookie").skip(1), name))
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

fn check_issue(cookie: &IssueCookie) -> Result<(), Cause> {
    let refuse = |text: &str, why| Err(Cause::IssueCookie(text.to_owned(), why));
    if !is_token(&cookie.name) {
        return refuse(&cookie.name, "its name holds more than letters, digits and `!#$%&'*+-.^_`|~`");
    }
    // RFC 6265, section 4.1.1: attribute values are printable ASCII without `;`.
    let fits = |text: &str| text.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b';');
    for (text, must) in [(&cookie.path, "/"), (&cookie.domain, "")] {
        if let Some(text) = text.as_deref().filter(|text| !fits(text) || text.is_empty() || !text.starts_with(must)) {
            return refuse(text, "a path begins with `/`, and path and domain are printable ASCII without `;`");
        }
    }
    let host_prefix = cookie.name.starts_with("__Host-");
    if (cookie.same_site == Some(SameSite::None) || host_prefix || cookie.name.starts_with("__Secure-")) && !cookie.secure {
        return refuse(&cookie.name, "browsers refuse it without `secure: true`");
    }
    if host_prefix && (cookie.domain.is_some() || cookie.path.as_deref().is_some_and(|path| path != "/")) {
        return refuse(&cookie.name, "browsers refuse `__Host-` with a domain or a path other than `/`");
    }
    Ok(())
}
