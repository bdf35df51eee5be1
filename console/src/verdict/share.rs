//! Whether a version gets the share that it is intended to get.

use std::fmt;

use serde::Serialize;

use crate::stats::{batch_means, wilson};
use crate::verdict::thresholds::Thresholds;

/// The share of a version in one window: from 0 to 1, with its interval of 95 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Observed {
    /// The share.
    pub share: f64,
    /// The low end of the interval.
    pub low: f64,
    /// The high end of the interval.
    pub high: f64,
    /// Distinct keys of all versions, where keys are seen.
    pub keys: Option<u64>,
    /// Requests of all versions.
    pub requests: u64,
}

impl Observed {
    /// By distinct keys, or buckets: `hits` of `all` went to the version. The interval is Wilson's over keys, since requests of one key are not
    /// independent. `None` without keys.
    #[must_use]
    pub fn by_keys(hits: u64, all: u64, requests: u64) -> Option<Self> {
        let (low, high) = wilson(hits, all)?;
        Some(Self { share: hits as f64 / all as f64, low, high, keys: Some(all), requests })
    }

    /// By the version's share in each of 20 or more sub-windows, where keys are not seen: their mean with its t-interval. `None` with fewer.
    #[must_use]
    pub fn by_windows(shares: &[f64], requests: u64) -> Option<Self> {
        let (share, low, high) = batch_means(shares)?;
        Some(Self { share, low: low.max(0.0), high: high.min(1.0), keys: None, requests })
    }

    fn is_little(&self, thresholds: &Thresholds) -> bool {
        self.requests < thresholds.requests || self.keys.is_some_and(|keys| keys < thresholds.keys)
    }
}

/// What is thought of a share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShareVerdict {
    /// The intended share is within the interval, or has not been outside for long enough.
    AsIntended,
    /// The version gets less than it is intended to.
    Fewer,
    /// The version gets more than it is intended to.
    More,
    /// There are too few keys or requests to say.
    TooLittleTraffic,
    /// Nothing is known, and why.
    NoData(String),
}

impl fmt::Display for ShareVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsIntended => f.write_str("as intended"),
            Self::Fewer => f.write_str("fewer"),
            Self::More => f.write_str("more"),
            Self::TooLittleTraffic => f.write_str("too little traffic"),
            Self::NoData(why) => write!(f, "no data ({why})"),
        }
    }
}

/// The verdict of a share by its windows, the newest last; each is what was seen, or why nothing was. `intended` is from 0 to 1. One interval
/// of 95 % in 20 misses by chance, so only windows in a row that miss on the same side count.
///
/// ```
/// use serin_console::verdict::{Observed, ShareVerdict, Thresholds, share};
///
/// let window = Ok(Observed::by_keys(10, 100, 500).unwrap());
/// let found = share(0.3, &[window.clone(), window.clone(), window], &Thresholds::default());
/// assert_eq!(found, ShareVerdict::Fewer);
/// ```
#[must_use]
pub fn share(intended: f64, windows: &[Result<Observed, String>], thresholds: &Thresholds) -> ShareVerdict {
    match windows.last() {
        None => return ShareVerdict::NoData("no window has ended yet".to_owned()),
        Some(Err(why)) => return ShareVerdict::NoData(why.clone()),
        Some(Ok(observed)) if observed.is_little(thresholds) => return ShareVerdict::TooLittleTraffic,
        Some(Ok(_)) => {}
    }
    let needed = thresholds.windows.max(1);
    let Some(from) = windows.len().checked_sub(needed) else { return ShareVerdict::AsIntended };
    let all = |outside: &dyn Fn(&Observed) -> bool| {
        let counts =
            |window: &Result<Observed, String>| matches!(window, Ok(seen) if !seen.is_little(thresholds) && outside(seen));
        windows.iter().skip(from).all(counts)
    };
    if all(&|seen| seen.high < intended) {
        ShareVerdict::Fewer
    } else if all(&|seen| seen.low > intended) {
        ShareVerdict::More
    } else {
        ShareVerdict::AsIntended
    }
}

#[cfg(test)]
mod tests {
    use super::{Observed, ShareVerdict, share};
    use crate::verdict::thresholds::Thresholds;

    type Window = Result<Observed, String>;

    fn keys(hits: u64, all: u64, requests: u64) -> Window {
        Ok(Observed::by_keys(hits, all, requests).unwrap())
    }

    #[test]
    fn a_share_has_the_verdict_of_its_windows() {
        let (few, fit, many) = (keys(10, 100, 500), keys(30, 100, 500), keys(60, 100, 500));
        let down: Window = Err("Prometheus has not answered for 40 s".to_owned());
        let (no_keys, no_requests) = (keys(0, 29, 500), keys(10, 100, 199));
        for (windows, expected) in [
            (vec![], "no data (no window has ended yet)"),
            (vec![&fit], "as intended"),
            (vec![&few, &few, &few], "fewer"),
            (vec![&fit, &many, &many, &many], "more"),
            (vec![&few, &few], "as intended"),
            (vec![&few, &fit, &few], "as intended"),
            (vec![&many, &few, &few], "as intended"),
            (vec![&few, &few, &no_requests, &few], "as intended"),
            (vec![&few, &down, &few, &few], "as intended"),
            (vec![&few, &few, &few, &no_keys], "too little traffic"),
            (vec![&no_requests], "too little traffic"),
            (vec![&few, &few, &few, &down], "no data (Prometheus has not answered for 40 s)"),
        ] {
            let windows: Vec<Window> = windows.into_iter().cloned().collect();
            assert_eq!(share(0.3, &windows, &Thresholds::default()).to_string(), expected, "{windows:?}");
        }
    }

    #[test]
    fn verdicts_are_words_in_json() {
        let verdicts = [ShareVerdict::AsIntended, ShareVerdict::TooLittleTraffic, ShareVerdict::NoData("why".to_owned())];
        assert_eq!(
            serde_json::json!(verdicts),
            serde_json::json!(["as-intended", "too-little-traffic", {"no-data": "why"}])
        );
    }

    #[test]
    fn thirty_keys_and_200_requests_are_enough() {
        let window = keys(0, 30, 200);
        assert_eq!(share(0.9, &[window.clone(), window.clone(), window], &Thresholds::default()), ShareVerdict::Fewer);
    }

    #[test]
    fn nothing_and_all_can_be_intended() {
        let (none, all) = (keys(0, 1000, 5000), keys(1000, 1000, 5000));
        let thresholds = Thresholds::default();
        assert_eq!(share(0.0, &[none.clone(), none.clone(), none], &thresholds), ShareVerdict::AsIntended);
        assert_eq!(share(1.0, &[all.clone(), all.clone(), all.clone()], &thresholds), ShareVerdict::AsIntended);
        assert_eq!(share(0.0, &[all.clone(), all.clone(), all], &thresholds), ShareVerdict::More);
    }

    #[test]
    fn windows_stand_for_keys_where_these_are_not_seen() {
        let shares: Vec<f64> = (0..20).map(|at| if at % 2 == 0 { 0.28 } else { 0.32 }).collect();
        let observed = Observed::by_windows(&shares, 4000).unwrap();
        assert!(
            (observed.share - 0.3).abs() < 1e-12 && observed.low > 0.29 && observed.high < 0.31 && observed.keys.is_none()
        );
        assert_eq!(Observed::by_windows(&shares[1..], 4000), None);
        assert_eq!(Observed::by_keys(0, 0, 10), None);
        let mut edge = [0.0; 20];
        edge[0] = 0.1;
        assert_eq!(Observed::by_windows(&edge, 10).unwrap().low, 0.0);
    }
}
