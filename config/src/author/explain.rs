//! A decision with its steps, for people and tools.

use std::fmt;

use serde::Serialize;

use crate::author::unmet::Unmet;
use crate::author::value::SeenValue;
use crate::author::words::{none_of, shares, subject};
use crate::buckets::algorithm::{Algorithm, BUCKETS};
use crate::buckets::weight::Weight;
use crate::engine::decide::{Decision, Observer};
use crate::engine::keying::{Key, Keying};
use crate::engine::release::Release;
use crate::engine::rules::CompiledRule;
use crate::engine::shares::{Shares, Target};
use crate::engine::split::Split;
use crate::request::{Destination, RequestView};

/// So many routed destinations are listed where none is the one that was asked for.
const LISTED: usize = 20;

/// What was decided and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<'s> {
    /// The decision; the same that [`Split::decide`] gives.
    pub decision: Decision<'s>,
    /// The steps, in the order in which the engine takes them.
    pub steps: Vec<Step>,
}

/// A step of a decision: as JSON an object whose `kind` says which, as text a line for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Step {
    /// The release that routes the destination.
    Release {
        /// Its name.
        release: String,
    },
    /// No release routes the destination.
    NoRelease {
        /// The destination, `HOST:PORT` or `HOST`.
        destination: String,
        /// Some that releases route.
        routed: Vec<String>,
        /// How many there are beside these.
        more: usize,
    },
    /// A version gets everything.
    Takeover {
        /// The version.
        version: String,
    },
    /// A rule that was asked.
    Rule {
        /// Its name.
        rule: String,
        /// Whether all of its conditions hold.
        matches: bool,
        /// The version that it names, where it matches and has no split.
        #[serde(skip_serializing_if = "Option::is_none")]
        version: Option<String>,
        /// The index of the first condition that does not hold.
        #[serde(skip_serializing_if = "Option::is_none")]
        condition: Option<usize>,
        /// Why that one does not.
        #[serde(flatten)]
        unmet: Option<Unmet>,
    },
    /// No source has a key.
    NoKey {
        /// The sources that were asked, such as `cookie:user`.
        sources: Vec<String>,
        /// Stable.
        version: String,
    },
    /// The visitor's own key.
    Key {
        /// Where it came from, such as `cookie:user`.
        source: String,
        /// The key.
        value: SeenValue,
        /// Whether it is an identity that the response sets.
        issued: bool,
    },
    /// A visit without a key of its own: its request id decides, or an identity that is made from it.
    FirstVisit {
        /// The sources of keys that were asked.
        sources: Vec<String>,
        /// The versions and their shares; the rest is stable's.
        shares: Vec<(String, Weight)>,
        /// The cookie in which the response sets an identity.
        cookie: Option<String>,
        /// What decides: the request id, or the identity.
        value: SeenValue,
        /// Whether the request had no id, so that one was made up for this explanation.
        made_up: bool,
    },
    /// The bucket of the key.
    Bucket {
        /// What makes the buckets of this release its own.
        salt: String,
        /// The bucket, as the algorithm numbers it.
        bucket: u32,
        /// How many there are.
        of: u32,
        /// The version that holds it.
        version: String,
    },
}

impl Split {
    /// Decides a request and says how.
    #[must_use]
    pub fn explain<'s>(&'s self, destination: &Destination<'_>, request: &impl RequestView) -> Explanation<'s> {
        let mut steps = Steps { split: self, destination, steps: Vec::new() };
        let decision = self.walk(destination, request, &mut steps);
        Explanation { decision, steps: steps.steps }
    }
}

struct Steps<'a> {
    split: &'a Split,
    destination: &'a Destination<'a>,
    steps: Vec<Step>,
}

impl Observer for Steps<'_> {
    const LOOKS: bool = true;

    fn release(&mut self, release: Option<&Release>) {
        self.steps.push(match release {
            Some(release) => Step::Release { release: release.name.clone() },
            None => {
                let mut all = self.split.releases().flat_map(Release::authorities);
                let routed: Vec<String> = all.by_ref().take(LISTED).collect();
                Step::NoRelease { destination: self.destination.to_string(), more: all.count(), routed }
            }
        });
    }

    fn takeover(&mut self, version: &str) {
        self.steps.push(Step::Takeover { version: version.to_owned() });
    }

    fn rule(&mut self, rule: &CompiledRule, failed: Option<usize>, request: &impl RequestView) {
        let version = match &rule.target {
            Target::Version(version) if failed.is_none() => Some(version.clone()),
            _ => None,
        };
        let unmet = failed.and_then(|at| rule.when.get(at)).map(|matcher| matcher.unmet(request));
        let rule = rule.name.clone();
        self.steps.push(Step::Rule { rule, matches: failed.is_none(), version, condition: failed, unmet });
    }

    fn no_key(&mut self, keying: &Keying, stable: &str) {
        let sources = keying.labels().map(str::to_owned).collect();
        self.steps.push(Step::NoKey { sources, version: stable.to_owned() });
    }

    fn bucket(&mut self, shares: &Shares, key: &Key<'_, '_>, bucket: u32, version: &str) {
        let (keying, value) = (&shares.keying, SeenValue(key.value.to_vec()));
        self.steps.push(if keying.is_made(key) {
            Step::FirstVisit {
                sources: keying.own_labels().map(str::to_owned).collect(),
                shares: shares.totals(),
                cookie: key.issue.map(|issue| issue.name.clone()),
                value,
                made_up: false,
            }
        } else {
            Step::Key { source: key.label.to_owned(), value, issued: key.issue.is_some() }
        });
        let of = if keying.algorithm == Algorithm::Unleash { BUCKETS / keying.algorithm.granularity() } else { BUCKETS };
        self.steps.push(Step::Bucket { salt: keying.salt().to_owned(), bucket, of, version: version.to_owned() });
    }
}

impl Shares {
    /// The share of each version, in the order in which they lie.
    fn totals(&self) -> Vec<(String, Weight)> {
        let (mut totals, mut start): (Vec<(String, u32)>, u32) = (Vec::new(), 0);
        for (end, version) in &self.ends {
            let buckets = end - start;
            start = *end;
            match totals.iter_mut().find(|(known, _)| known == version) {
                Some((_, total)) => *total += buckets,
                None => totals.push((version.clone(), buckets)),
            }
        }
        let weight = |buckets| Weight::from_buckets(buckets).unwrap_or(Weight::ALL);
        totals.into_iter().map(|(version, buckets)| (version, weight(buckets))).collect()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release { release } => write!(f, "release `{release}` routes this destination"),
            Self::NoRelease { destination, routed, .. } if routed.is_empty() => {
                write!(f, "no release routes `{destination}`: there is no release")
            }
            Self::NoRelease { destination, routed, more } => {
                let rest = if *more > 0 { format!(", and {more} more") } else { String::new() };
                write!(f, "no release routes `{destination}`; routed are `{}`{rest}", routed.join("`, `"))
            }
            Self::Takeover { version } => {
                write!(f, "`takeover` sends everything to {version}, whatever rules and weights say")
            }
            Self::Rule { rule, unmet: Some(unmet), .. } => write!(f, "rule `{rule}` does not match: {unmet}"),
            Self::Rule { rule, version: Some(version), .. } => {
                write!(f, "rule `{rule}` matches, so the request goes to {version}")
            }
            Self::Rule { rule, .. } => write!(f, "rule `{rule}` matches, and its own split decides"),
            Self::NoKey { sources, version } => write!(f, "{}, so the request goes to stable ({version})", none_of(sources)),
            Self::Key { source, value, .. } => write!(f, "the key is {value}, from {}", subject(source)),
            Self::FirstVisit { sources, shares: held, cookie, made_up, .. } => {
                let who = if sources.is_empty() { "each visit" } else { "this visit has no key: it" };
                write!(f, "{who} is decided by its request id ({})", shares(held))?;
                if let Some(cookie) = cookie {
                    write!(f, ", and an identity is issued as cookie `{cookie}`")?;
                }
                f.write_str(if *made_up { " (this id is made up)" } else { "" })
            }
            Self::Bucket { salt, bucket, of, version } => {
                write!(f, "bucket {bucket} of {of} (salt `{salt}`) belongs to {version}")
            }
        }
    }
}
