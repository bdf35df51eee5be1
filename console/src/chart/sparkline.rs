//! A series without axes, beside a number.

use crate::chart::caption::Caption;
use crate::chart::svg::Svg;
use crate::number::plain;

const WIDTH: f64 = 100.0;
const HEIGHT: f64 = 24.0;

/// Draws a small line of values at even distances, from 0 to the largest, of a class such as `series-2`. `None`, as what is not a number, is a
/// gap.
#[must_use]
pub fn sparkline(caption: &Caption<'_>, class: &str, values: &[Option<f64>]) -> String {
    let mut svg = Svg::new("chart sparkline", WIDTH, HEIGHT, caption);
    let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
    let most = values.iter().filter_map(finite).fold(0.0, f64::max);
    let step = (WIDTH - 4.0) / values.len().saturating_sub(1).max(1) as f64;
    let mut path = String::new();
    let mut before = false;
    let mut alone = Vec::new();
    for (at, value) in values.iter().enumerate() {
        let Some(value) = finite(value) else {
            before = false;
            continue;
        };
        let (x, y) =
            (2.0 + step * at as f64, HEIGHT - 2.0 - (HEIGHT - 4.0) * if most > 0.0 { (value / most).max(0.0) } else { 0.0 });
        let after = values.get(at + 1).and_then(finite).is_some();
        if before || after {
            path.push_str(&format!("{}{} {}", if before { "L" } else { "M" }, plain(x), plain(y)));
        } else {
            alone.push((x, y));
        }
        before = true;
    }
    svg.begin("g", &[("class", format!("series {class}").as_str().into())]);
    if !path.is_empty() {
        svg.leaf("path", &[("d", path.as_str().into()), ("fill", "none".into())]);
    }
    for (x, y) in alone {
        svg.leaf("circle", &[("cx", x.into()), ("cy", y.into()), ("r", 1.5.into())]);
    }
    svg.finish()
}
