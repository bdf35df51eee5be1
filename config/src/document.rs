//! The split document: the versioned JSON that the filter reads.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::condition::Condition;
use crate::error::{Cause, CompileError, DocumentError};
use crate::json::{FromJson, Json, read};
use crate::lexer::{member, whole};
use crate::sticky::Sticky;
use crate::walk::{Part, Walk};

/// The version of the document that this engine reads and writes.
pub const DOCUMENT_VERSION: u32 = 1;

/// All splits of a mesh or of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SplitDocument {
    /// The form of the document: 1.
    pub version: u32,
    /// The request header that carries the version; `x-serin-version` unless told.
    #[serde(default = "routing_header", skip_serializing_if = "is_routing_header")]
    pub routing_header: String,
    /// Whether the filter says in filter state why a request went where it went.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_reason: bool,
    /// Patterns of the conditions, compiled: pattern to base64 of a sparse automaton. `serin compile` fills it in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub automata: BTreeMap<String, String>,
    /// One entry for each release.
    pub splits: Vec<ReleaseSplit>,
}

/// Who gets which version of one service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseSplit {
    /// The release, as it is named in decisions and metrics: `NAMESPACE/NAME`.
    pub release: String,
    /// The hosts that the release routes, at least one; letter case does not count.
    pub hosts: Vec<String>,
    /// The ports that it routes; all when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The version that gets what nothing else takes.
    pub stable: String,
    /// The base split: versions and their numbers of buckets, laid one behind the other from bucket 0. A version may occur
    /// several times; what the runs leave of 100 000 is stable's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<(String, u32)>,
    /// How a request finds its bucket; without it each request finds another one, by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// Rules in order; the first that matches wins over the base split.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// The version that gets everything, whatever rules and weights say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<String>,
}

/// What requests with certain properties get: either one version or a split of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The name in decisions, unique in the release.
    pub name: String,
    /// Conditions that must all hold, at least one.
    pub when: Vec<Condition>,
    /// The version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The split, in the form of the base split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buckets: Option<Vec<(String, u32)>>,
    /// How a request finds its bucket in this split; as in the base split unless told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
}

impl SplitDocument {
    /// A document of these splits with default settings.
    #[must_use]
    pub fn new(splits: Vec<ReleaseSplit>) -> Self {
        Self {
            version: DOCUMENT_VERSION,
            routing_header: routing_header(),
            report_reason: false,
            splits,
            automata: BTreeMap::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// [`DocumentError::Version`] for a version that this engine does not know, else what is wrong with the first field that
    /// does not fit, and its path.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        Self::read(text).map_err(|error| other_version(text).unwrap_or(error))
    }

    fn read(text: &[u8]) -> Result<Self, DocumentError> {
        let (mut walk, mut settings, mut splits) = (Walk::default(), Settings::default(), Vec::new());
        loop {
            match walk.next(text, |_, _| None)? {
                Part::Field(name, value) => settings.take(&name, value)?,
                Part::Splits => settings.once("splits")?,
                Part::Known | Part::KnownField(_) => {}
                Part::Release(index, release) => {
                    splits.push(read(release).map_err(|error| error.within(&format!("splits[{index}]")))?);
                }
                Part::End => break,
            }
        }
        settings.complete()?;
        let Settings { routing_header, report_reason, automata, .. } = settings;
        Ok(Self {
            version: DOCUMENT_VERSION,
            routing_header,
            report_reason,
            automata: automata.into_iter().collect(),
            splits,
        })
    }

    /// The document as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Text, numbers and maps with text keys always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The members of a document other than its releases.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    seen: Vec<String>,
    pub(crate) routing_header: String,
    pub(crate) report_reason: bool,
    pub(crate) automata: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seen: Vec::new(), routing_header: routing_header(), report_reason: false, automata: Vec::new() }
    }
}

impl Settings {
    /// Takes up a member.
    pub(crate) fn take(&mut self, name: &str, value: &[u8]) -> Result<(), CompileError> {
        self.once(name)?;
        match name {
            "version" => match read::<u64>(value)? {
                version if version == u64::from(DOCUMENT_VERSION) => Ok(()),
                // Other versions are told before any other error.
                version => Err(Cause::Shape(format!("{version} is not {DOCUMENT_VERSION}")).at("")),
            },
            "routingHeader" => read(value).map(|name| self.routing_header = name),
            "reportReason" => read(value).map(|report| self.report_reason = report),
            "automata" => read(value).map(|Automata(automata)| self.automata = automata),
            "splits" => read::<Vec<ReleaseSplit>>(value).map(|_| ()),
            other => {
                let known = "`version`, `routingHeader`, `reportReason`, `automata`, `splits`";
                Err(Cause::Shape(format!("unknown field `{other}`, expected one of {known}")).at(""))
            }
        }
        .map_err(|error| error.within(name))
    }

    /// Notes that a member is there.
    pub(crate) fn once(&mut self, name: &str) -> Result<(), CompileError> {
        if self.seen(name) {
            return Err(Cause::Shape(format!("duplicate field `{name}`")).at(name));
        }
        self.seen.push(name.to_owned());
        Ok(())
    }

    /// Whether a member was there.
    pub(crate) fn seen(&self, name: &str) -> bool {
        self.seen.iter().any(|seen| seen == name)
    }

    /// Checks that all is there that must be.
    pub(crate) fn complete(&self) -> Result<(), CompileError> {
        match ["version", "splits"].into_iter().find(|name| !self.seen(name)) {
            Some(name) => Err(Cause::Shape(format!("missing field `{name}`")).at("")),
            None => Ok(()),
        }
    }
}

/// Patterns and their automata, in the order of the patterns; of duplicates the last counts.
pub(crate) struct Automata(pub(crate) Vec<(String, String)>);

impl FromJson for Automata {
    fn from_json(json: &Json<'_>) -> Self {
        let mut automata: Vec<(String, String)> = Vec::new();
        for (pattern, text) in json.members() {
            let text = String::from_json(&json.name(&pattern, text));
            match automata.binary_search_by(|(known, _)| known.as_str().cmp(&pattern)) {
                Ok(at) => automata.iter_mut().skip(at).take(1).for_each(|entry| entry.1.clone_from(&text)),
                Err(at) => automata.insert(at, (pattern.into_owned(), text)),
            }
        }
        Self(automata)
    }
}

/// The error for a document of another version, which rightly has fields that this one does not know.
pub(crate) fn other_version(text: &[u8]) -> Option<DocumentError> {
    let version = whole(member(text, "version")?)?;
    (version != u64::from(DOCUMENT_VERSION)).then_some(DocumentError::Version(version))
}

fn routing_header() -> String {
    "x-serin-version".to_owned()
}

fn is_routing_header(name: &str) -> bool {
    name == routing_header()
}
