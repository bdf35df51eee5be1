//! How much evidence is needed, for what is planned.

use crate::lifecycle::evidence::{Evidence, WINDOW};

/// A plan for longer than a week needs no more evidence than one of a week.
const MOST_WINDOWS: u64 = 2016;

/// What a whole release looks at: the more there is, the more evidence is needed at each of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    metrics: usize,
    steps: usize,
    windows: u64,
    false_alarms: f64,
}

impl Plan {
    /// The plan of a number of metrics and of steps that take `planned` seconds in all, each counted as one at least. With a good canary
    /// `false_alarms`, above 0 and below 1, is the largest chance that a comparison with stable calls it harmful at any time.
    #[must_use]
    pub fn new(metrics: usize, steps: usize, planned: u64, false_alarms: f64) -> Self {
        let steps = steps.max(1);
        let windows = planned.div_ceil(WINDOW).min(MOST_WINDOWS).max(steps as u64);
        Self { metrics: metrics.max(1), steps, windows, false_alarms }
    }

    /// How many windows of the fast test there are.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// The evidence that is needed for harm: one half of the false alarms is for the slow tests of each step, the other half for the
    /// fast tests of each window.
    #[must_use]
    pub fn needed(&self) -> Evidence {
        let metrics = 2.0 * self.metrics as f64 / self.false_alarms;
        Evidence { slow: (metrics * self.steps as f64).ln(), fast: (metrics * self.windows as f64).ln() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_metrics_steps_and_windows_need_more_evidence() {
        let needed = |metrics, steps, planned| {
            let Evidence { slow, fast } = Plan::new(metrics, steps, planned, 0.01).needed();
            [slow.exp().round() as u64, fast.exp().round() as u64]
        };
        assert_eq!(needed(2, 5, 86_400), [2000, 115_200]);
        assert_eq!(needed(1, 1, 1), [200, 200]);
        assert_eq!(needed(1, 1, 300), [200, 200]);
        assert_eq!(needed(1, 1, 301), [200, 400]);
        // At least a window for each step, at most a week of windows.
        assert_eq!(needed(1, 3, 0), [600, 600]);
        assert_eq!(needed(1, 1, 30 * 86_400), [200, 403_200]);
        assert_eq!(needed(0, 0, 0), [200, 200]);
        assert_eq!(Plan::new(1, 1, 301, 0.01).windows(), 2);
        assert!((Plan::new(2, 5, 0, 0.05).needed().slow - 400f64.ln()).abs() < 1e-12);
    }
}
