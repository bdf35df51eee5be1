//! What one change costs istiod: its CPU, and what each of many sidecars gets of it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Result;
use crate::sidecars::Sidecars;

/// Rounds that are counted. One goes before them: the first push of a kind fills caches.
const ROUNDS: usize = 8;
/// A round is over when no sidecar has got anything for so long.
const QUIET: Duration = Duration::from_millis(1500);

/// What one change costs, for each sidecar.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Push {
    /// CPU of istiod in milliseconds. With no change it takes next to none.
    pub(crate) cpu: f64,
    /// Bytes of answers.
    pub(crate) bytes: f64,
    /// Answers.
    pub(crate) answers: f64,
    /// From the change until the first sidecar has it, in milliseconds.
    pub(crate) first: f64,
    /// From the change until all of them have it.
    pub(crate) all: f64,
}

/// What many changes cost.
pub(crate) struct Pushes {
    rounds: Vec<Push>,
}

impl Pushes {
    /// Makes changes, each of which all sidecars get.
    pub(crate) fn measure(sidecars: &Sidecars, mut change: impl FnMut(usize) -> Result<()>) -> Result<Self> {
        let mut rounds = (0..=ROUNDS).map(|number| round(sidecars, || change(number))).collect::<Result<Vec<Push>>>()?;
        rounds.remove(0);
        Ok(Self { rounds })
    }

    /// A figure below which a share of the rounds lies.
    pub(crate) fn at(&self, share: f64, of: fn(&Push) -> f64) -> f64 {
        let mut values: Vec<f64> = self.rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        let place = share * values.len().saturating_sub(1) as f64;
        let value = |place: f64| values.get(place as usize).copied().unwrap_or_default();
        value(place.floor()) + (value(place.ceil()) - value(place.floor())) * place.fract()
    }

    /// The medians of all figures.
    pub(crate) fn median(&self) -> Push {
        let of = |of| self.at(0.5, of);
        Push {
            cpu: of(|round| round.cpu),
            bytes: of(|round| round.bytes),
            answers: of(|round| round.answers),
            first: of(|round| round.first),
            all: of(|round| round.all),
        }
    }
}

fn round(sidecars: &Sidecars, change: impl FnOnce() -> Result<()>) -> Result<Push> {
    let istiod = istiod()?;
    let mark = sidecars.since(0)?.len();
    let (before, begun) = (cpu(istiod)?, SystemTime::now().duration_since(UNIX_EPOCH)?);
    change()?;
    let first = sidecars.all_since(mark)?;
    let mut answers = sidecars.since(mark)?;
    loop {
        let seen = answers.len();
        std::thread::sleep(QUIET);
        answers = sidecars.since(mark)?;
        if answers.len() == seen {
            break;
        }
    }
    let spent = cpu(istiod)? - before;
    let times = || first.iter().map(|answer| (answer.nanoseconds as f64 - begun.as_nanos() as f64) / 1e6);
    let count = first.len() as f64;
    Ok(Push {
        cpu: spent / count,
        bytes: answers.iter().map(|answer| answer.bytes as f64).sum::<f64>() / count,
        answers: answers.len() as f64 / count,
        first: times().fold(f64::INFINITY, f64::min),
        all: times().fold(0.0, f64::max),
    })
}

fn istiod() -> Result<u32> {
    let run = std::env::var("RUN").map_err(|_| "RUN is not set; run tests/stack/run.sh")?;
    Ok(std::fs::read_to_string(format!("{run}/pid/istiod"))?.trim().parse()?)
}

/// What all threads of a process have taken so far, in milliseconds.
fn cpu(process: u32) -> Result<f64> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end meanwhile.
        let Ok(times) = std::fs::read_to_string(thread?.path().join("schedstat")) else { continue };
        nanoseconds += times.split(' ').next().ok_or("no time")?.parse::<u64>()?;
    }
    Ok(nanoseconds as f64 / 1e6)
}
