//! The compiled document: everything that can fail has failed here.

use std::sync::Arc;

use crate::bucket::BUCKETS;
use crate::bytes::same;
use crate::directory::Directory;
use crate::document::SplitDocument;
use crate::error::{Cause, CompileError, DocumentError};
use crate::json::Json;
use crate::keying::Keying;
use crate::matcher::{Matcher, TextSource};
use crate::name::{check_filled, check_release_name, check_version_name};
use crate::patterns::Patterns;
use crate::request::{Destination, RequestView, canonical_host};
use crate::rules::Rules;
use crate::settings::other_version;
use crate::update::Update;

/// A document that can decide.
#[derive(Clone, Debug)]
pub struct Split {
    pub(crate) routing_header: String,
    pub(crate) report_reason: bool,
    /// The releases' numbers in the directory, in the document's order.
    pub(crate) order: Vec<u32>,
    pub(crate) directory: Directory,
    pub(crate) patterns: Patterns,
}

/// The split of one release.
#[derive(Clone, Debug)]
pub struct Release {
    /// As it stands in the document, if it was read from one.
    pub(crate) text: Box<[u8]>,
    pub(crate) name: String,
    /// In lower case, without a final dot.
    pub(crate) hosts: Vec<String>,
    pub(crate) stable: String,
    ports: Vec<u16>,
    pub(crate) takeover: Option<String>,
    pub(crate) rules: Rules,
    pub(crate) base: Shares,
    /// Whether a condition has a pattern, so that the document's automata count too.
    pub(crate) patterns: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct CompiledRule {
    pub(crate) name: String,
    pub(crate) when: Vec<Matcher>,
    pub(crate) target: Target,
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Version(String),
    Shares(Shares),
}

/// Who holds which buckets, and how a request finds its own.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    /// Where each run ends, and whose it is; behind the last one lies stable.
    ends: Vec<(u32, String)>,
    pub(crate) keying: Arc<Keying>,
}

impl Split {
    /// Reads and compiles a document; [`Update`] does it in pieces.
    ///
    /// # Errors
    /// What is wrong with the text or with what it says, and where.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        Update::new(text.to_vec(), None).finished().map_err(|error| other_version(text).unwrap_or(error.into()))
    }

    /// Compiles a document that is there as data, by way of its text: what compiles here is what a filter reads.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn compile(document: &SplitDocument) -> Result<Self, CompileError> {
        Update::new(document.to_json().into_bytes(), None).finished()
    }

    /// The name of the header that carries the version, in lower case.
    #[must_use]
    pub fn routing_header(&self) -> &str {
        &self.routing_header
    }

    /// Whether the reason of a decision shall be told in filter state.
    #[must_use]
    pub fn report_reason(&self) -> bool {
        self.report_reason
    }

    /// How many releases there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether a release may issue a cookie, so that responses have to be entered too.
    #[must_use]
    pub fn issues_cookies(&self) -> bool {
        self.directory.issues_cookies()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All releases, in the document's order.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        (0..self.len()).filter_map(|index| self.release_at(index))
    }

    pub(crate) fn release_at(&self, index: usize) -> Option<&Release> {
        self.directory.get(*self.order.get(index)?).map(|release| &**release)
    }

    /// The release that routes a destination; its cost does not grow with the number of releases.
    #[must_use]
    pub fn release(&self, destination: &Destination<'_>) -> Option<&Release> {
        self.directory.routing(destination)
    }
}

#[cfg(feature = "authoring")]
impl SplitDocument {
    /// Compiles the document and gives it the automata of exactly the patterns that it uses, so that a filter can read it.
    ///
    /// # Errors
    /// As [`Split::compile`].
    pub fn embed_automata(&mut self) -> Result<Split, CompileError> {
        let split = Split::compile(&Self { automata: Default::default(), ..self.clone() })?;
        self.automata = split.patterns.texts();
        Ok(split)
    }
}

fn check_host(host: &str) -> Result<(), Cause> {
    let refused = |byte: u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b',' | b'*' | b'|' | b'\x0b');
    // An IPv6 address in brackets is a host and not one with a port.
    let port = host.bytes().any(|byte| byte == b':') && !(host.starts_with('[') && host.ends_with(']'));
    match host.is_empty() || port || host.bytes().any(refused) {
        true => Err(Cause::Host(host.to_owned())),
        false => Ok(()),
    }
}

fn port(json: &Json<'_>) -> u16 {
    let port = json.number(u64::from(u16::MAX));
    if port == 0 {
        json.fault(Cause::Port);
    }
    u16::try_from(port).unwrap_or_default()
}

impl Release {
    /// Reads a release; with a fault it is of no use.
    pub(crate) fn compile(json: &Json<'_>, patterns: &mut Patterns) -> Self {
        let used = patterns.uses();
        let [release, hosts, ports, stable, buckets, sticky, rules, takeover] =
            &json.fields(&["release", "hosts", "ports", "stable", "buckets", "sticky", "rules", "takeover"]);
        let name = release.checked(check_release_name);
        let hosts = hosts.some_items(Cause::NoHost).read(|host| canonical_host(&host.checked(check_host)));
        let ports = ports.items().read(port);
        let stable = stable.checked(check_version_name);
        let keying = Arc::new(match sticky.given() {
            true => Keying::compile(sticky, &name),
            false => Keying::per_request(&name),
        });
        let base = Shares::compile(buckets, Arc::clone(&keying));
        let compiled = rules.items().read(|rule| CompiledRule::compile(rule, &name, &keying, patterns));
        Self {
            text: Box::default(),
            name,
            hosts,
            stable,
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

    /// The first of its hosts and ports, as a client would name it: `HOST` or `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.hosts.first().map(String::as_str).unwrap_or_default();
        match self.ports.first() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
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

impl CompiledRule {
    /// Whether all conditions hold.
    pub(crate) fn holds(&self, request: &impl RequestView) -> bool {
        self.when.iter().all(|matcher| matcher.holds(request))
    }

    /// The first condition that compares with literals.
    pub(crate) fn literals(&self) -> Option<(&TextSource, bool, &[String])> {
        self.when.iter().find_map(Matcher::literals)
    }

    fn compile(json: &Json<'_>, release: &str, base: &Arc<Keying>, patterns: &mut Patterns) -> Self {
        let [name, when, version, buckets, sticky] = &json.fields(&["name", "when", "version", "buckets", "sticky"]);
        let name = name.checked(check_filled);
        let when = when.some_items(Cause::NoCondition).read(|condition| Matcher::compile(condition, patterns));
        match (version.given(), buckets.given()) {
            (false, false) => json.fault(Cause::NoTarget),
            (true, true) => json.fault(Cause::TwoTargets),
            (true, false) if sticky.given() => sticky.fault(Cause::StickyVersion),
            _ => {}
        }
        let target = if version.given() {
            Target::Version(version.checked(check_version_name))
        } else {
            let keying = match sticky.given() {
                true => Arc::new(Keying::compile(sticky, release)),
                false => Arc::clone(base),
            };
            Target::Shares(Shares::compile(buckets, keying))
        };
        Self { name, when, target }
    }
}

impl Shares {
    fn compile(runs: &Json<'_>, keying: Arc<Keying>) -> Self {
        let step = u64::from(keying.algorithm.granularity());
        let (mut end, mut ends) = (0_u64, Vec::new());
        runs.items().each(&mut |run| {
            let [version, buckets] = &run.pair("a list of version and buckets");
            let (version, buckets) = (version.text().into_owned(), buckets.number(u64::from(u32::MAX)));
            if let Err(cause) = check_version_name(&version) {
                run.fault(cause);
            }
            if buckets == 0 {
                run.fault(Cause::EmptyRun);
            }
            if buckets % step != 0 {
                run.fault(Cause::Granularity(u32::try_from(buckets).unwrap_or_default()));
            }
            end += buckets;
            ends.push((u32::try_from(end).unwrap_or(u32::MAX), version));
        });
        ends.shrink_to_fit();
        if end > u64::from(BUCKETS) {
            runs.fault(Cause::TooManyBuckets(end));
        }
        Self { ends, keying }
    }

    /// The version that holds a bucket; `None` for stable.
    pub(crate) fn holder(&self, bucket: u32) -> Option<&str> {
        let position = self.keying.algorithm.position(bucket);
        let at = self.ends.partition_point(|(end, _)| *end <= position);
        self.ends.get(at).map(|(_, version)| version.as_str())
    }
}
