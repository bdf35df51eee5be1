//! The thresholds of all verdicts.

/// From which figures on a verdict is given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// With fewer distinct keys a share has no verdict.
    pub keys: u64,
    /// With fewer requests a share has no verdict.
    pub requests: u64,
    /// So many windows in a row outside of the interval are a verdict.
    pub windows: usize,
    /// From this ratio of errors on, from 0 to 1, a version is failing.
    pub failing: f64,
    /// From this ratio of errors on, from 0 to 1, a version is degraded.
    pub degraded: f64,
}

impl Default for Thresholds {
    /// 30 keys, 200 requests, 3 windows, 10 %, 0.1 %.
    fn default() -> Self {
        Self { keys: 30, requests: 200, windows: 3, failing: 0.1, degraded: 0.001 }
    }
}
