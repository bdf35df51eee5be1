//! The mean of something that is measured window by window.

use crate::stats::student;

/// Fewer windows give no interval.
pub const WINDOWS: usize = 20;

/// The mean over windows with its interval of 95 %: `(mean, low, high)`, in the unit of the values. Each window counts once, however many
/// requests it had: requests of one user follow one another and are not independent, windows nearly are (batch means, A. M. Law, "Simulation
/// modeling and analysis", chapter 9). The interval is Student's. `None` with fewer than 20 windows, or where one is not a number.
///
/// ```
/// use serin_console::stats::batch_means;
///
/// assert_eq!(batch_means(&[0.3; 20]).map(|(mean, _, _)| mean), Some(0.3));
/// assert_eq!(batch_means(&[0.3; 19]), None);
/// ```
#[must_use]
pub fn batch_means(windows: &[f64]) -> Option<(f64, f64, f64)> {
    if windows.len() < WINDOWS || windows.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let n = windows.len() as f64;
    // Around the first value, so that equal windows have no spread at all.
    let first = windows.first().copied()?;
    let mean = first + windows.iter().map(|value| value - first).sum::<f64>() / n;
    let variance = windows.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let half = student::quantile(windows.len() as u64 - 1) * (variance / n).sqrt();
    Some((mean, mean - half, mean + half))
}

#[cfg(test)]
mod tests {
    use super::batch_means;

    #[test]
    fn the_interval_is_the_closed_form() {
        // 1 to 20: mean 10.5, variance 35, t(19) = 2.093024.
        let windows: Vec<f64> = (1..=20).map(f64::from).collect();
        let (mean, low, high) = batch_means(&windows).unwrap();
        let half = 2.093_024_054 * (35.0_f64 / 20.0).sqrt();
        assert_eq!(mean, 10.5);
        assert!((low - (10.5 - half)).abs() < 1e-8 && (high - (10.5 + half)).abs() < 1e-8, "{low} {high}");
    }

    #[test]
    fn few_windows_and_what_is_no_number_give_none() {
        assert_eq!([batch_means(&[]), batch_means(&[1.0; 19])], [None, None]);
        assert_eq!(batch_means(&[0.1; 20]), Some((0.1, 0.1, 0.1)));
        let mut windows = [0.5; 30];
        for value in [f64::NAN, f64::INFINITY] {
            windows[7] = value;
            assert_eq!(batch_means(&windows), None);
        }
    }
}
