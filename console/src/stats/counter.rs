//! What counters grew by between two readings.

/// What a counter grew by. One that fell was reset when its process started again, so all it has now came since (as Prometheus counts, less
/// the extrapolation): never negative. A series that was not there before has 0 there.
///
/// ```
/// use serin_console::stats::increase;
///
/// assert_eq!([increase(10, 14), increase(10, 3), increase(0, 5)], [4, 3, 5]);
/// ```
#[must_use]
pub fn increase(before: u64, now: u64) -> u64 {
    now.checked_sub(before).unwrap_or(now)
}

/// [`increase`] per second. `None` where no time passed.
///
/// ```
/// use serin_console::stats::rate;
///
/// assert_eq!([rate(10, 14, 2.0), rate(10, 14, 0.0)], [Some(2.0), None]);
/// ```
#[must_use]
pub fn rate(before: u64, now: u64, seconds: f64) -> Option<f64> {
    (seconds > 0.0 && seconds.is_finite()).then(|| increase(before, now) as f64 / seconds)
}
