//! A release as its owner wrote it: to be changed, or made.

use serde::Serialize;
use serin_config::Weight;
use serin_release::difference::Difference;

use super::word::Moved;

/// What a text would come to.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Tried {
    /// What is wrong with it; nothing where it could be written.
    pub problems: Vec<Wrong>,
    /// Who moves, and which rules are other ones; `None` where it is wrong, or the release is not there yet.
    pub difference: Option<Difference>,
    /// How many of the people that were seen lately move, in words; empty where nobody was seen.
    pub people: String,
    /// What is allowed but perhaps not meant.
    pub warnings: Vec<String>,
    /// Whether it says the same as before: comments alone are other ones.
    pub same: bool,
}

/// Something that is wrong with a text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// The line of the text, from 1; `None` where it is about the whole.
    pub line: Option<u32>,
    /// What, where, and what to do about it.
    pub sentence: String,
}

/// The page.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edit {
    /// The release, as `NAMESPACE/NAME`; empty for one that is made.
    pub release: String,
    /// The text, as YAML.
    pub text: String,
    /// What was there when it was read: somebody else's change is not lost.
    pub before: String,
    /// The text that somebody else has written meanwhile; empty where nobody has.
    pub other: String,
    /// What it would come to; `None` where nothing was tried.
    pub tried: Option<Tried>,
    /// Why it cannot be written, whatever it says; empty where it can.
    pub hindrance: String,
}

impl Edit {
    /// The path of its forms.
    #[must_use]
    pub fn path(&self, base: &str) -> String {
        match self.release.as_str() {
            "" => format!("{base}/new"),
            release => format!("{base}/releases/{release}/edit"),
        }
    }

    /// Who moves.
    #[must_use]
    pub fn moves(&self) -> Vec<Moved> {
        let moves = self.tried.iter().filter_map(|tried| tried.difference.as_ref()).flat_map(|difference| &difference.moves);
        let share = |buckets| Weight::from_buckets(buckets).unwrap_or(Weight::ALL).to_string();
        moves.map(|one| Moved { share: share(one.buckets), from: one.from.clone(), to: one.to.clone() }).collect()
    }

    /// Rules that are other ones, in words.
    #[must_use]
    pub fn rules(&self) -> Vec<String> {
        let rules = self.tried.iter().filter_map(|tried| tried.difference.as_ref()).map(|difference| &difference.rules);
        let mut words = Vec::new();
        for rules in rules {
            words.extend(rules.added.iter().map(|rule| format!("rule {rule} is new")));
            words.extend(rules.changed.iter().map(|rule| format!("rule {rule} is another one")));
            words.extend(rules.removed.iter().map(|rule| format!("rule {rule} is gone: weights decide its requests")));
            words.extend(
                rules.reordered.then(|| "rules come in another order, and the first that matches decides".to_owned()),
            );
        }
        words
    }

    /// Why nobody can be counted; empty where they can.
    #[must_use]
    pub fn reshuffled(&self) -> String {
        let difference = self.tried.as_ref().and_then(|tried| tried.difference.as_ref());
        difference.and_then(|difference| difference.reshuffled.clone()).unwrap_or_default()
    }
}
