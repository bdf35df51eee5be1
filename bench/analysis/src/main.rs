//! How often a good canary is rolled back, and how soon a bad one is. `make bench-analysis` runs it.
//!
//! Requests come at random (Poisson) and fail at random (binomial), from a seed that stands here: each run of the bench has the
//! same numbers. Every rule sees the same requests.

mod rules;

use std::error::Error;
use std::fmt::Write;

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand_distr::{Binomial, Distribution, Poisson};
use rules::{Argo, Flagger, Rule, Serin, TICK};
use serin_release::lifecycle::evidence::counts::Counts;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The page that has the tables, between two lines.
const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/explanation/analysis.md");
const MARKS: [&str; 2] = ["<!-- make bench-analysis -->\n", "<!-- end -->\n"];

/// A stream of requests.
struct Stream {
    title: &'static str,
    /// Requests each second, and the canary's part of them.
    rate: f64,
    weight: f64,
    minutes: u64,
    runs: u64,
    /// The parts that fail, of the canary's and of stable's requests, by the second.
    failing: fn(u64) -> [f64; 2],
}

/// Both versions are as good: who is rolled back is rolled back for nothing.
const GOOD: [Stream; 8] = [
    Stream {
        title: "100 requests/s, 5 %, both fail 0.1 %, 1 h",
        rate: 100.0,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |_| [0.001; 2],
    },
    Stream {
        title: "100 requests/s, 5 %, both fail 0.5 %, 1 h",
        rate: 100.0,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |_| [0.005; 2],
    },
    Stream {
        title: "10 requests/s, 5 %, both fail 0.5 %, 1 h",
        rate: 10.0,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |_| [0.005; 2],
    },
    Stream {
        title: "2 requests/s, 5 %, both fail 0.5 %, 1 h",
        rate: 2.0,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |_| [0.005; 2],
    },
    Stream {
        title: "20 requests/s, 10 %, both fail 1 %, 24 h",
        rate: 20.0,
        weight: 0.1,
        minutes: 1440,
        runs: 200,
        failing: |_| [0.01; 2],
    },
    Stream {
        title: "100 requests/s, 5 %, a shared dependency fails 10 % for 10 min",
        rate: 100.0,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |second| if (1200..1800).contains(&second) { [0.1; 2] } else { [0.002; 2] },
    },
    Stream { title: "no requests, 30 min", rate: 0.0, weight: 0.05, minutes: 30, runs: 200, failing: |_| [0.01; 2] },
    Stream {
        title: "0.2 requests/s, 5 %, both fail 0.2 %, 1 h",
        rate: 0.2,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |_| [0.002; 2],
    },
];

/// The second from which on the last canary is bad.
const LATER: u64 = 7200;

/// The canary is worse.
const BAD: [Stream; 8] = [
    Stream {
        title: "100 requests/s, 5 %: 20 % against 1 %",
        rate: 100.0,
        weight: 0.05,
        minutes: 30,
        runs: 1000,
        failing: |_| [0.2, 0.01],
    },
    Stream {
        title: "10 requests/s, 5 %: 20 % against 1 %",
        rate: 10.0,
        weight: 0.05,
        minutes: 60,
        runs: 1000,
        failing: |_| [0.2, 0.01],
    },
    Stream {
        title: "1 request/s, 5 %: 20 % against 1 %",
        rate: 1.0,
        weight: 0.05,
        minutes: 240,
        runs: 500,
        failing: |_| [0.2, 0.01],
    },
    Stream {
        title: "100 requests/s, 5 %: all fail",
        rate: 100.0,
        weight: 0.05,
        minutes: 30,
        runs: 500,
        failing: |_| [1.0, 0.001],
    },
    Stream {
        title: "100 requests/s, 5 %: 3 % against 0.5 %",
        rate: 100.0,
        weight: 0.05,
        minutes: 120,
        runs: 500,
        failing: |_| [0.03, 0.005],
    },
    Stream {
        title: "100 requests/s, 5 %: 1.5 % against 0.5 %",
        rate: 100.0,
        weight: 0.05,
        minutes: 240,
        runs: 300,
        failing: |_| [0.015, 0.005],
    },
    Stream {
        title: "1000 requests/s, 5 %: 0.2 % against 0.05 %",
        rate: 1000.0,
        weight: 0.05,
        minutes: 120,
        runs: 300,
        failing: |_| [0.002, 0.0005],
    },
    Stream {
        title: "good for 2 h at 0.5 %, then 20 %, 100 requests/s, 5 %",
        rate: 100.0,
        weight: 0.05,
        minutes: 150,
        runs: 300,
        failing: |second| if second < LATER { [0.005; 2] } else { [0.2, 0.005] },
    },
];

/// When a rule rolled back: the seconds since the canary was bad, and how many of its requests had failed by then.
#[derive(Clone, Copy)]
struct Rollback {
    second: u64,
    failures: u64,
}

/// The rules, in the order of the columns.
const RULES: [&str; 4] = ["Argo", "Flagger", "Serin", "Serin, design effect 1"];

fn rules(stream: &Stream) -> [Box<dyn Rule>; 4] {
    let planned = stream.minutes * 60;
    [
        Box::new(Argo::default()),
        Box::new(Flagger::default()),
        Box::new(Serin::new(planned, 2.0)),
        Box::new(Serin::new(planned, 1.0)),
    ]
}

/// The rollbacks of each rule, in the runs that had one.
fn play(stream: &Stream) -> Result<[Vec<Rollback>; 4]> {
    let mut found: [Vec<Rollback>; 4] = Default::default();
    for run in 0..stream.runs {
        let mut random = StdRng::seed_from_u64(run);
        let mut rules = rules(stream);
        let mut rollbacks = [None; 4];
        let mut failures = 0;
        for tick in 1..=stream.minutes * 60 / TICK {
            let [bad_canary, bad_stable] = (stream.failing)((tick - 1) * TICK);
            let canary = draw(&mut random, stream.rate * stream.weight, bad_canary)?;
            let stable = draw(&mut random, stream.rate * (1.0 - stream.weight), bad_stable)?;
            failures += canary.bad;
            for (rule, rollback) in rules.iter_mut().zip(&mut rollbacks).filter(|(_, rollback)| rollback.is_none()) {
                if rule.tick(tick, canary, stable) {
                    *rollback = Some(Rollback { second: tick * TICK, failures });
                }
            }
            if rollbacks.iter().all(Option::is_some) {
                break;
            }
        }
        found.iter_mut().zip(rollbacks).for_each(|(found, rollback)| found.extend(rollback));
    }
    Ok(found)
}

/// The requests of a tick.
fn draw(random: &mut StdRng, rate: f64, failing: f64) -> Result<Counts> {
    let mean = rate * TICK as f64;
    let all = if mean > 0.0 { Poisson::new(mean)?.sample(random) as u64 } else { 0 };
    Ok(Counts { bad: Binomial::new(all, failing)?.sample(random), all })
}

/// The middle one and the one that nine of ten do not exceed.
fn median_and_p90(mut numbers: Vec<u64>) -> Option<(u64, u64)> {
    numbers.sort_unstable();
    let at = |part: usize| numbers.get((numbers.len().saturating_sub(1)) * part / 10).copied();
    Some((at(5)?, at(9)?))
}

fn table(head: &str, streams: &[Stream], cell: impl Fn(&Stream, &[Rollback]) -> String) -> Result<String> {
    let mut text = format!("| {head} | {} |\n|---|{}\n", RULES.join(" | "), "---|".repeat(RULES.len()));
    for stream in streams {
        eprintln!("{}", stream.title);
        let cells = play(stream)?.map(|rollbacks| cell(stream, &rollbacks));
        writeln!(text, "| {} | {} |", stream.title, cells.join(" | "))?;
    }
    Ok(text)
}

fn main() -> Result<()> {
    let part =
        |stream: &Stream, rollbacks: &[Rollback]| format!("{:.1} %", 100.0 * rollbacks.len() as f64 / stream.runs as f64);
    let good = table("Both are as good: rolled back for nothing", &GOOD, part)?;
    let bad = table("The canary is worse: median (p90) of seconds, failed requests", &BAD, |stream, rollbacks| {
        let start = if (stream.failing)(0) == (stream.failing)(LATER) { 0 } else { LATER };
        let early = rollbacks.iter().filter(|rollback| rollback.second <= start).count();
        let late: Vec<Rollback> = rollbacks.iter().copied().filter(|rollback| rollback.second > start).collect();
        let seconds = median_and_p90(late.iter().map(|rollback| rollback.second - start).collect());
        let failures = median_and_p90(late.iter().map(|rollback| rollback.failures).collect());
        let found = match seconds.zip(failures) {
            Some(((median, p90), _)) if start > 0 => format!("{median} ({p90})"),
            Some(((median, p90), (failures, _))) => format!("{median} ({p90}), {failures}"),
            None => "never".to_owned(),
        };
        let part = |count: usize| 100.0 * count as f64 / stream.runs as f64;
        match (early, late.len() as u64 + early as u64) {
            (1.., _) => format!("{found}; {:.0} % for nothing before", part(early)),
            (_, all) if all < stream.runs && all > 0 => format!("{found}; in {:.0} %", part(late.len())),
            _ => found,
        }
    })?;
    let tables = format!("{good}\n{bad}");
    print!("{tables}");
    if std::env::args().any(|argument| argument == "--save") {
        save(&tables)?;
    }
    Ok(())
}

/// Writes the tables into their page.
fn save(tables: &str) -> Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    let [begin, end] = MARKS;
    let (before, rest) = page.split_once(begin).ok_or("the page has no place for the tables")?;
    let (_, after) = rest.split_once(end).ok_or("the place for the tables has no end")?;
    std::fs::write(PAGE, format!("{before}{begin}\n{tables}\n{end}{after}"))?;
    Ok(())
}
