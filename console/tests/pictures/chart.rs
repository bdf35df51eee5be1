use serin_console::chart::{Caption, Line, Mark, Series, ShareBar, Span, line, share_bar, sparkline, waterfall};

use super::check;

const CAPTION: Caption<'_> = Caption { id: "c1", title: "Requests & <b>errors</b>", desc: "v1: 14.3 rps; v2: 6.9 rps" };
/// 2025-07-31 14:03:20 UTC.
const FROM: i64 = 1_753_970_600;

fn series(range: std::ops::Range<i64>, value: impl Fn(i64) -> Option<f64>) -> Vec<(i64, Option<f64>)> {
    range.map(|at| (FROM + at * 60, value(at))).collect()
}

fn chart<'a>(series: &'a [Series<'a>]) -> Line<'a> {
    Line { caption: CAPTION, from: FROM, to: FROM + 1800, gap: 90, unit: "rps", top: None, series, marks: &[] }
}

#[test]
fn a_line_has_gaps_where_no_data_is() {
    let v1 = series(0..31, |at| (!(10..15).contains(&at)).then_some(14.0 + (at % 3) as f64 * 0.3));
    let mut v2 = series(-5..40, |at| if at == 20 { Some(f64::NAN) } else { Some(6.9) });
    v2.retain(|(at, _)| !(FROM + 300..FROM + 600).contains(at) || *at == FROM + 420);
    let series = [
        Series { name: "v1", class: "series-1", points: &v1 },
        Series { name: "v2 \"<new>\"", class: "series-2", points: &v2 },
        Series { name: "v3", class: "series-3", points: &[] },
    ];
    let marks = [Mark { at: FROM + 900, name: "v2: 10 % to 30 %" }, Mark { at: FROM - 1, name: "before" }];
    check("line", &line(&Line { marks: &marks, ..chart(&series) }));
}

#[test]
fn a_line_without_data_says_so() {
    let points = series(0..3, |_| None);
    check("line-empty", &line(&chart(&[Series { name: "v1", class: "series-1", points: &points }])));
    assert!(line(&chart(&[])).contains(">no data</text>"));
}

#[test]
fn a_share_has_its_own_top() {
    let points = series(0..31, |at| Some(if at < 15 { 10.0 } else { 130.0 }));
    let series = [Series { name: "v2", class: "series-2", points: &points }];
    check("line-percent", &line(&Line { unit: "%", top: Some(100.0), ..chart(&series) }));
}

#[test]
fn a_span_of_no_time_is_a_picture_too() {
    let series = [Series { name: "v1", class: "series-1", points: &[(FROM, Some(1.0)), (FROM, Some(f64::MAX))] }];
    let found = line(&Line { to: FROM, ..chart(&series) });
    assert!(found.ends_with("</svg>\n") && !found.contains("inf"), "{found}");
}

#[test]
fn a_sparkline_has_gaps_and_single_points() {
    let values = [Some(1.0), Some(3.0), None, Some(2.0), None, None, Some(2.5), Some(2.0), Some(f64::INFINITY)];
    check("sparkline", &sparkline(&CAPTION, "series-1", &values));
    for values in [&[][..], &[None], &[Some(0.0)], &[Some(0.0), Some(0.0)], &[Some(-1.0), Some(1.0)]] {
        let found = sparkline(&CAPTION, "series-1", values);
        assert!(!found.contains("NaN") && !found.contains("\"-"), "{found}");
    }
}

#[test]
fn a_share_bar_shows_intended_and_observed() {
    let bar = ShareBar { caption: CAPTION, class: "series-2", intended: 0.3, observed: Some((0.287, 0.26, 0.315)) };
    check("share-bar", &share_bar(&bar));
    check("share-bar-no-data", &share_bar(&ShareBar { observed: None, ..bar }));
    let odd = share_bar(&ShareBar { intended: 7.0, observed: Some((f64::NAN, 2.0, -1.0)), ..bar });
    assert!(odd.contains("x1=\"196\"") && !odd.contains("NaN") && odd.contains("width=\"0\""), "{odd}");
}

#[test]
fn a_waterfall_shows_each_span() {
    let span = |label, depth, start, duration, error| Span { label, depth, start, duration, error };
    let spans = [
        span("ingress GET /reviews/8", 0, 1_000_000, 10_570, false),
        span("router outbound|9080|v2|reviews.bookinfo.svc.cluster.local egress", 1, 1_000_070, 9_090, false),
        span("reviews <GET>", 2, 1_000_500, 8_000, true),
        span("ratings", 3, 1_009_000, 1_400, false),
        span("a moment", 40, 1_010_570, 0, false),
    ];
    check("waterfall", &waterfall(&CAPTION, &spans));
    check("waterfall-empty", &waterfall(&CAPTION, &[]));
    let late = waterfall(&CAPTION, &[span("a", 0, u64::MAX, u64::MAX, false), span("b", usize::MAX, 0, 0, true)]);
    assert!(late.ends_with("</svg>\n"));
}
