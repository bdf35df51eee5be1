//! Instructions for one operation, which other load on the machine does not change.
//!
//! A scenario runs twice under callgrind, the second time with more rounds; what the second run had more, divided by the
//! rounds that it had more, is a round without start and preparation.

use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::io::ErrorKind;
use std::process::Command;

use serin_bench_engine::{Question, document};
use serin_config::Split;

use crate::peer::{CALLS, Pair, Work};
use crate::scenario::Scenario;

/// There is no valgrind here.
#[derive(Debug)]
pub(crate) struct NoValgrind;

impl fmt::Display for NoValgrind {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        text.write_str("instructions are counted by valgrind, and it is missing; on Debian and Ubuntu: apt install valgrind")
    }
}

impl Error for NoValgrind {}

/// Instructions for one operation of each scenario, by name.
pub(crate) fn count(scenarios: &[Scenario]) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
    match Command::new("valgrind").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(NoValgrind.into()),
        other => other?,
    };
    let mut counts = Vec::new();
    for scenario in scenarios {
        let name = scenario.to_string();
        eprintln!("counting {name}");
        let (few, many) = scenario.rounds();
        let more = collected(&name, many)?.saturating_sub(collected(&name, few)?);
        counts.push((name, more / (u64::from(many - few) * scenario.operations())));
    }
    Ok(counts)
}

/// Instructions of a whole run of this program.
fn collected(name: &str, rounds: u32) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", name, &rounds.to_string()])
        .output()?;
    let told = String::from_utf8_lossy(&output.stderr);
    // `==4711== Collected : 123456`
    let count = told.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    match count {
        Some(count) if output.status.success() => Ok(count),
        _ => Err(format!("`{name}` did not run under valgrind ({}):\n{told}", output.status).into()),
    }
}

/// Runs a scenario some rounds; this is what gets counted.
pub(crate) fn run(scenario: Scenario, rounds: u32) -> Result<(), Box<dyn Error>> {
    match scenario {
        Scenario::Releases(size) => ask(&Question::of_releases(size)?, rounds),
        Scenario::Rules(size) => ask(&Question::of_rules(size)?, rounds),
        Scenario::Parse(size) => {
            let text = document(size);
            for _ in 0..rounds {
                drop(black_box(Split::parse(black_box(text.as_bytes()))?));
            }
        }
        Scenario::Decide(work) => pair(work, rounds, Pair::decide)?,
        Scenario::Yggdrasil(work) => pair(work, rounds, Pair::yggdrasil)?,
    }
    Ok(())
}

fn ask(question: &Question, rounds: u32) {
    let destination = question.destination();
    for _ in 0..rounds {
        black_box(question.answer(black_box(&destination)));
    }
}

fn pair(work: Work, rounds: u32, round: fn(&Pair, Work) -> usize) -> Result<(), Box<dyn Error>> {
    let pair = Pair::new()?;
    for _ in 0..rounds {
        black_box(round(&pair, work));
    }
    Ok(())
}

impl Scenario {
    /// How many rounds the two runs do. More where preparation is long, since hash tables make its length vary.
    fn rounds(self) -> (u32, u32) {
        match self {
            Self::Releases(_) | Self::Rules(_) | Self::Parse(1) => (1_000, 11_000),
            Self::Parse(size) if size <= 1_000 => (10, 60),
            Self::Parse(_) => (2, 7),
            Self::Decide(_) | Self::Yggdrasil(_) => (1, 11),
        }
    }

    /// How many operations a round is.
    pub(crate) fn operations(self) -> u64 {
        match self {
            Self::Releases(_) | Self::Rules(_) | Self::Parse(_) => 1,
            Self::Decide(_) | Self::Yggdrasil(_) => CALLS as u64,
        }
    }
}
