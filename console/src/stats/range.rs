//! A quantile as it is known: a point, and the edges between which it is.

use std::fmt;

use serde::Serialize;

use crate::number::{milliseconds, short};

/// A quantile: the edges between which it certainly is or, of an interval, between which it is with 95 %, and the likeliest point. In the unit
/// of the histogram, which is milliseconds where it is shown as text: `24.9 ms`, `≈ 184 ms (100 to 250 ms)`, `over 10 s`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Range {
    /// The low edge.
    pub low: f64,
    /// The point, linearly between the edges of its bin; the low edge where the bin has no end.
    pub point: f64,
    /// The high edge; infinite in the last bucket of Prometheus, which is `null` in JSON.
    pub high: f64,
}

impl Range {
    /// Whether the edges are so far apart that the point alone would say too much: by more than a fifth of the low one.
    #[must_use]
    pub fn is_coarse(&self) -> bool {
        self.high > self.low * 1.2
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.high.is_infinite() {
            return write!(f, "over {}", milliseconds(self.low));
        }
        if !self.is_coarse() {
            return f.write_str(&milliseconds(self.point));
        }
        // One unit for all three.
        let (unit, by) = if self.high >= 10_000.0 { ("s", 1000.0) } else { ("ms", 1.0) };
        let [low, point, high] = [self.low, self.point, self.high].map(|value| short(value / by));
        write!(f, "≈ {point} {unit} ({low} to {high} {unit})")
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    #[test]
    fn a_text_says_how_much_is_known() {
        let text = |low, point, high| Range { low, point, high }.to_string();
        assert_eq!(text(100.0, 184.2, 250.0), "≈ 184 ms (100 to 250 ms)");
        assert_eq!(text(24.0, 24.9, 25.0), "24.9 ms");
        assert_eq!(text(0.0, 0.25, 0.5), "≈ 0.25 ms (0 to 0.5 ms)");
        assert_eq!(text(5000.0, 7200.0, 10_000.0), "≈ 7.2 s (5 to 10 s)");
        assert_eq!(text(10_000.0, 10_000.0, f64::INFINITY), "over 10 s");
        assert_eq!(text(12_000.0, 12_340.0, 13_000.0), "12.3 s");
    }
}
