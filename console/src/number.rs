//! Numbers as texts: the same everywhere, with two decimals at most, and never in scientific notation. What is not finite is `no data` in words,
//! and never 0.

const NO_DATA: &str = "no data";

/// A number with two decimals at most and without zeros at its end: `3`, `0.5`, `12.35`. What is not finite is `0`, so that a picture stays
/// a picture: for coordinates and axes.
///
/// ```
/// use serin_console::number::plain;
///
/// assert_eq!([3.0, 0.5, 12.345_1, -0.001].map(plain), ["3", "0.5", "12.35", "0"]);
/// ```
#[must_use]
pub fn plain(value: f64) -> String {
    decimals(value, 2)
}

/// A number with three significant digits where they are decimals, two decimals at most: `184`, `24.9`, `9.61`.
///
/// ```
/// use serin_console::number::short;
///
/// assert_eq!([1234.6, 184.2, 24.93, 9.614, 0.25].map(short), ["1235", "184", "24.9", "9.61", "0.25"]);
/// ```
#[must_use]
pub fn short(value: f64) -> String {
    if !value.is_finite() {
        return NO_DATA.to_owned();
    }
    let places = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    decimals(value, places)
}

/// A ratio as percent: `99.1 %`. Two decimals at most; what is below 0.005 % and not 0 is `< 0.01 %`, and what is below 100 % never `100 %`.
///
/// ```
/// use serin_console::number::percent;
///
/// assert_eq!([0.991, 0.3, 0.0, 1.0, 0.000_01, 0.999_99].map(percent), ["99.1 %", "30 %", "0 %", "100 %", "< 0.01 %", "> 99.99 %"]);
/// ```
#[must_use]
pub fn percent(ratio: f64) -> String {
    let percent = ratio * 100.0;
    if !percent.is_finite() {
        return NO_DATA.to_owned();
    }
    if percent > 0.0 && percent < 0.005 {
        return "< 0.01 %".to_owned();
    }
    if (99.995..100.0).contains(&percent) {
        return "> 99.99 %".to_owned();
    }
    format!("{} %", plain(percent))
}

/// A duration in milliseconds as text, in s from 10 s on: `184 ms`, `12.3 s`.
///
/// ```
/// use serin_console::number::milliseconds;
///
/// assert_eq!([0.25, 184.2, 12_345.0].map(milliseconds), ["0.25 ms", "184 ms", "12.3 s"]);
/// ```
#[must_use]
pub fn milliseconds(value: f64) -> String {
    match value {
        value if !value.is_finite() => NO_DATA.to_owned(),
        value if value >= 10_000.0 => format!("{} s", short(value / 1000.0)),
        value => format!("{} ms", short(value)),
    }
}

fn decimals(value: f64, places: usize) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.places$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{milliseconds, percent, plain, short};

    #[test]
    fn what_is_not_a_number_is_no_data_and_never_0() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!([short(value), percent(value), milliseconds(value)], ["no data"; 3]);
        }
    }

    #[test]
    fn numbers_keep_their_zeros_and_lose_their_signs_at_zero() {
        assert_eq!([100.0, 1000.0, -20.0, -0.0, 1e9].map(plain), ["100", "1000", "-20", "0", "1000000000"]);
        assert_eq!([f64::NAN, f64::INFINITY].map(plain), ["0", "0"]);
        assert_eq!([100.0, 99.96, 9.999, 10.0, 0.001].map(short), ["100", "100", "10", "10", "0"]);
    }
}
