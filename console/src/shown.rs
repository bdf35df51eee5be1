//! Rates and times as people read them.

use jiff::Timestamp;

/// Requests a second: `12.3/s`, `0.04/s`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0/s".to_owned(),
        rate if rate < 0.01 => "< 0.01/s".to_owned(),
        rate if rate < 1.0 => format!("{rate:.2}/s"),
        rate if rate < 100.0 => format!("{rate:.1}/s"),
        rate => format!("{rate:.0}/s"),
    }
}

/// A stretch of seconds in its largest unit: `40 s`, `12 min`, `3 h`, `2 d`.
#[must_use]
pub fn seconds(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

/// How long ago something was: `12 min ago`; the text as it is where it is no time.
#[must_use]
pub fn ago(at: &str, now: Timestamp) -> String {
    match at.parse::<Timestamp>() {
        Ok(at) => format!("{} ago", seconds(now.as_second().saturating_sub(at.as_second()))),
        Err(_) => at.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_mean_something() {
        assert_eq!([0.0, 0.001, 0.04, 12.34, 1234.5].map(rate), ["0/s", "< 0.01/s", "0.04/s", "12.3/s", "1234/s"]);
        assert_eq!([-3, 40, 130, 7200, 200_000].map(seconds), ["0 s", "40 s", "2 min", "2 h", "2 d"]);
    }

    #[test]
    fn the_past_is_so_long_ago() {
        let now = "2026-01-01T00:02:00Z".parse().unwrap();
        assert_eq!(ago("2026-01-01T00:00:30Z", now), "90 s ago");
        assert_eq!(ago("yesterday", now), "yesterday");
    }
}
