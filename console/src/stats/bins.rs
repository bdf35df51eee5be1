//! Quantiles from histograms: Envoy's fine bins, and Prometheus's coarse buckets.

use std::collections::BTreeMap;

use crate::stats::interval::Z;
use crate::stats::range::Range;

/// One bin: how many values were above `low` and at most `high`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bin {
    /// The low edge.
    pub low: f64,
    /// The high edge; infinite in Prometheus's last bucket.
    pub high: f64,
    /// How many; a fraction where it comes from a rate.
    pub count: f64,
}

/// A histogram: bins in order that do not overlap, with counts that are not negative.
///
/// ```
/// use serin_console::stats::Bins;
///
/// let bins = Bins::cumulative(&[(100.0, 50.0), (250.0, 100.0), (f64::INFINITY, 100.0)]);
/// assert_eq!(bins.quantile(0.75).unwrap().to_string(), "≈ 175 ms (100 to 250 ms)");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bins(Vec<Bin>);

impl Bins {
    /// From Envoy's `histogram_buckets=detailed`, whose bins are log-linear, a tenth of their value wide at most: `(lower_bound, width, count)`.
    /// Empty bins may be left out.
    #[must_use]
    pub fn detailed(bins: &[(f64, f64, u64)]) -> Self {
        Self::new(bins.iter().map(|&(low, width, count)| Bin { low, high: low + width, count: count as f64 }).collect())
    }

    /// From upper edges with the count of each bin alone; each begins where the one before ends, the first at 0.
    #[must_use]
    pub fn counted(bins: &[(f64, f64)]) -> Self {
        let mut sorted = bins.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut low = 0.0;
        let bin = |(high, count)| Bin { low: std::mem::replace(&mut low, high), high, count };
        Self::new(sorted.into_iter().map(bin).collect())
    }

    /// From Prometheus's buckets: upper edges (`le`) with cumulative counts or rates. A count that falls, as it may between scrapes of several
    /// processes, counts as the one before (Prometheus does the same).
    #[must_use]
    pub fn cumulative(buckets: &[(f64, f64)]) -> Self {
        let mut sorted = buckets.to_vec();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut before = 0.0_f64;
        for (_, count) in &mut sorted {
            let up_to = if count.is_finite() { before.max(*count) } else { before };
            *count = up_to - before;
            before = up_to;
        }
        Self::counted(&sorted)
    }

    /// Both together.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut counts: BTreeMap<(u64, u64), f64> = BTreeMap::new();
        for bin in self.0.iter().chain(&other.0) {
            // Edges are not negative, so their bits are in their order.
            *counts.entry((bin.low.to_bits(), bin.high.to_bits())).or_default() += bin.count;
        }
        let edges = |(low, high)| (f64::from_bits(low), f64::from_bits(high));
        let bins = counts.into_iter().map(|(key, count)| (edges(key), count));
        Self::new(bins.map(|((low, high), count)| Bin { low, high, count }).filter(|bin| bin.count > 0.0).collect())
    }

    fn new(bins: Vec<Bin>) -> Self {
        let sound = |bin: &Bin| bin.count.is_finite() && bin.count >= 0.0 && bin.low.is_finite() && bin.high >= bin.low;
        let mut bins: Vec<Bin> = bins.into_iter().filter(sound).collect();
        bins.sort_by(|a, b| a.low.total_cmp(&b.low).then(a.high.total_cmp(&b.high)));
        Self(bins)
    }

    /// The bins, in order.
    #[must_use]
    pub fn bins(&self) -> &[Bin] {
        &self.0
    }

    /// How many values there are.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.0.iter().map(|bin| bin.count).sum()
    }

    /// What came since an earlier reading of the same histogram. Where any bin fell, its process started again, and all of it came since: never
    /// negative.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let count =
            |bins: &Self, of: &Bin| bins.0.iter().find(|bin| bin.low == of.low && bin.high == of.high).map(|bin| bin.count);
        if earlier.0.iter().any(|bin| count(self, bin).unwrap_or(0.0) < bin.count) {
            return self.clone();
        }
        let grown = |bin: &Bin| Bin { count: bin.count - count(earlier, bin).unwrap_or(0.0), ..*bin };
        Self(self.0.iter().map(grown).collect())
    }

    /// The value below which a part `q` of all values is, from 0 to 1: the bin that holds it, and the point linearly within it, as Prometheus's
    /// `histogram_quantile` has it. `None` where there are no values, or `q` is not from 0 to 1.
    #[must_use]
    pub fn quantile(&self, q: f64) -> Option<Range> {
        if !(0.0..=1.0).contains(&q) {
            return None;
        }
        self.at(q * self.total())
    }

    /// [`quantile`](Self::quantile) with edges between which it is with 95 %, for comparisons: those of the bins of the order statistics n·q ± 1.96
    /// √(n·q·(1 - q)) (W. J. Conover, "Practical nonparametric statistics", 3.2). Its counts must be requests and not a rate.
    #[must_use]
    pub fn interval(&self, q: f64) -> Option<Range> {
        let (n, point) = (self.total(), self.quantile(q)?);
        let half = Z * (n * q * (1.0 - q)).sqrt();
        let low = self.at((n * q - half).max(0.0))?.low;
        let high = self.at((n * q + half).min(n))?.high;
        Some(Range { low: low.min(point.low), point: point.point, high: high.max(point.high) })
    }

    fn at(&self, rank: f64) -> Option<Range> {
        let mut before = 0.0;
        let mut last = None;
        for bin in self.0.iter().filter(|bin| bin.count > 0.0) {
            let point = if bin.high.is_finite() {
                bin.low + (bin.high - bin.low) * ((rank - before) / bin.count).clamp(0.0, 1.0)
            } else {
                bin.low
            };
            let range = Range { low: bin.low, point, high: bin.high };
            before += bin.count;
            if before >= rank {
                return Some(range);
            }
            last = Some(range);
        }
        // Sums of fractions may fall short of the whole by rounding.
        last
    }
}

#[cfg(test)]
mod tests {
    use super::Bins;
    use crate::stats::range::Range;

    const LE: [f64; 6] = [50.0, 100.0, 250.0, 500.0, 1000.0, f64::INFINITY];

    fn exponential(mean: f64, n: f64) -> Bins {
        Bins::cumulative(&LE.map(|le| (le, n * (1.0 - (-le / mean).exp()))))
    }

    #[test]
    fn a_coarse_quantile_is_the_linear_point_of_its_bucket() {
        // Mean 40 ms, so p99 is 184 ms; Prometheus says 100 + 150 (0.99 - F(100)) / (F(250) - F(100)).
        let found = exponential(40.0, 1000.0).quantile(0.99).unwrap();
        let f = |t: f64| 1.0 - (-t / 40.0).exp();
        let expected = 100.0 + 150.0 * (0.99 - f(100.0)) / (f(250.0) - f(100.0));
        assert!((found.point - expected).abs() < 1e-9, "{found:?}");
        assert_eq!((found.low, found.high), (100.0, 250.0));
        assert_eq!(found.to_string(), "≈ 235 ms (100 to 250 ms)");
    }

    #[test]
    fn fine_bins_give_a_plain_number() {
        let bins = Bins::detailed(&[(9.6, 0.1, 50), (22.0, 1.0, 49), (87.0, 1.0, 1)]);
        let found = [0.5, 0.9, 0.99, 1.0].map(|q| bins.quantile(q).unwrap().to_string());
        assert_eq!(found, ["9.7 ms", "22.8 ms", "23 ms", "88 ms"]);
        assert_eq!(Bins::counted(&[(2.0, 3.0), (1.0, 1.0)]).bins()[1].low, 1.0);
    }

    #[test]
    fn no_values_and_no_quantile_give_none() {
        let none =
            [Bins::default(), Bins::cumulative(&[(1.0, 0.0), (f64::INFINITY, 0.0)]), Bins::cumulative(&[(1.0, f64::NAN)])];
        for bins in none {
            assert_eq!((bins.quantile(0.5), bins.interval(0.5)), (None, None));
        }
        assert_eq!(exponential(40.0, 9.0).quantile(1.1), None);
        assert_eq!(exponential(40.0, 9.0).quantile(f64::NAN), None);
    }

    #[test]
    fn the_last_bucket_has_no_end() {
        let bins = Bins::cumulative(&[(10_000.0, 1.0), (f64::INFINITY, 100.0)]);
        assert_eq!(bins.quantile(0.5), Some(Range { low: 10_000.0, point: 10_000.0, high: f64::INFINITY }));
        assert_eq!(bins.quantile(0.5).unwrap().to_string(), "over 10 s");
    }

    #[test]
    fn differences_survive_a_reset_and_are_never_negative() {
        let earlier = Bins::detailed(&[(1.0, 0.1, 10), (2.0, 0.1, 5)]);
        let grown = Bins::detailed(&[(1.0, 0.1, 12), (2.0, 0.1, 5), (3.0, 0.1, 7)]);
        let counts = |bins: &Bins| bins.bins().iter().map(|bin| bin.count).collect::<Vec<_>>();
        assert_eq!(counts(&grown.since(&earlier)), [2.0, 0.0, 7.0]);
        // The total is larger, but a bin fell: Envoy started again and had much traffic.
        let reset = Bins::detailed(&[(1.0, 0.1, 40), (2.0, 0.1, 4)]);
        assert_eq!(reset.since(&earlier), reset);
        // A bin that is gone fell to 0.
        let gone = Bins::detailed(&[(1.0, 0.1, 10)]);
        assert_eq!(gone.since(&earlier), gone);
        assert_eq!(earlier.since(&Bins::default()), earlier);
        assert_eq!(earlier.since(&earlier).quantile(0.5), None);
    }

    #[test]
    fn falling_cumulative_counts_are_held() {
        let bins = Bins::cumulative(&[(1.0, 5.0), (2.0, 4.0), (f64::INFINITY, 6.0)]);
        assert_eq!(bins.bins().iter().map(|bin| bin.count).collect::<Vec<_>>(), [5.0, 0.0, 1.0]);
    }

    #[test]
    fn an_interval_is_that_of_the_order_statistics() {
        // 100 values of 1 to 100 in bins of 1: n q ± 1.96 √25 = 40.2 to 59.8.
        let bins = Bins::counted(&(1..=100).map(|at| (f64::from(at), 1.0)).collect::<Vec<_>>());
        assert_eq!(bins.interval(0.5), Some(Range { low: 40.0, point: 50.0, high: 60.0 }));
        // Within one bucket the bucket is all that is known.
        let found = exponential(40.0, 1e6).interval(0.99).unwrap();
        assert_eq!((found.low, found.high), (100.0, 250.0));
    }
}
