//! The split document: the versioned JSON that the filter reads.

pub(crate) mod condition;
pub(crate) mod os;
pub(crate) mod sticky;
pub(crate) mod version;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::document::condition::Condition;
use crate::document::sticky::Sticky;
use crate::document::version::DOCUMENT_VERSION;

/// All splits of a mesh or of a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SplitDocument {
    /// The form of the document: 1.
    pub version: u32,
    /// The request header that carries the version; `x-serin-version` by default.
    #[serde(default = "routing_header", skip_serializing_if = "is_routing_header")]
    pub routing_header: String,
    /// Whether the filter says in filter state why a request went where it went.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub report_reason: bool,
    /// Patterns of the conditions, compiled: pattern to base64 of its automaton. `serin compile` fills it in.
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
    /// What stands behind the version in the routing header, `VERSION.KEY`, so that nobody who does not know it can ask for one: 1 to
    /// 63 letters, digits, `-`, `_` and `.`. Without it the header holds the version alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<String>,
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
    /// How a request finds its bucket in this split; by default as in the base split.
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

    /// The document as compact JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Text, numbers and maps with text keys always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The header that carries the version unless a document says otherwise.
pub(crate) fn routing_header() -> String {
    "x-serin-version".to_owned()
}

fn is_routing_header(name: &str) -> bool {
    name == routing_header()
}
