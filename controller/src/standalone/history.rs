//! What is kept of releases from one document to the next, and over restarts. No IO, no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serin_release::{Kept, State};

/// How many releases that are gone are remembered.
const MOST_GONE: usize = 10_000;
/// How long, in seconds: a month.
const GONE_FOR: u64 = 30 * 24 * 3600;
/// The form in which this one is stored.
const VERSION: u64 = 2;

/// The bucket maps of the releases of one file, and for a while of those that have left it: a release that is commented out
/// and in again, or a file that was read while it was being written, moves nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// The file whose releases these are; unknown where an earlier serin has written it.
    pub(super) file: Option<String>,
    releases: State,
    gone: BTreeMap<String, Gone>,
}

/// A release that has left the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Gone {
    /// When, in seconds since 1970.
    left: u64,
    #[serde(flatten)]
    kept: Kept,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u64,
    file: Option<String>,
    releases: State,
    gone: BTreeMap<String, Gone>,
}

impl History {
    /// Reads what was stored, in the form of earlier serins too: the maps by release alone.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        match value.get("version") {
            // A release's key has a slash.
            None => State::deserialize(value).map(|releases| Self { releases, ..Self::default() }),
            Some(version) if version.as_u64().is_none_or(|version| version != VERSION) => {
                return Err(format!("its version {version} is not known"));
            }
            Some(_) => Stored::deserialize(value).map(|Stored { file, releases, gone, .. }| Self { file, releases, gone }),
        }
        .map_err(|error| error.to_string())
    }

    /// The history of this file.
    pub(super) fn of_file(self, file: String) -> Self {
        Self { file: Some(file), ..self }
    }

    /// The text to store.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let Self { file, releases, gone } = self.clone();
        // Maps with texts as keys can always be written.
        serde_json::to_vec(&Stored { version: VERSION, file, releases, gone }).unwrap_or_default()
    }

    /// The maps that a document is laid over.
    pub(super) fn state(&self) -> State {
        let gone = self.gone.iter().map(|(id, gone)| (id.clone(), gone.kept.clone()));
        State(gone.chain(self.releases.0.clone()).collect())
    }

    /// The history once a document with these maps acts, at a time in seconds since 1970; and the releases that are forgotten
    /// with it, because they left long ago or because too many have.
    pub(super) fn followed_by(&self, next: &State, now: u64) -> (Self, Vec<String>) {
        let left = self.releases.0.iter().map(|(id, kept)| (id.clone(), Gone { left: now, kept: kept.clone() }));
        let mut gone: BTreeMap<_, _> = self.gone.clone().into_iter().chain(left).collect();
        gone.retain(|id, _| !next.0.contains_key(id));
        let mut ages: Vec<_> = gone.iter().map(|(id, gone)| (gone.left, id.clone())).collect();
        ages.sort();
        let surplus = ages.len().saturating_sub(MOST_GONE);
        let forgotten = ages.into_iter().enumerate();
        let forgotten = forgotten.filter(|(index, (left, _))| *index < surplus || now.saturating_sub(*left) > GONE_FOR);
        let forgotten: Vec<String> = forgotten.map(|(_, (_, id))| id).collect();
        for id in &forgotten {
            gone.remove(id);
        }
        (Self { file: self.file.clone(), releases: next.clone(), gone }, forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const DAY: u64 = 24 * 3600;

    fn kept(version: &str) -> Kept {
        serde_json::from_value(json!({
            "allocation": {"base": [{"version": version, "buckets": 100}]},
            "split": {"release": "a/b", "hosts": ["b"], "stable": "v1", "buckets": [[version, 100]]},
        }))
        .unwrap()
    }

    fn state(releases: &[&str]) -> State {
        State(releases.iter().map(|id| ((*id).to_owned(), kept(id))).collect())
    }

    #[test]
    fn a_release_that_comes_back_has_its_map() {
        let first = History { file: Some("/f".into()), ..History::default() };
        let (both, _) = first.followed_by(&state(&["a/a", "a/b"]), 0);
        let (one, forgotten) = both.followed_by(&state(&["a/b"]), 5);
        assert_eq!((one.state(), forgotten), (state(&["a/a", "a/b"]), vec![]));
        let (again, _) = one.followed_by(&state(&["a/a", "a/b"]), 6);
        assert_eq!(again, both);
        // Also over a restart.
        assert_eq!(History::parse(&one.to_json()), Ok(one));
    }

    #[test]
    fn what_is_gone_for_a_month_is_forgotten() {
        let (old, _) = History::default().followed_by(&state(&["a/a", "a/b"]), 0);
        let (one, _) = old.followed_by(&state(&["a/b"]), DAY);
        let (none, forgotten) = one.followed_by(&state(&[]), 31 * DAY);
        assert_eq!((none.state(), forgotten), (state(&["a/a", "a/b"]), vec![]));
        let (late, forgotten) = none.followed_by(&state(&[]), 31 * DAY + 1);
        assert_eq!((late.state(), forgotten), (state(&["a/b"]), vec!["a/a".to_owned()]));
        // A clock that went back makes nothing older.
        assert_eq!(late.followed_by(&state(&[]), 0).1, [""; 0]);
    }

    #[test]
    fn the_oldest_go_where_too_many_are_gone() {
        let ids: Vec<String> = (0..MOST_GONE + 1).map(|number| format!("a/{number:05}")).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (all, _) = History::default().followed_by(&state(&ids), 0);
        let (without_last, _) = all.followed_by(&state(&ids[..MOST_GONE]), 1);
        let (none, forgotten) = without_last.followed_by(&state(&[]), 2);
        assert_eq!((none.gone.len(), forgotten), (MOST_GONE, vec![format!("a/{MOST_GONE:05}")]));
    }

    #[test]
    fn the_form_of_earlier_serins_is_read() {
        let text = serde_json::to_vec(&state(&["a/a", "a/version"])).unwrap();
        assert_eq!(History::parse(&text), Ok(History { releases: state(&["a/a", "a/version"]), ..History::default() }));
        assert_eq!(History::parse(b"{}"), Ok(History::default()));
        assert_eq!(History::parse(br#"{"version":3}"#), Err("its version 3 is not known".to_owned()));
        assert!(History::parse(b"{").unwrap_err().starts_with("EOF while parsing"));
        let more = br#"{"version":2,"file":null,"releases":{},"gone":{},"more":1}"#;
        assert!(History::parse(more).unwrap_err().starts_with("unknown field `more`"));
    }
}
