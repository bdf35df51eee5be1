//! Several series over time.

use crate::chart::caption::Caption;
use crate::chart::scale::{tick, ticks, times};
use crate::chart::svg::Svg;
use crate::number::plain;

/// A chart of series over time.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// What a screen reader says.
    pub caption: Caption<'a>,
    /// The first time, in Unix seconds. What is outside of both times is not drawn.
    pub from: i64,
    /// The last time, in Unix seconds.
    pub to: i64,
    /// Values that are further apart, in seconds, are not joined: nobody knows what was between them.
    pub gap: i64,
    /// The unit of the values, as it stands behind a number; empty for none.
    pub unit: &'a str,
    /// The top of the axis, for example 100 of a share in percent; by the largest value where there is none. The axis begins at 0.
    pub top: Option<f64>,
    /// The series.
    pub series: &'a [Series<'a>],
    /// What happened meanwhile.
    pub marks: &'a [Mark<'a>],
}

/// One series.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// Its name, shown when it is pointed at.
    pub name: &'a str,
    /// Its class, for example `series-2`.
    pub class: &'a str,
    /// Its values by time in Unix seconds, in order; `None`, as what is not a number, is a gap.
    pub points: &'a [(i64, Option<f64>)],
}

/// Something that happened at a time, such as a change of weights.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    /// When, in Unix seconds.
    pub at: i64,
    /// What, shown when it is pointed at.
    pub name: &'a str,
}

/// The size of the whole, and the edges of the part with the series in it. Narrow, so that texts are still read on a phone.
const SIZE: (f64, f64) = (480.0, 180.0);
const LEFT: f64 = 52.0;
const RIGHT: f64 = 472.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 154.0;

/// Draws a chart of series over time. Where data is missing there is a gap, and where there is none at all it says so.
#[must_use]
pub fn line(chart: &Line<'_>) -> String {
    let plot = Plot::new(chart);
    let mut svg = Svg::new("chart line", SIZE.0, SIZE.1, &chart.caption);
    plot.axes(&mut svg);
    for mark in chart.marks.iter().filter(|mark| (chart.from..=chart.to).contains(&mark.at)) {
        let x = plot.x(mark.at);
        svg.begin("g", &[("class", "mark".into())]);
        svg.text("title", &[], mark.name);
        svg.stroke("mark-line", (x, TOP), (x, BOTTOM));
        svg.end();
    }
    let mut any = false;
    for series in chart.series {
        any |= plot.series(&mut svg, series);
    }
    if !any {
        svg.label("empty", (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM)), "middle", "no data");
    }
    svg.finish()
}

struct Plot<'a> {
    chart: &'a Line<'a>,
    values: Vec<f64>,
    top: f64,
}

impl<'a> Plot<'a> {
    fn new(chart: &'a Line<'a>) -> Self {
        let all =
            chart.series.iter().flat_map(|series| series.points).filter(|(at, _)| (chart.from..=chart.to).contains(at));
        let most = all.filter_map(|(_, value)| value.filter(|value| value.is_finite())).fold(0.0, f64::max);
        let values = ticks(chart.top.unwrap_or(most));
        let top = values.last().copied().unwrap_or(1.0);
        Self { chart, values, top }
    }

    fn x(&self, at: i64) -> f64 {
        let span = self.chart.to.saturating_sub(self.chart.from).max(1) as f64;
        LEFT + (RIGHT - LEFT) * at.saturating_sub(self.chart.from) as f64 / span
    }

    fn y(&self, value: f64) -> f64 {
        BOTTOM - (BOTTOM - TOP) * (value / self.top).clamp(0.0, 1.0)
    }

    fn axes(&self, svg: &mut Svg) {
        svg.begin("g", &[("class", "axis".into()), ("aria-hidden", "true".into())]);
        for value in &self.values {
            let y = self.y(*value);
            svg.stroke("grid", (LEFT, y), (RIGHT, y));
            svg.label("tick", (LEFT - 6.0, y + 4.0), "end", &tick(*value, self.chart.unit));
        }
        svg.label("tick", (LEFT - 6.0, BOTTOM + 18.0), "end", "UTC");
        for (at, text) in times(self.chart.from, self.chart.to) {
            let x = self.x(at);
            svg.stroke("tick-line", (x, BOTTOM), (x, BOTTOM + 4.0));
            // At the edges a text would be cut off.
            let anchor = match x {
                x if x < LEFT + 16.0 => "start",
                x if x > RIGHT - 16.0 => "end",
                _ => "middle",
            };
            svg.label("tick", (x, BOTTOM + 18.0), anchor, &text);
        }
        svg.end();
    }

    /// Draws a series, and says whether it has any value.
    fn series(&self, svg: &mut Svg, series: &Series<'_>) -> bool {
        let parts = self.parts(series.points);
        svg.begin("g", &[("class", format!("series {}", series.class).as_str().into())]);
        svg.text("title", &[], series.name);
        for part in &parts {
            match part.as_slice() {
                // A line of one point is not seen.
                [(x, y)] => svg.leaf("circle", &[("cx", (*x).into()), ("cy", (*y).into()), ("r", 2.0.into())]),
                part => svg.leaf("path", &[("d", path(part).as_str().into()), ("fill", "none".into())]),
            }
        }
        svg.end();
        !parts.is_empty()
    }

    /// The points of a series, in parts between which there is a gap.
    fn parts(&self, points: &[(i64, Option<f64>)]) -> Vec<Vec<(f64, f64)>> {
        let mut parts: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut last = None;
        for (at, value) in points.iter().filter(|(at, _)| (self.chart.from..=self.chart.to).contains(at)) {
            let Some(value) = value.filter(|value| value.is_finite()) else {
                last = None;
                continue;
            };
            let point = (self.x(*at), self.y(value));
            match (last, parts.last_mut()) {
                (Some(before), Some(part)) if at.saturating_sub(before) <= self.chart.gap => part.push(point),
                _ => parts.push(vec![point]),
            }
            last = Some(*at);
        }
        parts
    }
}

/// A path from point to point.
pub(crate) fn path(points: &[(f64, f64)]) -> String {
    let step =
        |(at, (x, y)): (usize, &(f64, f64))| format!("{}{} {}", if at == 0 { "M" } else { "L" }, plain(*x), plain(*y));
    points.iter().enumerate().map(step).collect()
}
