//! Student's t.

use std::f64::consts::FRAC_2_PI;

/// Beyond so many degrees of freedom the quantile changes by less than 0.001, and the sum would be long.
const MOST: u64 = 10_000;

/// The quantile of Student's t for 95 % on both sides, by degrees of freedom: 12.71 for 1, 2.093 for 19, near 1.96 for many. Degrees of 0 count
/// as 1. It halves an interval until the exact distribution gives 0.95; from 10 000 degrees on it stays as it is there, 1.9602.
///
/// ```
/// use serin_console::stats::student::quantile;
///
/// assert!((quantile(19) - 2.093).abs() < 5e-4);
/// ```
#[must_use]
pub fn quantile(freedom: u64) -> f64 {
    let freedom = freedom.clamp(1, MOST);
    let (mut low, mut high) = (1.9, 13.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if within(middle, freedom) < 0.95 { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

/// The probability that t is between `-t` and `t`: the finite sums 26.7.3 (odd) and 26.7.4 (even) of M. Abramowitz and I. A. Stegun, "Handbook
/// of mathematical functions", 1964.
fn within(t: f64, freedom: u64) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let even = freedom.is_multiple_of(2);
    // Even: 1 + 1/2 cos² + (1·3)/(2·4) cos⁴ ..; odd: cos + 2/3 cos³ + (2·4)/(3·5) cos⁵ ..; the last power is ν - 2.
    let (mut term, mut power) = if even { (1.0, 0) } else { (cos, 1) };
    let mut sum = 0.0;
    while power + 2 <= freedom {
        sum += term;
        power += 2;
        term *= (power - 1) as f64 / power as f64 * cos * cos;
    }
    if even { sin * sum } else { FRAC_2_PI * (angle + sin * sum) }
}

#[cfg(test)]
mod tests {
    use super::{quantile, within};

    /// The usual table, t(0.975).
    #[test]
    fn quantiles_are_those_of_the_table() {
        for (freedom, expected) in [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (10, 2.228),
            (19, 2.093),
            (20, 2.086),
            (29, 2.045),
            (30, 2.042),
            (60, 2.000),
            (120, 1.980),
        ] {
            let found = quantile(freedom);
            assert!((found - expected).abs() < 5.1e-4, "{freedom}: {found} is not {expected}");
        }
    }

    #[test]
    fn few_degrees_have_closed_forms() {
        // ν = 1: tan(0.95 π/2); ν = 2: 0.95 √(2 / (1 - 0.95²)).
        assert!((quantile(1) - (0.95 * std::f64::consts::FRAC_PI_2).tan()).abs() < 1e-9);
        assert!((quantile(2) - 0.95 * (2.0 / (1.0 - 0.95_f64 * 0.95)).sqrt()).abs() < 1e-12);
        assert!((within(1.0, 1) - 0.5).abs() < 1e-15);
        assert_eq!(quantile(0), quantile(1));
    }

    #[test]
    fn many_degrees_are_nearly_normal() {
        assert!((quantile(10_000) - 1.960_201).abs() < 1e-6);
        assert_eq!(quantile(u64::MAX), quantile(10_000));
    }
}
