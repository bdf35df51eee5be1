//! Time of the worker on its core, for each request: slices of all rows take turns, each round in another order.
//!
//! A row is compared with `no filter` of the same round, and with other rows in the same round: what slows the machine for a while
//! slows both. What all others are compared with has three slices in a round, for its chance goes into all of them.

use crate::args::Plan;
use crate::fleet::{Fleet, Lane, apart};
use crate::numbers::{Summary, order};
use crate::{Result, progress};

/// Slices of the first row in each round.
const BASE_SLICES: usize = 3;

/// Nanoseconds of CPU for each request, by row and round.
pub(crate) fn measure(fleet: &mut Fleet, plan: &Plan, place: &str) -> Result<Vec<Vec<f64>>> {
    let count = fleet.rows.len();
    let mut lanes = (0..count).map(|row| Lane::open(fleet, row, plan.requests)).collect::<Result<Vec<_>>>()?;
    let worker = fleet.envoy.worker()?;
    let samples = apart(&fleet.envoy, move || {
        let mut samples = vec![Vec::new(); count];
        for round in 0..plan.rounds {
            progress(&format!("{place}: CPU, round {} of {}", round + 1, plan.rounds));
            let mut slices = vec![Vec::new(); count];
            for place in order(count + BASE_SLICES - 1, round) {
                let row = if place < count { place } else { 0 };
                if let (Some(lane), Some(slices)) = (lanes.get_mut(row), slices.get_mut(row)) {
                    let before = worker.nanoseconds()?;
                    lane.slice()?;
                    slices.push(worker.nanoseconds()?.saturating_sub(before) as f64 / plan.requests as f64);
                }
            }
            for (samples, slices) in samples.iter_mut().zip(&slices) {
                samples.push(Summary::of(slices).median);
            }
        }
        Ok(samples)
    })?;
    for row in 0..count {
        let slices = if row == 0 { BASE_SLICES } else { 1 };
        for _ in 0..plan.rounds * slices {
            fleet.sent(row, plan.requests);
        }
    }
    Ok(samples)
}
