//! What is measured, by the names that criterion has for it.

use std::fmt;

use serin_bench_engine::{RELEASES, RULES};

use crate::peer::Work;

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// A decision with so many releases.
    Releases(usize),
    /// A decision with so many rules that do not match.
    Rules(usize),
    /// A document of so many releases, read, compiled and dropped.
    Parse(usize),
    /// The rollout, asked of our engine.
    Decide(Work),
    /// The rollout, asked of the peer.
    Yggdrasil(Work),
}

impl Scenario {
    /// All of them, in the order of the report.
    pub(crate) fn all() -> Vec<Self> {
        let sizes = [RELEASES.map(Self::Releases), RULES.map(Self::Rules), RELEASES.map(Self::Parse)];
        let rollouts = Work::ALL.into_iter().flat_map(|work| [Self::Decide(work), Self::Yggdrasil(work)]);
        sizes.into_iter().flatten().chain(rollouts).collect()
    }

    /// The scenario of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|scenario| scenario.to_string() == name)
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Releases(size) => write!(text, "decide-releases/{size}"),
            Self::Rules(size) => write!(text, "decide-rules/{size}"),
            Self::Parse(size) => write!(text, "parse/{size}"),
            Self::Decide(work) => write!(text, "{}/decide", work.name()),
            Self::Yggdrasil(work) => write!(text, "{}/yggdrasil", work.name()),
        }
    }
}
