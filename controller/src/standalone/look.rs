//! How long a text of FILE is looked at before it is believed, and when one that could not be applied is tried again. No IO, no
//! clock.

use std::collections::BTreeSet;
use std::time::Duration;

/// How long a text must stay the same to count as written.
const QUIET: Duration = Duration::from_millis(10);
/// The same for one that does not parse, since it may be half of one that does.
const SETTLE: Duration = Duration::from_millis(100);
/// The same for one that takes much away.
pub(super) const DOUBT: Duration = Duration::from_secs(2);
/// The shortest and the longest time to the next try.
const RETRY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));
/// The same for a change at which Envoy ends: each try costs the connections of all clients.
const RETRY_DEADLY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));

/// What a text of FILE holds, as far as it can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Whether there is a `Standalone`.
    pub(super) standalone: bool,
    /// The releases, as `NAMESPACE/NAME`.
    pub(super) releases: BTreeSet<String>,
    /// The releases of which the file beside it speaks; `None` where that cannot be read.
    pub(super) controls: Option<BTreeSet<String>>,
}

/// Why a text may be the beginning of one that is still being written, in words; `None` for a text that may be believed.
pub(super) fn doubt(served: &BTreeSet<String>, text: &[u8], outline: Option<&Outline>) -> Option<String> {
    if text.trim_ascii().is_empty() {
        return Some("the file is empty".to_owned());
    }
    let outline = outline?;
    if !outline.standalone {
        return Some("there is no `kind: Standalone` any more".to_owned());
    }
    let lost: Vec<&str> = served.difference(&outline.releases).map(String::as_str).collect();
    if lost.is_empty() || 2 * lost.len() < served.len() {
        return None;
    }
    let (count, all) = (lost.len(), served.len());
    let (of, verb) = (if all == 1 { "release" } else { "releases" }, if count == 1 { "is" } else { "are" });
    Some(format!("{count} of {all} {of} {verb} gone: {}", listed(&lost)))
}

/// The same for the file of what people say: what they said is taken back by a word, and not by leaving it out.
pub(super) fn doubt_of_controls(acting: &BTreeSet<String>, outline: Option<&Outline>) -> Option<String> {
    let lost: Vec<&str> = acting.difference(outline?.controls.as_ref()?).map(String::as_str).collect();
    (!lost.is_empty()).then(|| format!("no CanaryControl speaks any more of {}", listed(&lost)))
}

/// The first of some names, and how many more there are.
pub(super) fn listed<T: AsRef<str>>(names: &[T]) -> String {
    const MOST: usize = 5;
    let first = names.iter().take(MOST).map(AsRef::as_ref).collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{first} and {} more", names.len() - MOST) } else { first }
}

/// How long a text must stay the same to be believed.
pub(super) fn patience(doubtful: bool, parses: bool) -> Duration {
    match (doubtful, parses) {
        (true, _) => DOUBT,
        (false, true) => QUIET,
        (false, false) => SETTLE,
    }
}

/// How long to wait for a text that never stays the same.
pub(super) fn most_patience(patience: Duration) -> Duration {
    10 * patience.max(SETTLE)
}

/// The time to the next try after so many that failed, by a number from 0 to 1 that spreads those of many proxies.
pub(super) fn delay(failures: u32, deaths: u32, spread: f64) -> Duration {
    let ((first, longest), count) = match deaths {
        0 | 1 => (RETRY, failures.saturating_sub(1)),
        deaths => (RETRY_DEADLY, deaths - 2),
    };
    first.saturating_mul(1 << count.min(16)).min(longest).mul_f64(0.8 + 0.2 * spread.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(releases: &[&str]) -> BTreeSet<String> {
        releases.iter().map(|release| (*release).to_owned()).collect()
    }

    fn doubted(before: &[&str], after: &[&str]) -> Option<String> {
        let outline = Outline { standalone: true, releases: set(after), controls: None };
        doubt(&set(before), b"x", Some(&outline))
    }

    #[test]
    fn a_text_that_takes_half_away_is_doubted() {
        assert_eq!(doubted(&["a", "b", "c"], &["a", "b", "d"]), None);
        assert_eq!(doubted(&[], &[]), None);
        assert_eq!(doubted(&["a"], &["a", "b"]), None);
        assert_eq!(doubted(&["a"], &[]).unwrap(), "1 of 1 release is gone: a");
        assert_eq!(doubted(&["a", "b"], &["b"]).unwrap(), "1 of 2 releases is gone: a");
        assert_eq!(
            doubted(&["a", "b", "c", "d", "e", "f"], &[]).unwrap(),
            "6 of 6 releases are gone: a, b, c, d, e and 1 more"
        );
        assert_eq!(doubt(&set(&["a"]), b" \n", None).unwrap(), "the file is empty");
        assert_eq!(doubt(&set(&[]), b"x", Some(&Outline::default())).unwrap(), "there is no `kind: Standalone` any more");
        // What does not parse is not applied anyway.
        assert_eq!(doubt(&set(&["a"]), b"{", None), None);
    }

    #[test]
    fn words_that_are_left_out_are_doubted() {
        let doubted = |before: &[&str], after: Option<&[&str]>| {
            let outline = Outline { controls: after.map(set), ..Outline::default() };
            doubt_of_controls(&set(before), Some(&outline))
        };
        assert_eq!(doubted(&[], Some(&["a"])), None);
        assert_eq!(doubted(&["a"], Some(&["a", "b"])), None);
        assert_eq!(doubted(&["a", "b"], Some(&["b"])).unwrap(), "no CanaryControl speaks any more of a");
        // What does not parse is not applied anyway.
        assert_eq!(doubted(&["a"], None), None);
        assert_eq!(doubt_of_controls(&set(&["a"]), None), None);
    }

    #[test]
    fn tries_become_rarer_and_never_end() {
        let seconds = |failures, deaths| delay(failures, deaths, 1.0).as_secs_f64();
        assert_eq!([1, 2, 3, 4].map(|failures| seconds(failures, 0)), [0.2, 0.4, 0.8, 1.6]);
        assert_eq!([8, 9, u32::MAX].map(|failures| seconds(failures, 1)), [25.6, 30.0, 30.0]);
        assert_eq!([2, 3, 4, u32::MAX].map(|deaths| seconds(1, deaths)), [30.0, 60.0, 120.0, 3600.0]);
        assert_eq!(delay(1, 0, 0.0), Duration::from_millis(160));
    }
}
