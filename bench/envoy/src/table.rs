//! The table as text.

use std::fmt::Write;

use anstyle::Style;

use crate::report::Report;

const BOLD: Style = Style::new().bold();
/// Widths of columns; the wide ones hold three numbers.
const NARROW: usize = 18;
const WIDE: usize = 26;

const DIM: Style = Style::new().dimmed();

/// Everything that was measured, as a text with colour.
pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let environment = &report.environment;
    line(
        &mut text,
        DIM,
        &format!("Envoy {}, one worker; {}, {} cores", environment.envoy, environment.processor, environment.cores),
    );
    if !report.rows.is_empty() {
        rows(&mut text, report);
    }
    if !report.memory.is_empty() {
        heading(&mut text, "memory, MiB", &["one worker", "each more"], NARROW);
        for memory in &report.memory {
            row(
                &mut text,
                &memory.name,
                &[format!("{:.1}", memory.one_worker), format!("{:.2}", memory.each_worker)],
                NARROW,
            );
        }
    }
    if !report.updates.is_empty() {
        heading(
            &mut text,
            "updates, ms: median / p90 / max",
            &["first effect", "longest latency", "without update", "difference"],
            WIDE,
        );
        for updates in &report.updates {
            let three = |of: &crate::numbers::Summary| format!("{:.1} / {:.1} / {:.1}", of.median, of.p90, of.max);
            let difference = format!("{:.1}", updates.stall.median - updates.control.median);
            row(
                &mut text,
                &updates.name,
                &[three(&updates.effect), three(&updates.stall), three(&updates.control), difference],
                WIDE,
            );
        }
    }
    let ratios = report.ratios();
    if !ratios.is_empty() || !report.memory.is_empty() || !report.updates.is_empty() {
        heading(&mut text, "ratios of added CPU; stalls; memory", &["median", "quartiles", "of p10s"], NARROW);
    }
    for ratio in ratios {
        let spread = format!("{:.2} to {:.2}", ratio.rounds.q1, ratio.rounds.q3);
        row(&mut text, &ratio.name, &[format!("{:.2}", ratio.rounds.median), spread, format!("{:.2}", ratio.p10)], NARROW);
    }
    summary(&mut text, report);
    text
}

fn rows(text: &mut String, report: &Report) {
    let environment = &report.environment;
    heading(text, "added to a request, µs", &["CPU median", "quartiles", "CPU p10", "requests/CPU s", "p50", "p99"], NARROW);
    for (index, (number, name)) in report.rows.iter().enumerate() {
        let dash = || "-".to_owned();
        let mut cells = match report.cost(*number) {
            Some(cost) => vec![
                format!("{:.2}", cost.added.median),
                format!("{:.2} to {:.2}", cost.added.q1, cost.added.q3),
                format!("{:.2}", cost.added_p10),
                format!("{:.0}", cost.requests_per_cpu_second),
            ],
            None => vec![dash(), dash(), dash(), dash()],
        };
        match report.latency(index) {
            Some(latency) => {
                cells.extend([format!("{:.1}", latency.added_p50.median), format!("{:.1}", latency.added_p99.median)])
            }
            None => cells.extend([dash(), dash()]),
        }
        row(text, &format!("{number:>2} {name}"), &cells, NARROW);
    }
    let mut base = Vec::new();
    if let Some(cost) = report.cost(1) {
        base.push(format!("{:.1} µs CPU (p10 {:.1})", cost.total.median, cost.total.p10));
    }
    if let Some(latency) = report.latency(0) {
        base.push(format!("p50 {:.0} µs, p99 {:.0} µs", latency.p50.median, latency.p99.median));
    }
    line(text, DIM, &format!("no filter itself: {}", base.join("; ")));
    if !report.cpu.is_empty() {
        let rounds = format!("{} rounds of {} requests", environment.rounds, environment.requests_per_slice);
        let place = format!("in {} processes, over no filter of the same round", environment.processes);
        line(text, DIM, &format!("CPU: the worker's time on its core, {rounds} {place}"));
    }
    if report.latency(0).is_some() {
        let rate = format!("at {} requests/s, from when a request is due", environment.requests_per_second);
        let rounds = format!("median of {} rounds over no filter of the same round", environment.latency_rounds);
        line(text, DIM, &format!("p50, p99: {rate}; {rounds}"));
    }
    line(text, DIM, "clusters have no endpoints: a request is routed, then answered 503");
}

/// What stands beside the ratios: stalls and memory.
fn summary(text: &mut String, report: &Report) {
    for updates in &report.updates {
        let difference = updates.stall.median - updates.control.median;
        row(text, &format!("longest stall by an update, {}", updates.name), &[format!("{difference:+.1} ms")], NARROW);
    }
    for memory in &report.memory {
        row(text, &format!("memory of a worker, {}", memory.name), &[format!("{:.2} MiB", memory.each_worker)], NARROW);
    }
}

fn heading(text: &mut String, title: &str, columns: &[&str], width: usize) {
    text.push('\n');
    line(text, BOLD, &cells(title, columns, width));
}

fn row(text: &mut String, name: &str, columns: &[String], width: usize) {
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    line(text, Style::new(), &cells(name, &columns, width));
}

fn cells(name: &str, columns: &[&str], width: usize) -> String {
    let mut text = format!("{name:<56}");
    for column in columns {
        // Writing into a text cannot fail.
        let _ = write!(text, "{column:>width$}");
    }
    text
}

fn line(text: &mut String, style: Style, content: &str) {
    let _ = writeln!(text, "{style}{content}{style:#}");
}
