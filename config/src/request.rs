//! What the engine sees of a request.

pub(crate) mod address;
pub(crate) mod baggage;
pub(crate) mod base64;
pub(crate) mod cookie;
pub(crate) mod jwt;
pub(crate) mod network;
#[cfg(feature = "authoring")]
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod source;

use std::borrow::Cow;
use std::net::IpAddr;

/// A request as the engine reads it: bytes, since a client may send any.
pub trait RequestView {
    /// The values of a header in the order of the request. Names are lower-case; `:method`, `:path` and `:authority` are
    /// headers.
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]>;

    /// The first value of a header, for those who hardly ever need another one: a proxy may hand it out for less than all.
    fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.values(name).next()
    }

    /// The client's address.
    fn source(&self) -> Option<IpAddr>;
}

/// A header's values joined by `,`; `None` when there is none.
pub(crate) fn joined<'a>(request: &'a impl RequestView, name: &'a str) -> Option<Cow<'a, [u8]>> {
    let mut values = request.values(name);
    let first = values.next()?;
    let Some(second) = values.next() else {
        return Some(Cow::Borrowed(first));
    };
    let mut all = [first, second].join(&b',');
    for value in values {
        all.push(b',');
        all.extend_from_slice(value);
    }
    Some(Cow::Owned(all))
}

/// Where a request goes: a host and perhaps a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destination<'a> {
    /// The host as it is named. Case and a final dot do not matter, and are looked at only where the host is not found as it is.
    pub host: Cow<'a, [u8]>,
    /// The port, when it is known.
    pub port: Option<u16>,
}

impl<'a> Destination<'a> {
    /// A host and a port.
    #[must_use]
    #[inline]
    pub fn new(host: &'a (impl AsRef<[u8]> + ?Sized), port: Option<u16>) -> Self {
        Self { host: Cow::Borrowed(host.as_ref()), port }
    }

    /// The host in lower case, without a final dot, if that is not how it is named.
    #[inline(never)]
    pub(crate) fn canonical(&self) -> Option<Vec<u8>> {
        let host = self.host.strip_suffix(b".").unwrap_or(&self.host);
        let same = host.len() == self.host.len() && !host.iter().any(u8::is_ascii_uppercase);
        (!same).then(|| host.to_ascii_lowercase())
    }

    /// A host and the digits of a port; `None` when these are not a port.
    #[must_use]
    #[inline]
    pub fn with_port(host: &'a [u8], port: &[u8]) -> Option<Self> {
        let digit = |byte: &u8| byte.checked_sub(b'0').filter(|digit| *digit < 10);
        port.first()?;
        let number =
            port.iter().try_fold(0_u16, |number, byte| number.checked_mul(10)?.checked_add(u16::from(digit(byte)?)))?;
        Some(Self::new(host, Some(number)))
    }

    /// Reads `HOST:PORT` or `HOST`. What is not a port number is taken for a part of the host, which then belongs to nobody.
    #[must_use]
    pub fn parse(text: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        let text = text.as_ref();
        let mut parts = text.rsplitn(2, |&b| b == b':');
        match (parts.next(), parts.next()) {
            // RFC 3986, section 3.2.3: a port may be empty.
            (Some(b""), Some(host)) => Self::new(host, None),
            (Some(port), Some(host)) => Self::with_port(host, port).unwrap_or(Self::new(text, None)),
            _ => Self::new(text, None),
        }
    }
}

#[cfg(feature = "authoring")]
impl std::fmt::Display for Destination<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.host))?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A host in lower case, without a final dot.
pub(crate) fn canonical_host(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// A request that is held in memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    headers: Vec<(String, Vec<u8>)>,
    source: Option<IpAddr>,
}

impl Request {
    /// A request without any header.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A `GET` of a path.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::new().header(":method", "GET").header(":path", path)
    }

    /// Adds a header behind those that are there; its name counts in lower case.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Sets the client's address.
    #[must_use]
    pub fn from(mut self, source: IpAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// The headers in order.
    #[must_use]
    pub fn headers(&self) -> &[(String, Vec<u8>)] {
        &self.headers
    }
}

impl RequestView for Request {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    fn source(&self) -> Option<IpAddr> {
        self.source
    }
}
