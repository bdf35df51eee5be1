//! The command line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::Result;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
what Serin costs in a real Envoy: a table, and docs/bench.{txt,json,svg}

  --quick              few rounds, to see that it works; writes no files
  --processes N        Envoys for CPU and latency, one after the other
  --rounds N           rounds of the CPU part in each of them
  --rows 1,3,8         these rows; row 1 and those of --filter are always there
  --only PART          cpu, latency, memory or updates
  --filter NAME=PATH   measure another filter.wasm too; may be repeated
  --out DIR            write the files there; the default is docs/, for whole runs only

ENVOY_BIN names the Envoy.
";

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Cpu,
    Latency,
    Memory,
    Updates,
}

/// How much is measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// Envoys, one after the other: where code and memory come to lie differs from one to the next, and costs a row microseconds.
    pub(crate) processes: usize,
    /// Rounds of the CPU part in each of them; a round has slices of every row.
    pub(crate) rounds: usize,
    /// Slices of each row that are not counted: code is compiled and caches fill.
    pub(crate) warmups: usize,
    /// Requests in a slice of the CPU part.
    pub(crate) requests: usize,
    /// Rounds of the latency part in each process.
    pub(crate) latency_rounds: usize,
    /// Requests in a slice of the latency part.
    pub(crate) latency_requests: usize,
    /// Requests a second where the rate is fixed.
    pub(crate) rate: u32,
    /// How often memory is measured.
    pub(crate) memory_rounds: usize,
    /// Updates of a document.
    pub(crate) updates: usize,
}

/// The command line.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) plan: Plan,
    pub(crate) quick: bool,
    /// Numbers of rows; all when empty.
    pub(crate) rows: BTreeSet<usize>,
    /// Other filters: name and place.
    pub(crate) filters: Vec<(String, PathBuf)>,
    only: Option<Part>,
    out: Option<PathBuf>,
}

const WHOLE: Plan = Plan {
    processes: 8,
    rounds: 10,
    warmups: 2,
    requests: 4000,
    latency_rounds: 1,
    latency_requests: 2000,
    rate: 2000,
    memory_rounds: 3,
    updates: 30,
};

const QUICK: Plan = Plan {
    processes: 2,
    rounds: 5,
    warmups: 2,
    requests: 2000,
    latency_rounds: 1,
    latency_requests: 500,
    rate: 2000,
    memory_rounds: 1,
    updates: 3,
};

impl Args {
    /// Reads the arguments; `None` asks for help.
    pub(crate) fn read(mut given: impl Iterator<Item = String>) -> Result<Option<Self>> {
        let mut args = Self { plan: WHOLE, quick: false, rows: BTreeSet::new(), filters: Vec::new(), only: None, out: None };
        let (mut processes, mut rounds) = (None, None);
        while let Some(option) = given.next() {
            let mut value = || given.next().ok_or(format!("`{option}` needs a value"));
            match option.as_str() {
                "--help" | "-h" => return Ok(None),
                "--quick" => args.quick = true,
                "--processes" => processes = Some(value()?.parse::<usize>()?.max(1)),
                "--rounds" => rounds = Some(value()?.parse::<usize>()?.max(1)),
                "--rows" => {
                    args.rows = value()?.split(',').map(|row| row.trim().parse()).collect::<Result<_, _>>()?;
                }
                "--only" => args.only = Some(part(&value()?)?),
                "--filter" => {
                    let value = value()?;
                    let (name, path) = value.split_once('=').ok_or("`--filter` is NAME=PATH")?;
                    args.filters.push((name.to_owned(), std::path::absolute(path)?));
                }
                "--out" => args.out = Some(value()?.into()),
                _ => return Err(format!("unknown option `{option}`; `--help` lists all").into()),
            }
        }
        if args.quick {
            args.plan = QUICK;
        }
        args.plan.processes = processes.unwrap_or(args.plan.processes);
        args.plan.rounds = rounds.unwrap_or(args.plan.rounds);
        Ok(Some(args))
    }

    /// Whether a part is asked for.
    pub(crate) fn does(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    /// Where files go: what is published is a whole run and nothing else.
    pub(crate) fn out(&self) -> Option<PathBuf> {
        let whole = self.plan == WHOLE && self.rows.is_empty() && self.filters.is_empty() && self.only.is_none();
        let docs = || whole.then(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs"));
        self.out.clone().or_else(docs)
    }
}

fn part(name: &str) -> Result<Part> {
    match name {
        "cpu" => Ok(Part::Cpu),
        "latency" => Ok(Part::Latency),
        "memory" => Ok(Part::Memory),
        "updates" => Ok(Part::Updates),
        _ => Err(format!("`--only` is cpu, latency, memory or updates, not `{name}`").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Args {
        Args::read(text.split_whitespace().map(str::to_owned)).unwrap().unwrap()
    }

    #[test]
    fn only_a_whole_run_is_published_unasked() {
        assert!(read("").out().unwrap().ends_with("docs"));
        for text in ["--quick", "--rows 1,8", "--only cpu", "--filter a=b.wasm", "--rounds 3"] {
            assert_eq!(read(text).out(), None, "{text}");
            assert_eq!(read(&format!("{text} --out x")).out(), Some("x".into()), "{text}");
        }
    }

    #[test]
    fn parts_and_rows_are_chosen() {
        let args = read("--rows 3,8 --only latency --quick --rounds 7");
        assert_eq!(args.rows, BTreeSet::from([3, 8]));
        assert!(args.does(Part::Latency) && !args.does(Part::Cpu));
        assert_eq!((args.plan.rounds, args.plan.requests), (7, QUICK.requests));
        assert!(Args::read(["--only".to_owned(), "x".to_owned()].into_iter()).is_err());
    }
}
