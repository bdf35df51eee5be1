//! The share of a version: intended and observed.

use crate::chart::caption::Caption;
use crate::chart::svg::Svg;

/// The shares of a version, from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub struct ShareBar<'a> {
    /// What a screen reader says.
    pub caption: Caption<'a>,
    /// The class of the version, for example `series-2`.
    pub class: &'a str,
    /// The intended share.
    pub intended: f64,
    /// The observed share with the low and the high end of its interval; none where there is no data.
    pub observed: Option<(f64, f64, f64)>,
}

const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 20.0;
const LEFT: f64 = 4.0;
const RIGHT: f64 = 196.0;

/// Draws a bar from 0 to 100 % with a mark where the share is intended to be, a point where it is, and the point's interval. The mark and the
/// point differ in form, not in colour alone.
#[must_use]
pub fn share_bar(bar: &ShareBar<'_>) -> String {
    let x = |share: f64| LEFT + (RIGHT - LEFT) * if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let mut svg = Svg::new("chart share-bar", WIDTH, HEIGHT, &bar.caption);
    svg.begin("g", &[("class", bar.class.into())]);
    svg.rect("track", (LEFT, 8.0), (RIGHT - LEFT, 4.0));
    if let Some((_, low, high)) = bar.observed {
        svg.rect("interval", (x(low), 7.0), (x(high) - x(low), 6.0));
    }
    let at = x(bar.intended);
    svg.stroke("intended", (at, 1.0), (at, 19.0));
    if let Some((point, _, _)) = bar.observed {
        svg.leaf("circle", &[("class", "point".into()), ("cx", x(point).into()), ("cy", 10.0.into()), ("r", 4.0.into())]);
    }
    svg.finish()
}
