//! The compiled document: everything that can fail has failed here.

#[cfg(feature = "authoring")]
use std::collections::BTreeMap;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::bucket::{Algorithm, BUCKETS};
use crate::document::{ReleaseSplit, Rule, SplitDocument};
use crate::error::{Cause, CompileError, DocumentError};
use crate::keying::Keying;
use crate::matcher::{Matcher, Patterns};
use crate::name::{check_header_name, check_release_name, check_version_name};
use crate::request::Destination;

/// A document that can decide.
#[derive(Clone, Debug)]
pub struct Split {
    routing_header: String,
    report_reason: bool,
    releases: Vec<Release>,
    /// For each host the releases on it, by index; few, since they differ by port.
    hosts: HashMap<String, Vec<usize>>,
}

/// The split of one release.
#[derive(Clone, Debug)]
pub struct Release {
    pub(crate) name: String,
    host: String,
    pub(crate) stable: String,
    ports: Vec<u16>,
    pub(crate) takeover: Option<String>,
    pub(crate) rules: Vec<CompiledRule>,
    pub(crate) base: Shares,
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
    /// Reads and compiles a document.
    ///
    /// # Errors
    /// What is wrong with the text or with what it says, and where.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        Ok(Self::compile(&SplitDocument::parse(text)?)?)
    }

    /// Compiles a document: the only way to an engine.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn compile(document: &SplitDocument) -> Result<Self, CompileError> {
        Self::with_patterns(document, &mut Patterns::new(&document.automata))
    }

    fn with_patterns(document: &SplitDocument, patterns: &mut Patterns<'_>) -> Result<Self, CompileError> {
        let routing_header = check_header_name(&document.routing_header).map_err(|cause| cause.at("routingHeader"))?;
        let mut split = Self {
            routing_header,
            report_reason: document.report_reason,
            releases: Vec::with_capacity(document.splits.len()),
            hosts: HashMap::new(),
        };
        let mut names = BTreeSet::new();
        for (index, entry) in document.splits.iter().enumerate() {
            let place = |error: CompileError| error.within(&format!("splits[{index}]"));
            if !names.insert(entry.release.as_str()) {
                return Err(place(Cause::Release(entry.release.clone()).at("release")));
            }
            let release = Release::compile(entry, patterns).map_err(place)?;
            split.add(release, &entry.hosts).map_err(place)?;
        }
        Ok(split)
    }

    fn add(&mut self, release: Release, hosts: &[String]) -> Result<(), CompileError> {
        if hosts.is_empty() {
            return Err(Cause::NoHost.at("hosts"));
        }
        for (index, host) in hosts.iter().enumerate() {
            let refuse = |cause: Cause| cause.at(format!("hosts[{index}]"));
            if host.is_empty() || host.contains(['/', ',', '*']) || host.contains(char::is_whitespace) || !host_only(host) {
                return Err(refuse(Cause::Host(host.clone())));
            }
            let here = self.hosts.entry(Destination::new(host, None).host.into_owned()).or_default();
            let other = here.iter().filter_map(|&at| self.releases.get(at)).find(|other| other.overlaps(&release));
            if let Some(other) = other {
                return Err(refuse(Cause::Taken { host: host.clone(), other: other.name.clone() }));
            }
            // A host that is listed twice is no second release.
            if here.last() != Some(&self.releases.len()) {
                here.push(self.releases.len());
            }
        }
        self.releases.push(release);
        Ok(())
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

    /// All releases, in the document's order.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// The release that routes a destination; its cost does not grow with the number of releases.
    #[must_use]
    pub fn release(&self, destination: &Destination<'_>) -> Option<&Release> {
        let here = self.hosts.get(destination.host.as_ref())?;
        here.iter().filter_map(|&at| self.releases.get(at)).find(|release| release.routes(destination.port))
    }
}

#[cfg(feature = "authoring")]
impl SplitDocument {
    /// Compiles the document and gives it the automata of exactly the patterns that it uses, so that a filter can read it.
    ///
    /// # Errors
    /// As [`Split::compile`].
    pub fn embed_automata(&mut self) -> Result<Split, CompileError> {
        let none = BTreeMap::new();
        let mut patterns = Patterns::new(&none);
        let split = Split::with_patterns(self, &mut patterns)?;
        self.automata = patterns.into_texts();
        Ok(split)
    }
}

/// Whether a text has no port; an IPv6 address in brackets is a host.
fn host_only(host: &str) -> bool {
    !host.contains(':') || (host.starts_with('[') && host.ends_with(']'))
}

impl Release {
    fn compile(entry: &ReleaseSplit, patterns: &mut Patterns<'_>) -> Result<Self, CompileError> {
        check_release_name(&entry.release).map_err(|cause| cause.at("release"))?;
        check_version_name(&entry.stable).map_err(|cause| cause.at("stable"))?;
        if let Some(index) = entry.ports.iter().position(|&port| port == 0) {
            return Err(Cause::Port.at(format!("ports[{index}]")));
        }
        if let Some(version) = &entry.takeover {
            check_version_name(version).map_err(|cause| cause.at("takeover"))?;
        }
        let keying = Arc::new(match &entry.sticky {
            Some(sticky) => Keying::compile(sticky, &entry.release).map_err(|error| error.within("sticky"))?,
            None => Keying::per_request(&entry.release),
        });
        let mut rules: Vec<CompiledRule> = Vec::with_capacity(entry.rules.len());
        let mut names = BTreeSet::new();
        for (index, rule) in entry.rules.iter().enumerate() {
            let place = |error: CompileError| error.within(&format!("rules[{index}]"));
            if !names.insert(rule.name.as_str()) {
                return Err(place(Cause::RuleName(rule.name.clone()).at("name")));
            }
            rules.push(CompiledRule::compile(rule, &entry.release, &keying, patterns).map_err(place)?);
        }
        Ok(Self {
            name: entry.release.clone(),
            host: entry.hosts.first().cloned().unwrap_or_default(),
            stable: entry.stable.clone(),
            ports: entry.ports.clone(),
            takeover: entry.takeover.clone(),
            rules,
            base: Shares::compile(&entry.buckets, keying)?,
        })
    }

    /// The release's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first of its hosts and ports, as a client would name it: `HOST` or `HOST:PORT`.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.ports.first() {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone(),
        }
    }

    fn routes(&self, port: Option<u16>) -> bool {
        self.ports.is_empty() || port.is_none_or(|port| self.ports.contains(&port))
    }

    fn overlaps(&self, other: &Self) -> bool {
        other.ports.is_empty() || self.ports.is_empty() || other.ports.iter().any(|port| self.ports.contains(port))
    }
}

impl CompiledRule {
    fn compile(rule: &Rule, release: &str, base: &Arc<Keying>, patterns: &mut Patterns<'_>) -> Result<Self, CompileError> {
        if rule.name.is_empty() {
            return Err(Cause::Empty.at("name"));
        }
        if rule.when.is_empty() {
            return Err(Cause::NoCondition.at("when"));
        }
        let mut when = Vec::with_capacity(rule.when.len());
        for (index, condition) in rule.when.iter().enumerate() {
            when.push(Matcher::compile(condition, patterns).map_err(|error| error.within(&format!("when[{index}]")))?);
        }
        let target = match (&rule.version, &rule.buckets) {
            (None, None) => return Err(Cause::NoTarget.at("")),
            (Some(_), Some(_)) => return Err(Cause::TwoTargets.at("")),
            (Some(_), None) if rule.sticky.is_some() => return Err(Cause::StickyVersion.at("sticky")),
            (Some(version), None) => {
                check_version_name(version).map_err(|cause| cause.at("version"))?;
                Target::Version(version.clone())
            }
            (None, Some(buckets)) => {
                let keying = match &rule.sticky {
                    Some(sticky) => Arc::new(Keying::compile(sticky, release).map_err(|error| error.within("sticky"))?),
                    None => Arc::clone(base),
                };
                Target::Shares(Shares::compile(buckets, keying)?)
            }
        };
        Ok(Self { name: rule.name.clone(), when, target })
    }
}

impl Shares {
    fn compile(runs: &[(String, u32)], keying: Arc<Keying>) -> Result<Self, CompileError> {
        let sum: u64 = runs.iter().map(|(_, buckets)| u64::from(*buckets)).sum();
        if sum > u64::from(BUCKETS) {
            return Err(Cause::TooManyBuckets(sum).at("buckets"));
        }
        let step = Algorithm::granularity(keying.algorithm);
        let mut end = 0;
        let mut ends = Vec::with_capacity(runs.len());
        for (index, (version, buckets)) in runs.iter().enumerate() {
            let refuse = |cause: Cause| cause.at(format!("buckets[{index}]"));
            check_version_name(version).map_err(refuse)?;
            if *buckets == 0 {
                return Err(refuse(Cause::EmptyRun));
            }
            if buckets % step != 0 {
                return Err(refuse(Cause::Granularity(*buckets)));
            }
            end += buckets;
            ends.push((end, version.clone()));
        }
        Ok(Self { ends, keying })
    }

    /// The version that holds a bucket; `None` for stable.
    pub(crate) fn holder(&self, bucket: u32) -> Option<&str> {
        let position = self.keying.algorithm.position(bucket);
        let at = self.ends.partition_point(|(end, _)| *end <= position);
        self.ends.get(at).map(|(_, version)| version.as_str())
    }
}
