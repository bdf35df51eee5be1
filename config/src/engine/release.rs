//! The split of one release, compiled.

use std::sync::Arc;

use crate::engine::keying::Keying;
use crate::engine::patterns::Patterns;
use crate::engine::rules::{CompiledRule, Rules};
use crate::engine::shares::{Shares, Target};
use crate::error::Cause;
use crate::json::bytes::same;
use crate::json::value::Json;
use crate::name::{check_release_name, check_version_name};
use crate::request::canonical_host;

/// The split of one release.
#[derive(Clone, Debug)]
pub struct Release {
    /// As it stands in the document, if it was read from one.
    pub(crate) text: Box<[u8]>,
    pub(crate) name: String,
    /// In lower case, without a final dot.
    pub(crate) hosts: Vec<String>,
    pub(crate) stable: String,
    /// What stands behind a version in the routing header; empty where nothing does.
    pub(crate) routing_key: String,
    pub(crate) ports: Vec<u16>,
    pub(crate) takeover: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) base: Shares,
    /// Whether a condition has a pattern, so that the document's automata count too.
    pub(crate) patterns: bool,
}

impl Release {
    /// Reads a release; with a fault it is of no use.
    pub(crate) fn compile(json: &Json<'_>, patterns: &mut Patterns) -> Self {
        let used = patterns.uses();
        #[cfg(feature = "authoring")]
        patterns.begin();
        let [release, hosts, ports, routing_key, stable, buckets, sticky, rules, takeover] =
            &json.fields(&["release", "hosts", "ports", "routingKey", "stable", "buckets", "sticky", "rules", "takeover"]);
        let name = release.checked(check_release_name);
        let hosts = hosts.some_items(Cause::NoHost).read(|host| canonical_host(&host.checked(check_host)));
        let ports = ports.items().read(port);
        let stable = stable.checked(check_version_name);
        let keying = Arc::new(if sticky.given() { Keying::compile(sticky, &name) } else { Keying::per_request(&name) });
        let base = Shares::compile(buckets, Arc::clone(&keying));
        let compiled = rules.items().read(|rule| CompiledRule::compile(rule, &name, &keying, patterns));
        Self {
            text: Box::default(),
            name,
            hosts,
            stable,
            routing_key: if routing_key.given() { routing_key.checked(check_version_name) } else { String::new() },
            ports,
            takeover: takeover.given().then(|| takeover.checked(check_version_name)),
            rules: Rules::new(compiled, rules),
            base,
            patterns: patterns.uses() > used,
        }
    }

    /// The release's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands behind a version in the routing header, after a dot; empty where nothing does.
    #[must_use]
    #[inline]
    pub fn routing_key(&self) -> &str {
        &self.routing_key
    }

    /// The first of its hosts and ports, as a client would name it: `HOST` or `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authorities().next().unwrap_or_default()
    }

    /// All of its hosts with all of its ports.
    pub(crate) fn authorities(&self) -> impl Iterator<Item = String> {
        let ports = self.ports.iter().map(|port| format!(":{port}"));
        let ports: Vec<String> = if self.ports.is_empty() { vec![String::new()] } else { ports.collect() };
        self.hosts.iter().flat_map(move |host| ports.clone().into_iter().map(move |port| format!("{host}{port}")))
    }

    /// Whether a request without a key may get an identity.
    pub(crate) fn issues_cookies(&self) -> bool {
        let by_rules = self.rules.iter().any(|rule| match &rule.target {
            Target::Shares(shares) => shares.keying.issues_cookies(),
            Target::Version(_) => false,
        });
        by_rules || self.base.keying.issues_cookies()
    }

    /// Whether its host of this index is this one.
    #[inline]
    pub(crate) fn is_on(&self, host: &[u8], index: u32) -> bool {
        let named = usize::try_from(index).ok().and_then(|index| self.hosts.get(index));
        named.is_some_and(|named| same(named.as_bytes(), host))
    }

    #[inline]
    pub(crate) fn routes(&self, port: u16) -> bool {
        self.ports.is_empty() || self.ports.contains(&port)
    }

    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        other.ports.is_empty() || self.ports.is_empty() || other.ports.iter().any(|port| self.ports.contains(port))
    }
}

fn check_host(host: &str) -> Result<(), Cause> {
    let refused = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b',' | b'*' | b'|' | b'\x0b');
    // An IPv6 address in brackets is a host and not one with a port.
    let port = host.bytes().any(|byte| byte == b':') && !(host.starts_with('[') && host.ends_with(']'));
    if host.is_empty() || port || host.bytes().any(refused) { Err(Cause::Host(host.to_owned())) } else { Ok(()) }
}

fn port(json: &Json<'_>) -> u16 {
    let port = json.number(u64::from(u16::MAX));
    if port == 0 {
        json.fault(Cause::Port);
    }
    u16::try_from(port).unwrap_or_default()
}
