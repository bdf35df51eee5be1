//! Intervals of proportions.

/// The quantile of the normal distribution for 95 % on both sides.
pub const Z: f64 = 1.959_963_984_540_054;

/// The interval of 95 % of a proportion, from 0 to 1: `hits` of `all`. It is Wilson's score interval without correction for continuity
/// (E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927), which holds for few and for rare
/// hits. `None` where `all` is 0 or less than `hits`.
///
/// ```
/// use serin_console::stats::wilson;
///
/// let (low, high) = wilson(81, 263).unwrap();
/// assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5);
/// assert_eq!(wilson(0, 0), None);
/// ```
#[must_use]
pub fn wilson(hits: u64, all: u64) -> Option<(f64, f64)> {
    let share = ratio(hits, all)?;
    let n = all as f64;
    let spread = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let (middle, whole) = (share + Z * Z / (2.0 * n), 1.0 + Z * Z / n);
    // Rounding must not say that 0 of n could not be 0.
    let low = if hits == 0 { 0.0 } else { ((middle - spread) / whole).max(0.0) };
    let high = if hits == all { 1.0 } else { ((middle + spread) / whole).min(1.0) };
    Some((low, high))
}

/// The difference of two proportions, a's minus b's, from -1 to 1. `None` as in [`newcombe`].
#[must_use]
pub fn difference(a_hits: u64, a_all: u64, b_hits: u64, b_all: u64) -> Option<f64> {
    Some(ratio(a_hits, a_all)? - ratio(b_hits, b_all)?)
}

/// The interval of 95 % of [`difference`], a's proportion minus b's. It is method 10 of R. G. Newcombe, "Interval estimation for the difference
/// between independent proportions: comparison of eleven methods", Statistics in Medicine 17, 1998: from the Wilson intervals of both.
/// `None` where either has no request, or more hits than requests.
///
/// ```
/// use serin_console::stats::newcombe;
///
/// let (low, high) = newcombe(56, 70, 48, 80).unwrap();
/// assert!((low - 0.0524).abs() < 5e-5 && (high - 0.3339).abs() < 5e-5);
/// ```
#[must_use]
pub fn newcombe(a_hits: u64, a_all: u64, b_hits: u64, b_all: u64) -> Option<(f64, f64)> {
    let (a, b) = (ratio(a_hits, a_all)?, ratio(b_hits, b_all)?);
    let ((a_low, a_high), (b_low, b_high)) = (wilson(a_hits, a_all)?, wilson(b_hits, b_all)?);
    let low = a - b - (a - a_low).hypot(b_high - b);
    let high = a - b + (a_high - a).hypot(b - b_low);
    Some((low.max(-1.0), high.min(1.0)))
}

fn ratio(hits: u64, all: u64) -> Option<f64> {
    (all > 0 && hits <= all).then(|| hits as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::{difference, newcombe, wilson};

    fn assert_near(found: Option<(f64, f64)>, low: f64, high: f64) {
        let found = found.unwrap();
        assert!((found.0 - low).abs() < 5.1e-5 && (found.1 - high).abs() < 5.1e-5, "{found:?} is not {low} to {high}");
    }

    /// Newcombe, "Two-sided confidence intervals for the single proportion", Statistics in Medicine 17, 1998, table I, method 3.
    #[test]
    fn wilson_gives_the_published_intervals() {
        for (hits, all, low, high) in
            [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
        {
            assert_near(wilson(hits, all), low, high);
        }
    }

    #[test]
    fn wilson_is_the_closed_form_at_the_ends_and_none_without_requests() {
        let z2 = super::Z * super::Z;
        assert_eq!(wilson(0, 20).unwrap().0, 0.0);
        assert!((wilson(0, 20).unwrap().1 - z2 / (20.0 + z2)).abs() < 1e-15);
        assert_eq!(wilson(20, 20).unwrap().1, 1.0);
        assert!((wilson(20, 20).unwrap().0 - 20.0 / (20.0 + z2)).abs() < 1e-15);
        assert_eq!([wilson(0, 0), wilson(2, 1)], [None, None]);
        let (low, high) = wilson(u64::MAX / 2, u64::MAX).unwrap();
        assert!(low <= high && low > 0.499 && high < 0.501);
    }

    /// Newcombe's table II, method 10.
    #[test]
    fn newcombe_gives_the_published_intervals() {
        for ([a, m, b, n], low, high) in [
            ([56, 70, 48, 80], 0.0524, 0.3339),
            ([9, 10, 3, 10], 0.1705, 0.8090),
            ([6, 7, 2, 7], 0.0582, 0.8062),
            ([5, 56, 0, 29], -0.0381, 0.1926),
            ([0, 10, 0, 20], -0.1611, 0.2775),
            ([0, 10, 0, 10], -0.2775, 0.2775),
            ([10, 10, 0, 20], 0.6791, 1.0),
            ([10, 10, 0, 10], 0.6075, 1.0),
        ] {
            assert_near(newcombe(a, m, b, n), low, high);
        }
    }

    #[test]
    fn a_difference_needs_both_and_turns_with_them() {
        assert_eq!([newcombe(0, 0, 1, 2), newcombe(1, 2, 0, 0), newcombe(3, 2, 1, 2)], [None; 3]);
        assert_eq!(difference(1, 2, 1, 4), Some(0.25));
        assert_eq!(difference(1, 2, 0, 0), None);
        let ((low, high), (back_low, back_high)) = (newcombe(7, 9, 2, 8).unwrap(), newcombe(2, 8, 7, 9).unwrap());
        assert!((low + back_high).abs() < 1e-15 && (high + back_low).abs() < 1e-15);
    }
}
