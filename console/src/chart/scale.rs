//! Axes with few round ticks.

use crate::number::plain;

/// So many ticks at most are asked for.
const TICKS: f64 = 4.0;

/// The round values of an axis from 0 that holds `most`, 0 first: 3 to 6 values, 1, 2 or 5 times a power of ten apart (P. Heckbert, "Nice numbers
/// for graph labels", Graphics Gems, 1990). The last one is not below `most`. Without a size, 0 and 1.
#[must_use]
pub fn ticks(most: f64) -> Vec<f64> {
    if !(most > 0.0 && most.is_finite()) {
        return vec![0.0, 1.0];
    }
    let raw = most / TICKS;
    let power = 10_f64.powf(raw.log10().floor());
    let step = power * [1.0, 2.0, 5.0].into_iter().find(|factor| raw <= power * factor * 1.000_001).unwrap_or(10.0);
    let count = (most / step - 1e-6).ceil().clamp(1.0, 10.0);
    (0..=10_u32).map(f64::from).take_while(|at| *at <= count).map(|at| at * step).collect()
}

/// Round distances of times in seconds.
const STEPS: [i64; 18] = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400];

/// The round times within a span of time with their texts, in Unix seconds and UTC: at most 7, as `14:05`, `14:05:10` where they are less than a
/// minute apart, and as dates, `07-31`, from a day on.
#[must_use]
pub fn times(from: i64, to: i64) -> Vec<(i64, String)> {
    let span = to.saturating_sub(from);
    if span <= 0 {
        return Vec::new();
    }
    let fits = |step: &i64| span / step <= 6;
    let step = STEPS.into_iter().find(fits).unwrap_or_else(|| (span / 6 / 86_400 + 1) * 86_400);
    let mut at = from.saturating_sub(from.rem_euclid(step));
    let mut found = Vec::new();
    while at <= to && found.len() < 8 {
        if at >= from {
            found.push((at, clock(at, step)));
        }
        at = at.saturating_add(step);
    }
    found
}

fn clock(at: i64, step: i64) -> String {
    if step >= 86_400 {
        let date = jiff::Timestamp::from_second(at).map(|time| time.strftime("%m-%d").to_string());
        return date.unwrap_or_default();
    }
    let of_day = at.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    if step < 60 { format!("{hour:02}:{minute:02}:{second:02}") } else { format!("{hour:02}:{minute:02}") }
}

/// A value on an axis with its unit: `20 %`, `1500`.
#[must_use]
pub fn tick(value: f64, unit: &str) -> String {
    if unit.is_empty() { plain(value) } else { format!("{} {unit}", plain(value)) }
}

#[cfg(test)]
mod tests {
    use super::{ticks, times};

    #[test]
    fn ticks_are_few_and_round_and_hold_the_most() {
        assert_eq!(ticks(100.0), [0.0, 50.0, 100.0]);
        assert_eq!(ticks(7.2), [0.0, 2.0, 4.0, 6.0, 8.0]);
        assert_eq!(ticks(0.8), [0.0, 0.2, 0.4, 0.600_000_000_000_000_1, 0.8]);
        for most in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(ticks(most), [0.0, 1.0]);
        }
        for at in 1..=2000 {
            let most = f64::from(at) * 0.37;
            let found = ticks(most);
            assert!((3..=6).contains(&found.len()) && *found.last().unwrap() >= most * (1.0 - 1e-5), "{most}: {found:?}");
        }
    }

    #[test]
    fn times_are_round() {
        let texts = |from, to| times(from, to).into_iter().map(|(_, text)| text).collect::<Vec<_>>();
        // 2025-07-31 14:03:20 UTC.
        let from = 1_753_970_600;
        assert_eq!(texts(from, from + 1800), ["14:05", "14:10", "14:15", "14:20", "14:25", "14:30"]);
        assert_eq!(texts(from, from + 20), ["14:03:20", "14:03:25", "14:03:30", "14:03:35", "14:03:40"]);
        assert_eq!(texts(from, from + 3 * 86_400), ["00:00", "12:00", "00:00", "12:00", "00:00", "12:00"]);
        assert_eq!(texts(from, from + 30 * 86_400).len(), 5);
        assert_eq!(texts(from, from + 30 * 86_400)[0], "08-04");
        assert_eq!(texts(from, from), Vec::<String>::new());
        assert!(texts(i64::MIN, i64::MAX).len() <= 8);
    }
}
