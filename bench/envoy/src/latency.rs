//! Latency at a fixed rate, well below what the worker can do: slices of all rows take turns.
//!
//! Requests are sent when they are due, whether or not others are answered; their time counts from when they were due. One thread
//! looks at all connections without ever sleeping, since a timer of the system is later than what is measured.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::args::Plan;
use crate::client::Connection;
use crate::fleet::{Fleet, STATUS, apart};
use crate::numbers::{Summary, order, percentile};
use crate::requests::Request;
use crate::{Result, progress};

const CONNECTIONS: usize = 4;

/// Latency of a row in microseconds, over its rounds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Latency {
    pub(crate) p50: Summary,
    pub(crate) p99: Summary,
    /// Over no filter of the same round.
    pub(crate) added_p50: Summary,
    pub(crate) added_p99: Summary,
}

impl Latency {
    /// Of the medians and 99th percentiles of a row's rounds, and those of no filter.
    pub(crate) fn of(own: &[(f64, f64)], base: &[(f64, f64)]) -> Self {
        let added: Vec<(f64, f64)> = own.iter().zip(base).map(|(own, base)| (own.0 - base.0, own.1 - base.1)).collect();
        let p50 = |pairs: &[(f64, f64)]| Summary::of(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
        let p99 = |pairs: &[(f64, f64)]| Summary::of(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>());
        Self { p50: p50(own), p99: p99(own), added_p50: p50(&added), added_p99: p99(&added) }
    }
}

/// The median and the 99th percentile in microseconds, by row and round.
pub(crate) fn measure(fleet: &mut Fleet, plan: &Plan, place: &str) -> Result<Vec<Vec<(f64, f64)>>> {
    let count = fleet.rows.len();
    let shared = &*fleet;
    let rounds = apart(&fleet.envoy, move || {
        let mut rounds = vec![Vec::new(); count];
        for round in 0..plan.latency_rounds {
            progress(&format!("{place}: latency, round {} of {}", round + 1, plan.latency_rounds));
            for row in order(count, round) {
                let Some(address) = shared.addresses.get(row) else { continue };
                let requests = shared.requests(row).get(..plan.latency_requests).unwrap_or_default();
                let mut times = slice(*address, requests, plan.rate)?;
                times.sort_by(f64::total_cmp);
                if let Some(of) = rounds.get_mut(row) {
                    of.push((percentile(&times, 0.5), percentile(&times, 0.99)));
                }
            }
        }
        Ok(rounds)
    })?;
    for row in 0..count {
        for _ in 0..plan.latency_rounds {
            fleet.sent(row, plan.latency_requests);
        }
    }
    Ok(rounds)
}

/// Microseconds of each request at a rate; those of the first twentieth are left out.
fn slice(address: SocketAddr, requests: &[Request], rate: u32) -> Result<Vec<f64>> {
    let mut free = VecDeque::new();
    for _ in 0..CONNECTIONS {
        let mut connection = Connection::open(address)?;
        connection.never_wait()?;
        free.push_back(connection);
    }
    let mut busy: Vec<(Connection, Instant)> = Vec::new();
    let mut times = Vec::with_capacity(requests.len());
    let start = Instant::now() + Duration::from_millis(20);
    let due = |index: usize| start + Duration::from_secs(1) * u32::try_from(index).unwrap_or_default() / rate;
    let mut waiting = requests.iter().enumerate().peekable();
    while times.len() < requests.len() {
        if let Some((index, request)) = waiting.next_if(|(index, _)| Instant::now() >= due(*index) && !free.is_empty())
            && let Some(mut connection) = free.pop_front()
        {
            connection.send(&request.bytes)?;
            busy.push((connection, due(index)));
        }
        for (mut connection, due) in std::mem::take(&mut busy) {
            if connection.poll(STATUS)? {
                times.push(due.elapsed().as_secs_f64() * 1e6);
                free.push_back(connection);
            } else {
                busy.push((connection, due));
            }
        }
        if start.elapsed() > Duration::from_secs(60) {
            return Err("Envoy does not keep up with the rate".into());
        }
    }
    Ok(times.split_off(times.len() / 20))
}
