//! The pictures on the page of a release.

use jiff::Timestamp;

use crate::chart::{self, Caption, Line, Series, ShareBar, line, share_bar};
use crate::figures::{Point, ReleaseFigures};
use crate::snapshot::Subject;
use crate::verdict::Observed;
use crate::{number, shown};

/// A chart with its title.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Its title.
    pub title: String,
    /// The picture.
    pub svg: String,
}

/// The share of a version: intended, and seen.
pub(super) fn bar((index, version): (usize, &str), intended: f64, observed: Option<&Observed>) -> String {
    let seen = observed.map(|seen| format!(", {} seen", number::percent(seen.share))).unwrap_or_default();
    let desc = format!("{version}: {} intended{seen}", number::percent(intended));
    share_bar(&ShareBar {
        caption: Caption { id: &format!("share-{index}"), title: "Share", desc: &desc },
        class: &format!("series-{}", index + 1),
        intended,
        observed: observed.map(|seen| (seen.share, seen.low, seen.high)),
    })
}

/// The rate of the last half hour; nothing where there are no points.
pub(super) fn sparkline((index, version): (usize, &str), past: Option<&Vec<Point>>) -> String {
    let Some(past) = past.filter(|past| past.len() > 1) else { return String::new() };
    let (first, last) = (past.first().map_or(0.0, |point| point.rate), past.last().map_or(0.0, |point| point.rate));
    let desc = format!("{version}: from {} to {}", shown::rate(first), shown::rate(last));
    let caption = Caption { id: &format!("rate-{index}"), title: "Requests of the last half hour", desc: &desc };
    let rates: Vec<_> = past.iter().map(|point| Some(point.rate)).collect();
    chart::sparkline(&caption, &format!("series-{}", index + 1), &rates)
}

/// Half an hour, in seconds.
const HALF_HOUR: i64 = 1800;
/// Points that are further apart, in seconds, are not joined.
const GAP: i64 = 30;

/// Requests a second and success of the last half hour; nothing where too little was counted for a line.
pub(super) fn charts(subject: &Subject, figures: &ReleaseFigures, now: Timestamp) -> Vec<Chart> {
    if figures.past.values().all(|points| points.len() < 2) {
        return Vec::new();
    }
    let versions = subject.versions();
    let classes: Vec<String> = (1..=versions.len()).map(|number| format!("series-{number}")).collect();
    let draw = |id: &str, title: &str, unit: &str, top: Option<f64>, value: &dyn Fn(&Point) -> Option<f64>| {
        let points = |version: &str| -> Vec<(i64, Option<f64>)> {
            let past = figures.past.get(version).into_iter().flatten();
            past.map(|point| (point.at.as_second(), value(point))).collect()
        };
        let all: Vec<Vec<(i64, Option<f64>)>> = versions.iter().map(|version| points(version)).collect();
        let of = |((version, class), points)| Series { name: version, class, points };
        let series: Vec<Series<'_>> = versions
            .iter()
            .zip(&classes)
            .map(|(version, class)| (*version, class.as_str()))
            .zip(all.iter().map(Vec::as_slice))
            .map(of)
            .collect();
        let desc = format!("{title} of {}", versions.join(", "));
        let (from, to) = (now.as_second() - HALF_HOUR, now.as_second());
        let caption = Caption { id, title, desc: &desc };
        let svg = line(&Line { caption, from, to, gap: GAP, unit, top, series: &series, marks: &[] });
        Chart { title: title.to_owned(), svg }
    };
    vec![
        draw("chart-rate", "Requests a second", "/s", None, &|point| Some(point.rate)),
        draw("chart-success", "Success", "%", Some(100.0), &|point| point.success.map(|part| 100.0 * part)),
    ]
}
