//! A verdict in one line, for people.

use super::counted::{Counted, Failed};
use super::metric::Bounds;
use super::watched::Watched;
use super::{ABSENT, Verdict};
use crate::lifecycle::evidence::counts::{Counts, Pair};
use crate::lifecycle::evidence::tolerance::Tolerance;
use crate::lifecycle::evidence::{Evidence, Test, WINDOW, good};

/// What the parts of a sentence are called.
#[derive(Clone, Copy, Debug)]
pub struct Words<'a> {
    /// The canary's version.
    pub canary: &'a str,
    /// Stable's version.
    pub stable: &'a str,
    /// What bad requests are called, such as `failures`.
    pub noun: &'a str,
}

/// The line for a canary in a metric that counts requests.
///
/// ```text
/// v2 made 22 of the 41 failures but serves 5.0 % of the requests; 2 were expected. Odds for harm 3·10^12 : 1, needed 2 000 : 1.
/// ```
#[must_use]
pub fn counted(counted: &Counted, words: Words<'_>, needed: &Evidence) -> String {
    let Words { canary, stable, noun } = words;
    let tests = counted.tests();
    let seen = tests.seen(Test::Slow);
    let for_good = format!("{}, needed {}", odds(tests.good()), odds(good::needed()));
    if let Some(failed) = counted.failed() {
        let needed = if failed.test.is_fast() { needed.fast } else { needed.slow };
        let what = harm(failed, words, tests.tolerance());
        return format!("{what} Odds for harm {}, needed {}.", odds(failed.evidence), odds(needed));
    }
    match counted.verdict() {
        Verdict::NoData => format!("{canary} had no request in the last {ABSENT} readings."),
        Verdict::Good => {
            let rates = format!("{canary} had {}, {stable} {}", rate(seen.canary, noun), percent(seen.stable.rate()));
            format!("{rates}. Odds for good {for_good}.")
        }
        _ if seen.canary.all == 0 => format!("{canary} had no request yet."),
        _ => {
            let (what, harm) = (undecided(seen, words, tests.tolerance().share), tests.harm().slow);
            let but = if harm >= needed.slow { ", but the bad ones are too few or the rates too close" } else { "" };
            format!("{what} Odds for harm {}, needed {}{but}; for good {for_good}.", odds(harm), odds(needed.slow))
        }
    }
}

/// What a test saw that shows harm.
fn harm(failed: &Failed, words: Words<'_>, tolerance: &Tolerance) -> String {
    let (within, serves) = if failed.test.is_fast() {
        (format!("Within {} minutes ", WINDOW / 60), "but served")
    } else {
        (String::new(), "but serves")
    };
    if failed.test.is_limit() {
        let (rate, limit) = (rate(failed.seen.canary, words.noun), percent(tolerance.limit.unwrap_or_default()));
        format!("{within}{} had {rate}; the limit is {limit}.", words.canary)
    } else {
        format!("{within}{}", shares(failed.seen, words, serves, tolerance.share))
    }
}

fn undecided(seen: Pair, words: Words<'_>, least: f64) -> String {
    let Words { canary, stable, noun } = words;
    if seen.bad() == 0 {
        format!("There were no {noun} of {canary} and {stable}; {canary} serves {} of the requests.", percent(seen.share()))
    } else {
        shares(seen, words, "and serves", least)
    }
}

/// Whose the bad requests are, beside whose the requests are; `least` is the part of the bad ones that is its people's anyway.
fn shares(seen: Pair, words: Words<'_>, serves: &str, least: f64) -> String {
    let (own, all, share) = (grouped(seen.canary.bad), grouped(seen.bad()), percent(seen.share()));
    let expected = seen.share().max(least) * seen.bad() as f64;
    let whose = if least > seen.share() { " of its people" } else { "" };
    let expected = if expected < 0.95 { format!("{expected:.1}") } else { grouped(expected.round() as u64) };
    let were = if expected == "1" { "was" } else { "were" };
    let Words { canary, noun, .. } = words;
    format!("{canary} made {own} of the {all} {noun} {serves} {share} of the requests; {expected} {were} expected{whose}.")
}

fn rate(counts: Counts, noun: &str) -> String {
    format!("{} {noun} in {} requests, {}", grouped(counts.bad), grouped(counts.all), percent(counts.rate()))
}

/// The line for a canary in a metric that watches a value.
#[must_use]
pub fn watched(watched: &Watched, canary: &str) -> String {
    let Bounds { min, max, lasting } = watched.bounds();
    let good = match (min, max) {
        (Some(min), Some(max)) => format!("{min} to {max} is good"),
        (Some(min), None) => format!("at least {min} is good"),
        (None, Some(max)) => format!("at most {max} is good"),
        (None, None) => "every value is good".to_owned(),
    };
    match (watched.value(), watched.beyond_for()) {
        (Some(value), None) => format!("{canary} has {value}; {good}."),
        (Some(value), Some(seconds)) => {
            format!("{canary} has {value}; {good}. It has been beyond for {seconds} s, and fails after {lasting} s.")
        }
        (None, _) if watched.verdict() == Verdict::NoData => format!("{canary} had no value in the last {ABSENT} readings."),
        (None, _) => format!("{canary} had no value yet."),
    }
}

/// A rate in percent, with two digits at least where there are some: `5.0 %`, `0.08 %`.
fn percent(rate: f64) -> String {
    let percent = rate * 100.0;
    let digits = if percent >= 0.95 || percent == 0.0 {
        1
    } else if percent >= 0.095 {
        2
    } else {
        3
    };
    format!("{percent:.digits$} %")
}

/// Odds to one, from their natural logarithm: `0.3 : 1`, `2 000 : 1`, `3·10^12 : 1`.
fn odds(ln: f64) -> String {
    // Up to a million every digit is written.
    if ln < 1e6f64.ln() - 1e-6 {
        let odds = ln.exp();
        if odds < 0.05 {
            return "less than 0.1 : 1".to_owned();
        }
        return if odds < 9.95 { format!("{odds:.1} : 1") } else { format!("{} : 1", grouped(odds.round() as u64)) };
    }
    let log = ln / std::f64::consts::LN_10;
    let digit = 10f64.powf(log - log.floor()).round();
    let (digit, power) = if digit >= 10.0 { (1.0, log.floor() + 1.0) } else { (digit, log.floor()) };
    format!("{digit}·10^{power} : 1")
}

/// A number with a space between each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0, 22, 2000, 41_210, 1_234_567].map(grouped), ["0", "22", "2 000", "41 210", "1 234 567"]);
        assert_eq!(
            [0.0, 0.05, 0.125, 1.0, 0.01, 0.0051, 0.0008, 0.00004].map(percent),
            ["0.0 %", "5.0 %", "12.5 %", "100.0 %", "1.0 %", "0.51 %", "0.080 %", "0.004 %"]
        );
        let of = |ten: f64, times: f64| odds(ten * std::f64::consts::LN_10 + times.ln());
        assert_eq!(
            [of(0.0, 0.01), of(0.0, 0.25), of(0.0, 9.9), of(1.0, 1.0)],
            ["less than 0.1 : 1", "0.2 : 1", "9.9 : 1", "10 : 1"]
        );
        assert_eq!([of(3.0, 2.0), of(5.0, 9.99), of(6.0, 1.0)], ["2 000 : 1", "999 000 : 1", "1·10^6 : 1"]);
        assert_eq!([of(12.0, 3.2), of(12.0, 9.7), of(400_000.0, 2.0)], ["3·10^12 : 1", "1·10^13 : 1", "2·10^400000 : 1"]);
        assert_eq!(odds(-1e300), "less than 0.1 : 1");
    }
}
