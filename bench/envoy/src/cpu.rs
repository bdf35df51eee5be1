//! Time of the worker on its core, for each request: slices of all rows take turns, each round in another order.
//!
//! A slice is some thousand requests in pipelined batches, so that system calls do not drown what a filter costs. A row is compared
//! with `no filter` of the same round, and with other rows in the same round: what slows the machine for a while slows both.

use crate::args::Plan;
use crate::client::Connection;
use crate::fleet::{Fleet, STATUS, apart};
use crate::numbers::order;
use crate::{Result, progress};

/// Requests in one write.
const BATCH: usize = 32;

/// Nanoseconds of CPU for each request, by row and round.
pub(crate) fn measure(fleet: &mut Fleet, plan: &Plan) -> Result<Vec<Vec<f64>>> {
    let count = fleet.rows.len();
    let batches = |row: usize| -> Vec<(Vec<u8>, usize)> {
        let requests = fleet.requests(row).get(..plan.requests).unwrap_or_default();
        let join =
            |batch: &[crate::requests::Request]| (batch.iter().flat_map(|one| one.bytes.clone()).collect(), batch.len());
        requests.chunks(BATCH).map(join).collect()
    };
    let mut lanes = Vec::new();
    for (row, address) in fleet.addresses.iter().enumerate() {
        lanes.push((Connection::open(*address)?, batches(row)));
    }
    let worker = fleet.envoy.worker()?;
    let total = plan.warmups + plan.rounds;
    let samples = apart(&fleet.envoy, move || {
        let mut samples = vec![Vec::new(); count];
        for round in 0..total {
            progress(&format!("CPU: round {} of {total}", round + 1));
            for row in order(count, round) {
                let Some((connection, batches)) = lanes.get_mut(row) else { continue };
                let before = worker.nanoseconds()?;
                for (bytes, requests) in batches.iter() {
                    connection.batch(bytes, *requests, STATUS)?;
                }
                let spent = worker.nanoseconds()?.saturating_sub(before) as f64 / plan.requests as f64;
                if let Some(samples) = samples.get_mut(row).filter(|_| round >= plan.warmups) {
                    samples.push(spent);
                }
            }
        }
        Ok(samples)
    })?;
    for row in 0..count {
        for _ in 0..total {
            fleet.sent(row, plan.requests);
        }
    }
    fleet.verify()?;
    Ok(samples)
}
