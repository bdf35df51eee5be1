//! Time of the worker on its core, for each request: slices of all rows take turns, each round in another order.
//!
//! A slice is some thousand requests, in waves of two on each of sixteen connections, so that waking up and system calls do not drown
//! what a filter costs. Two is as many as Envoy answers at once: beyond that it takes a pipeline for an attack and closes it. A row is
//! compared with `no filter` of the same round, and with other rows in the same round: what slows the machine for a while slows both.

use crate::args::Plan;
use crate::client::Connection;
use crate::fleet::{Fleet, STATUS, apart};
use crate::numbers::order;
use crate::requests::Request;
use crate::{Result, progress};

/// Requests in one write.
const BATCH: usize = 2;
/// Connections that are written to before the first answer is read.
const CONNECTIONS: usize = 16;

/// Nanoseconds of CPU for each request, by row and round.
pub(crate) fn measure(fleet: &mut Fleet, plan: &Plan) -> Result<Vec<Vec<f64>>> {
    let count = fleet.rows.len();
    let mut lanes = Vec::new();
    for (row, address) in fleet.addresses.iter().enumerate() {
        let connections = (0..CONNECTIONS).map(|_| Connection::open(*address)).collect::<Result<Vec<_>>>()?;
        let requests = fleet.requests(row).get(..plan.requests).unwrap_or_default();
        let join = |batch: &[Request]| batch.iter().flat_map(|one| one.bytes.clone()).collect();
        let batches: Vec<Vec<u8>> = requests.chunks(BATCH).map(join).collect();
        lanes.push((connections, batches));
    }
    let worker = fleet.envoy.worker()?;
    let total = plan.warmups + plan.rounds.div_ceil(plan.launches);
    let samples = apart(&fleet.envoy, move || {
        let mut samples = vec![Vec::new(); count];
        for round in 0..total {
            progress(&format!("CPU: round {} of {total}", round + 1));
            for row in order(count, round) {
                let Some((connections, batches)) = lanes.get_mut(row) else { continue };
                let before = worker.nanoseconds()?;
                for wave in batches.chunks(CONNECTIONS) {
                    for (connection, bytes) in connections.iter_mut().zip(wave) {
                        connection.send(bytes)?;
                    }
                    for (connection, _) in connections.iter_mut().zip(wave) {
                        connection.receive(BATCH, STATUS)?;
                    }
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
