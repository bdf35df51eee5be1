//! Shares and times of other tools in Serin's units. What cannot be said exactly is rounded to fewer canary requests.

use serde_json::Value;
use serin_config::{BUCKETS, Weight};

use crate::lifecycle::span::Span;

/// A part of a whole, rounded down.
pub(super) fn share(part: u64, whole: u64) -> Weight {
    let buckets = u128::from(part) * u128::from(BUCKETS) / u128::from(whole.max(1));
    u32::try_from(buckets).ok().and_then(Weight::from_buckets).unwrap_or(Weight::ALL)
}

/// Whether a part of a whole is a number of buckets.
pub(super) fn is_exact(part: u64, whole: u64) -> bool {
    (u128::from(part) * u128::from(BUCKETS)).is_multiple_of(u128::from(whole.max(1)))
}

/// A number of percent, rounded down; `None` where it is not one from 0 to 100.
pub(super) fn percent(number: f64) -> Option<Weight> {
    // The smallest of corrections, so that 99.9 % is not taken for a little less.
    let buckets = (number * 1000.0 + 1e-6).floor();
    let is_one = number.is_finite() && (0.0..=f64::from(BUCKETS)).contains(&buckets);
    is_one.then_some(buckets as u32).and_then(Weight::from_buckets)
}

/// A number of percent, as a number or as a text such as `50%`.
pub(super) fn percent_of(value: &Value) -> Option<Weight> {
    match value {
        Value::Number(number) => percent(number.as_f64()?),
        Value::String(text) => percent(text.trim().trim_end_matches('%').parse().ok()?),
        _ => None,
    }
}

/// Whole seconds of a time: a number of seconds, or a text such as `90`, `30s`, `1m30s` or `500ms`, rounded up.
pub(super) fn seconds_of(value: &Value) -> Option<u32> {
    let text = match value {
        Value::Number(number) => return number.as_u64()?.try_into().ok(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, behind) = rest.split_at_checked(digits)?;
        let letters = behind.chars().take_while(|letter| letter.is_alphabetic()).map(char::len_utf8).sum();
        let (unit, behind) = behind.split_at_checked(letters)?;
        let size = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        sum += number.parse::<f64>().ok()? * size;
        rest = behind;
    }
    let is_one = !text.is_empty() && sum <= f64::from(u32::MAX);
    is_one.then_some(sum.ceil() as u32)
}

/// A stretch of so many seconds: nothing for none, and the longest that there is for more.
pub(super) fn span(seconds: u64) -> Option<Span> {
    match u32::try_from(seconds) {
        Ok(0) => None,
        Ok(seconds) => Some(Span::from_seconds(seconds).unwrap_or(Span::MOST)),
        Err(_) => Some(Span::MOST),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shares_are_rounded_to_fewer() {
        assert_eq!(share(1, 3).to_string(), "33.333%");
        assert_eq!(share(2, 3).to_string(), "66.666%");
        assert_eq!(share(5, 1000).to_string(), "0.5%");
        assert_eq!(share(9, 1), Weight::ALL);
        assert!(is_exact(3, 4) && !is_exact(1, 3));
        assert_eq!(percent(99.9).map(Weight::buckets), Some(99_900));
        assert_eq!(percent(0.0005).map(Weight::buckets), Some(0));
        assert_eq!([percent(-1.0), percent(100.1), percent(f64::NAN)], [None; 3]);
        assert_eq!(percent_of(&json!("12.5%")).map(Weight::buckets), Some(12_500));
    }

    #[test]
    fn times_are_those_of_go() {
        for (value, seconds) in [
            (json!(600), 600),
            (json!("90"), 90),
            (json!("1h30m"), 5400),
            (json!("500ms"), 1),
            (json!("1.5m"), 90),
            (json!("2d"), 172_800),
        ] {
            assert_eq!(seconds_of(&value), Some(seconds), "{value}");
        }
        for value in [json!(""), json!("m"), json!("5 m"), json!("-5m"), json!(-1), json!({}), json!("5µ")] {
            assert_eq!(seconds_of(&value), None, "{value}");
        }
        assert_eq!((span(0), span(90).map(Span::seconds), span(u64::MAX)), (None, Some(90), Some(Span::MOST)));
    }
}
