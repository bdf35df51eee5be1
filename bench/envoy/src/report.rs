//! What was measured, what it comes to, and all of it as JSON.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::args::{Args, Plan};
use crate::fleet::Shares;
use crate::latency::Latency;
use crate::memory::Memory;
use crate::numbers::Summary;
use crate::rows::{OWN, Row};
use crate::updates::Updates;
use crate::{Result, envoy, machine};

/// The row that others are compared with.
const BASE: usize = 1;

/// Where it was measured, and how much.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Environment {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) envoy: String,
    pub(crate) processes: usize,
    pub(crate) rounds: usize,
    pub(crate) requests_per_slice: usize,
    pub(crate) latency_rounds: usize,
    pub(crate) requests_per_second: u32,
}

/// All that was measured; what was not asked for is empty.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) environment: Environment,
    /// Numbers and names of the rows.
    pub(crate) rows: Vec<(usize, String)>,
    /// Nanoseconds for each request, by row and round.
    pub(crate) cpu: Vec<Vec<f64>>,
    /// Median and 99th percentile in microseconds, by row and round.
    latency: Vec<Vec<(f64, f64)>>,
    /// Decisions of each row, by its number.
    shares: BTreeMap<usize, Shares>,
    pub(crate) memory: Vec<Memory>,
    pub(crate) updates: Vec<Updates>,
}

/// CPU of a row in microseconds for each request.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cost {
    /// All of it.
    pub(crate) total: Summary,
    /// Over no filter of the same round.
    pub(crate) added: Summary,
    /// The 10th percentile over that of no filter: both where the machine disturbed least.
    pub(crate) added_p10: f64,
    pub(crate) requests_per_cpu_second: f64,
}

/// How much more one row adds than another one.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Ratio {
    pub(crate) name: String,
    /// Over the rounds, each by itself.
    pub(crate) rounds: Summary,
    /// Of the 10th percentiles.
    pub(crate) p10: f64,
}

impl Report {
    /// An empty one.
    pub(crate) fn new(args: &Args) -> Result<Self> {
        let Plan { processes, rounds, requests, latency_rounds, rate, .. } = args.plan;
        let environment = Environment {
            processor: machine::processor(),
            cores: std::thread::available_parallelism()?.get(),
            envoy: envoy::version()?,
            processes,
            rounds: processes * rounds,
            requests_per_slice: requests,
            latency_rounds: processes * latency_rounds,
            requests_per_second: rate,
        };
        let (rows, cpu, latency, shares, memory, updates) = Default::default();
        Ok(Self { environment, rows, cpu, latency, shares, memory, updates })
    }

    /// Takes the names of the rows that are to be measured.
    pub(crate) fn begin(&mut self, rows: &[Row]) {
        self.rows = rows.iter().map(|row| (row.number, row.name.clone())).collect();
    }

    /// Takes the rounds of one more process.
    pub(crate) fn add_cpu(&mut self, rounds: Vec<Vec<f64>>) {
        extend(&mut self.cpu, rounds);
    }

    /// Takes the rounds of one more process.
    pub(crate) fn add_latency(&mut self, rounds: Vec<Vec<(f64, f64)>>) {
        extend(&mut self.latency, rounds);
    }

    /// Takes what the rows of one more process decided.
    pub(crate) fn add_shares(&mut self, shares: &BTreeMap<usize, Shares>) {
        for (number, shares) in shares {
            self.shares.entry(*number).or_default().add(*shares);
        }
    }

    /// Latency of the row at a place.
    pub(crate) fn latency(&self, index: usize) -> Option<Latency> {
        Some(Latency::of(self.latency.get(index)?, self.latency.first()?))
    }

    fn samples(&self, number: usize) -> Option<&[f64]> {
        let index = self.rows.iter().position(|(own, _)| *own == number)?;
        self.cpu.get(index).map(Vec::as_slice)
    }

    /// Microseconds that a row adds, by round.
    fn added(&self, number: usize) -> Option<Vec<f64>> {
        let base = self.samples(BASE)?;
        Some(self.samples(number)?.iter().zip(base).map(|(own, base)| (own - base) / 1e3).collect())
    }

    /// CPU of a row.
    pub(crate) fn cost(&self, number: usize) -> Option<Cost> {
        let micros = |number| Some(self.samples(number)?.iter().map(|nanos| nanos / 1e3).collect::<Vec<_>>());
        let total = Summary::of(&micros(number)?);
        let base = Summary::of(&micros(BASE)?);
        Some(Cost {
            total,
            added: Summary::of(&self.added(number)?),
            added_p10: total.p10 - base.p10,
            requests_per_cpu_second: 1e6 / total.median,
        })
    }

    /// What is of interest between rows; only where both were measured.
    pub(crate) fn ratios(&self) -> Vec<Ratio> {
        let pairs = [
            ("sticky cookie / bare module with the three host calls", 9, 8),
            ("sticky cookie / Lua, same job", 9, 3),
            ("sticky cookie / Lua, release by :authority", 9, 4),
            ("sticky cookie / SDK, usual way", 9, 6),
            ("20 header and URI rules / sticky cookie", 10, 9),
            ("1 000 literal rules / 1 literal rule", 12, 11),
            ("1 000 releases / 1 release", 13, 9),
            ("10 000 releases / 1 release", 14, 9),
            ("where others get cookies / where nobody does", 16, 9),
        ];
        let others = self.rows.iter().filter(|(number, _)| *number > OWN);
        let others = others.map(|(number, name)| (format!("{name} / Serin's"), *number, 9));
        let named = pairs.into_iter().map(|(name, top, bottom)| (name.to_owned(), top, bottom)).chain(others);
        named.filter_map(|(name, top, bottom)| self.ratio(name, top, bottom)).collect()
    }

    fn ratio(&self, name: String, top: usize, bottom: usize) -> Option<Ratio> {
        let (above, below) = (self.added(top)?, self.added(bottom)?);
        let rounds: Vec<f64> = above.iter().zip(&below).map(|(above, below)| above / below).collect();
        Some(Ratio { name, rounds: Summary::of(&rounds), p10: self.cost(top)?.added_p10 / self.cost(bottom)?.added_p10 })
    }

    /// All numbers.
    pub(crate) fn to_json(&self) -> Value {
        let row = |(index, (number, name)): (usize, &(usize, String))| {
            json!({
                "row": number, "name": name, "cpu": self.cost(*number), "latency": self.latency(index),
                "decided": self.shares.get(number),
            })
        };
        let rows: Vec<Value> = self.rows.iter().enumerate().map(row).collect();
        let all = json!({
            "units": {"cpu": "microseconds", "latency": "microseconds", "memory": "MiB", "updates": "milliseconds"},
            "environment": self.environment, "rows": rows, "ratios": self.ratios(), "memory": self.memory, "updates": self.updates,
        });
        rounded(all)
    }
}

/// Adds rounds to the rounds of each row.
fn extend<T>(rows: &mut Vec<Vec<T>>, rounds: Vec<Vec<T>>) {
    rows.resize_with(rounds.len(), Vec::new);
    for (row, rounds) in rows.iter_mut().zip(rounds) {
        row.extend(rounds);
    }
}

/// With three decimals: more is noise.
fn rounded(value: Value) -> Value {
    match value {
        Value::Number(number) if number.is_f64() => {
            json!(number.as_f64().map(|number| (number * 1e3).round() / 1e3))
        }
        Value::Array(values) => values.into_iter().map(rounded).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, rounded(value))).collect(),
        other => other,
    }
}
