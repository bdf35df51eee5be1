//! Both engines in turn, in slices so short that whatever else the machine does slows both alike.

use std::error::Error;
use std::hint::black_box;
use std::time::Instant;

use serde_json::{Value, json};

use crate::peer::{CALLS, CHECKED, Pair, Work};

/// How many slices each engine gets.
pub(crate) const SLICES: usize = 4_000;

/// What one kind of work took.
pub(crate) struct Comparison {
    /// Its name.
    pub(crate) name: &'static str,
    /// Median nanoseconds for a call of our engine.
    pub(crate) decide: f64,
    /// Median nanoseconds for a call of the peer.
    pub(crate) yggdrasil: f64,
    /// The time of our slice by that of the peer's beside it: first quartile, median, third quartile.
    pub(crate) ratio: [f64; 3],
}

/// Compares both engines at all kinds of work.
pub(crate) fn compare() -> Result<Vec<Comparison>, Box<dyn Error>> {
    let pair = Pair::new()?;
    Work::ALL.into_iter().map(|work| of(&pair, work)).collect()
}

fn of(pair: &Pair, work: Work) -> Result<Comparison, Box<dyn Error>> {
    for _ in 0..SLICES / 10 {
        black_box((pair.decide(work), pair.yggdrasil(work)));
    }
    let (mut decide, mut yggdrasil, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for slice in 0..SLICES {
        // Each goes first as often as the other.
        let ((ours, decided), (theirs, enabled)) = if slice % 2 == 0 {
            let ours = timed(|| pair.decide(work));
            (ours, timed(|| pair.yggdrasil(work)))
        } else {
            let theirs = timed(|| pair.yggdrasil(work));
            (timed(|| pair.decide(work)), theirs)
        };
        if decided != enabled {
            return Err(format!("{}: decide counts {decided} users, yggdrasil {enabled}", work.name()).into());
        }
        decide.push(ours);
        yggdrasil.push(theirs);
        ratios.push(ours / theirs);
    }
    let median = |times: &mut Vec<f64>| quantile(times, 0.5) / CALLS as f64;
    Ok(Comparison {
        name: work.name(),
        decide: median(&mut decide),
        yggdrasil: median(&mut yggdrasil),
        ratio: [0.25, 0.5, 0.75].map(|share| quantile(&mut ratios, share)),
    })
}

/// Nanoseconds that a round took, and what it counted.
fn timed(round: impl Fn() -> usize) -> (f64, usize) {
    let start = Instant::now();
    let count = black_box(round());
    (start.elapsed().as_nanos() as f64, count)
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let at = share * values.len().saturating_sub(1) as f64;
    values.get(at.round() as usize).copied().unwrap_or(f64::NAN)
}

/// The comparisons as text, a line each.
pub(crate) fn text(comparisons: &[Comparison]) -> String {
    let mut text = format!(
        "{CHECKED} of {CHECKED} answers are equal\n\ntime of decide / time of yggdrasil, in {SLICES} pairs of slices of {CALLS} calls\n\
         \x20 {:<26}{:>8}{:>18}{:>14}{:>14}\n",
        "", "median", "quartiles", "decide", "yggdrasil"
    );
    for Comparison { name, decide, yggdrasil, ratio: [first, median, third] } in comparisons {
        let quartiles = format!("{first:.3} to {third:.3}");
        text += &format!("  {name:<26}{median:>8.3}{quartiles:>18}{decide:>11.1} ns{yggdrasil:>11.1} ns\n");
    }
    text
}

/// The comparisons as JSON.
pub(crate) fn json(comparisons: &[Comparison]) -> Value {
    let rows = comparisons.iter().map(|Comparison { name, decide, yggdrasil, ratio: [first, median, third] }| {
        json!({
            "name": name,
            "ratio": {"firstQuartile": round(*first), "median": round(*median), "thirdQuartile": round(*third)},
            "nanoseconds": {"decide": round(*decide), "yggdrasil": round(*yggdrasil)},
        })
    });
    json!({
        "equalAnswers": CHECKED,
        "slices": SLICES,
        "callsInASlice": CALLS,
        "decideByYggdrasil": rows.collect::<Vec<_>>(),
    })
}

/// To three decimals: more is noise.
pub(crate) fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
