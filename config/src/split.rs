//! The compiled document: everything that can fail has failed here.

use std::sync::Arc;

use crate::bucket::{Algorithm, BUCKETS};
use crate::directory::Directory;
use crate::document::{ReleaseSplit, Rule, SplitDocument};
use crate::error::{Cause, CompileError, DocumentError};
use crate::keying::Keying;
use crate::matcher::{Matcher, Patterns, TextSource};
use crate::name::{check_header_name, check_release_name, check_version_name};
use crate::request::{Destination, RequestView, canonical_host};
use crate::rules::Rules;
use crate::update::Update;

/// A document that can decide.
#[derive(Clone, Debug)]
pub struct Split {
    pub(crate) routing_header: String,
    pub(crate) report_reason: bool,
    /// The releases' numbers in the directory, in the document's order.
    pub(crate) order: Vec<u32>,
    pub(crate) directory: Directory,
    pub(crate) patterns: Arc<Patterns>,
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
        let mut update = Update::new(text.to_vec(), None);
        loop {
            if let Some(split) = update.step(usize::MAX)? {
                return Ok(split);
            }
        }
    }

    /// Compiles a document that is there as data.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn compile(document: &SplitDocument) -> Result<Self, CompileError> {
        Self::with_patterns(document, Patterns::of(document))
    }

    fn with_patterns(document: &SplitDocument, mut patterns: Patterns) -> Result<Self, CompileError> {
        let routing_header = check_header_name(&document.routing_header).map_err(|cause| cause.at("routingHeader"))?;
        let (mut order, mut directory) = (Vec::with_capacity(document.splits.len()), Directory::default());
        for (index, entry) in document.splits.iter().enumerate() {
            let place = |error: CompileError| error.within(&format!("splits[{index}]"));
            if directory.named(&entry.release).is_some() {
                return Err(place(Cause::Release(entry.release.clone()).at("release")));
            }
            let release = Release::compile(entry, &mut patterns).map_err(place)?;
            order.push(directory.enter(Arc::new(release), &entry.hosts).map_err(place)?);
        }
        let report_reason = document.report_reason;
        Ok(Self { routing_header, report_reason, order, directory, patterns: Arc::new(patterns) })
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
        let split = Split::with_patterns(self, Patterns::default())?;
        self.automata = split.patterns.texts();
        Ok(split)
    }
}

fn check_hosts(hosts: &[String]) -> Result<(), CompileError> {
    if hosts.is_empty() {
        return Err(Cause::NoHost.at("hosts"));
    }
    // An IPv6 address in brackets is a host and not one with a port.
    let host_only = |host: &str| !host.contains(':') || (host.starts_with('[') && host.ends_with(']'));
    let fits = |host: &String| {
        !host.is_empty() && !host.contains(['/', ',', '*']) && !host.contains(char::is_whitespace) && host_only(host)
    };
    match hosts.iter().position(|host| !fits(host)) {
        Some(index) => Err(Cause::Host(hosts.get(index).cloned().unwrap_or_default()).at(format!("hosts[{index}]"))),
        None => Ok(()),
    }
}

impl Release {
    pub(crate) fn compile(entry: &ReleaseSplit, patterns: &mut Patterns) -> Result<Self, CompileError> {
        let used = patterns.uses();
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
        for (index, rule) in entry.rules.iter().enumerate() {
            let place = |error: CompileError| error.within(&format!("rules[{index}]"));
            rules.push(CompiledRule::compile(rule, &entry.release, &keying, patterns).map_err(place)?);
        }
        let rules = Rules::new(rules)?;
        check_hosts(&entry.hosts)?;
        Ok(Self {
            text: Box::default(),
            name: entry.release.clone(),
            hosts: entry.hosts.iter().map(|host| canonical_host(host)).collect(),
            stable: entry.stable.clone(),
            ports: entry.ports.clone(),
            takeover: entry.takeover.clone(),
            rules,
            base: Shares::compile(&entry.buckets, keying)?,
            patterns: patterns.uses() > used,
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
        let host = self.hosts.first().map(String::as_str).unwrap_or_default();
        match self.ports.first() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    pub(crate) fn routes(&self, port: Option<u16>) -> bool {
        self.ports.is_empty() || port.is_none_or(|port| self.ports.contains(&port))
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

    fn compile(rule: &Rule, release: &str, base: &Arc<Keying>, patterns: &mut Patterns) -> Result<Self, CompileError> {
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
