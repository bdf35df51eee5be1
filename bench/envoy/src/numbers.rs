//! Percentiles, summaries, and an order that is other in each round and the same in each run.

use serde::Serialize;

/// What many measurements come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Summary {
    pub(crate) p10: f64,
    pub(crate) q1: f64,
    pub(crate) median: f64,
    pub(crate) q3: f64,
    pub(crate) p90: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Summarises values in any order; of none, zeros.
    pub(crate) fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |share| percentile(&sorted, share);
        Self { p10: at(0.1), q1: at(0.25), median: at(0.5), q3: at(0.75), p90: at(0.9), max: at(1.0) }
    }
}

/// The value below which a share of sorted values lies, between two of them in proportion.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let low = sorted.get(place.floor() as usize).copied().unwrap_or_default();
    let high = sorted.get(place.ceil() as usize).copied().unwrap_or(low);
    low + (high - low) * (place - place.floor())
}

/// The numbers below a count in the order of a round.
pub(crate) fn order(count: usize, round: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = round as u64;
    for last in (1..count).rev() {
        state = mixed(state);
        order.swap(last, (state % (last as u64 + 1)) as usize);
    }
    order
}

/// A number that looks like chance (splitmix64, Steele and others, 2014).
pub(crate) fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_lie_between_values_in_proportion() {
        let values = [5.0, 1.0, 2.0, 4.0, 3.0];
        let summary = Summary::of(&values);
        assert_eq!((summary.q1, summary.median, summary.q3, summary.max), (2.0, 3.0, 4.0, 5.0));
        assert!((summary.p10 - 1.4).abs() < 1e-9 && (summary.p90 - 4.6).abs() < 1e-9);
        assert_eq!(Summary::of(&[7.0]).p10, 7.0);
        assert_eq!(Summary::of(&[]), Summary::default());
    }

    #[test]
    fn each_round_has_every_row_once_in_another_order() {
        let (first, second) = (order(14, 0), order(14, 1));
        assert_ne!(first, second);
        assert_eq!(second, order(14, 1));
        let mut sorted = first;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..14).collect::<Vec<_>>());
    }
}
