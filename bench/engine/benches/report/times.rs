//! What the last run of criterion measured.

use std::error::Error;
use std::fs;
use std::io::ErrorKind;

use serde_json::{Value, json};
use serin_bench_engine::{criterion_directory, document};

use crate::pairs::round;
use crate::scenario::Scenario;

/// Nanoseconds of one operation: the median and its interval of 95 % confidence.
pub(crate) struct Time {
    median: f64,
    interval: [f64; 2],
    /// Megabytes a second, where an operation reads bytes.
    throughput: Option<f64>,
}

/// The time of a scenario; none when criterion has not measured it.
pub(crate) fn of(scenario: Scenario) -> Result<Option<Time>, Box<dyn Error>> {
    let file = criterion_directory()?.join(scenario.to_string()).join("new/estimates.json");
    let text = match fs::read(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let estimates: Value = serde_json::from_slice(&text)?;
    let number = |path: &str| {
        let number = estimates.pointer(path).and_then(Value::as_f64);
        let number = number.ok_or_else(|| format!("`{}` has no number at `{path}`", file.display()))?;
        Ok::<f64, Box<dyn Error>>(number / scenario.operations() as f64)
    };
    let median = number("/median/point_estimate")?;
    let interval = [number("/median/confidence_interval/lower_bound")?, number("/median/confidence_interval/upper_bound")?];
    let throughput = match scenario {
        Scenario::Parse(size) => Some(document(size).len() as f64 / median * 1000.0),
        _ => None,
    };
    Ok(Some(Time { median, interval, throughput }))
}

impl Time {
    /// The median, with the throughput if there is one, and the interval.
    pub(crate) fn text(&self) -> (String, String) {
        let [low, high] = self.interval;
        let interval = format!("{} to {}", length(low), length(high));
        match self.throughput {
            Some(throughput) => (length(self.median), format!("{throughput:.0} MB/s, {interval}")),
            None => (length(self.median), interval),
        }
    }

    /// The time as JSON.
    pub(crate) fn json(&self) -> Value {
        let (median, interval) = (round(self.median), self.interval.map(round));
        match self.throughput {
            Some(rate) => json!({"median": median, "interval": interval, "megabytesPerSecond": round(rate)}),
            None => json!({"median": median, "interval": interval}),
        }
    }
}

fn length(nanoseconds: f64) -> String {
    match nanoseconds {
        short if short < 10_000.0 => format!("{short:.1} ns"),
        short if short < 10_000_000.0 => format!("{:.1} µs", short / 1e3),
        long => format!("{:.1} ms", long / 1e6),
    }
}
