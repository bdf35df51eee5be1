//! One Envoy with a listener for each row, and the count of what every row had to do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use crate::Result;
use crate::args::Plan;
use crate::envoy::Envoy;
use crate::machine::{Thread, two_cores};
use crate::requests::{Request, requests};
use crate::rows::{Choice, Row, WEIGHTED, resources};

/// The status of an answer: there is no upstream.
pub(crate) const STATUS: u16 = 503;
/// What clients ask for, as they write it.
const AUTHORITY: &str = "reviews:9080";

/// Requests that a row was sent, by the version that they have to get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Shares {
    pub(crate) v1: u64,
    pub(crate) v2: u64,
    /// By the route for requests without a version.
    pub(crate) default: u64,
}

/// The Envoy of the CPU and latency parts.
pub(crate) struct Fleet {
    pub(crate) envoy: Envoy,
    pub(crate) rows: Vec<Row>,
    /// The listener of each row.
    pub(crate) addresses: Vec<SocketAddr>,
    expected: Vec<Shares>,
    users: Vec<Request>,
    visitors: Vec<Request>,
}

impl Fleet {
    /// Starts it with one worker.
    pub(crate) fn start(rows: Vec<Row>, plan: &Plan) -> Result<Self> {
        let envoy = Envoy::start(&resources(&rows), 1)?;
        let listeners = envoy.listeners()?;
        let address = |row: &Row| listeners.get(&row.key()).copied().ok_or(format!("no listener for row {}", row.number));
        let addresses = rows.iter().map(address).collect::<Result<_, _>>()?;
        let count = plan.requests.max(plan.latency_requests);
        Ok(Self {
            envoy,
            addresses,
            expected: vec![Shares::default(); rows.len()],
            rows,
            users: requests(count, AUTHORITY, false),
            visitors: requests(count, AUTHORITY, true),
        })
    }

    /// The requests of a row.
    pub(crate) fn requests(&self, row: usize) -> &[Request] {
        if self.rows.get(row).is_some_and(|row| row.anonymous) { &self.visitors } else { &self.users }
    }

    /// Names of the rows with their numbers.
    pub(crate) fn names(&self) -> Vec<(usize, String)> {
        self.rows.iter().map(|row| (row.number, row.name.clone())).collect()
    }

    /// Notes that a row was sent its first requests, so many.
    pub(crate) fn sent(&mut self, row: usize, count: usize) {
        let Some(choice) = self.rows.get(row).map(|row| row.choice.clone()) else { return };
        let mut shares = Shares::default();
        for request in self.requests(row).iter().take(count) {
            match choice.canary(request) {
                Some(true) => shares.v2 += 1,
                Some(false) => shares.v1 += 1,
                None => shares.default += 1,
            }
        }
        if let Some(expected) = self.expected.get_mut(row) {
            expected.v1 += shares.v1;
            expected.v2 += shares.v2;
            expected.default += shares.default;
        }
    }

    /// Compares what every row did with what it had to do: a row that does nothing is fast and means nothing.
    pub(crate) fn verify(&self) -> Result<BTreeMap<usize, Shares>> {
        self.envoy.check()?;
        let stats = self.envoy.stats()?;
        let mut shares = BTreeMap::new();
        for (row, expected) in self.rows.iter().zip(&self.expected) {
            let key = row.key();
            let count =
                |route: &str| stats.get(&format!("vhost.{key}.route.{route}.upstream_rq_{STATUS}")).copied().unwrap_or(0);
            let mut counted = Shares { v1: count("v1"), v2: count("v2"), default: count("default") };
            if counted != *expected {
                return Err(format!("row {} ({}) decided {counted:?} instead of {expected:?}", row.number, row.name).into());
            }
            if row.choice == Choice::Envoy {
                let [v1, v2] = WEIGHTED
                    .map(|name| stats.get(&format!("cluster.{name}.upstream_cx_none_healthy")).copied().unwrap_or(0));
                if v1 + v2 != expected.default || v1.min(v2) * 3 < v1.max(v2) {
                    return Err(
                        format!("row {} ({}) decided {v1} to {v2}, not about half and half", row.number, row.name).into()
                    );
                }
                counted = Shares { v1, v2, default: 0 };
            }
            shares.insert(row.number, counted);
        }
        Ok(shares)
    }
}

/// Runs the client on a thread of its own, which keeps to another core than Envoy's worker where there are two.
pub(crate) fn apart<T: Send>(envoy: &Envoy, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let worker = envoy.worker()?;
    std::thread::scope(|scope| {
        let client = scope.spawn(move || {
            if let Some((first, last)) = two_cores() {
                // Where one cannot be kept, the numbers are less quiet and mean the same.
                let _ = worker.pin(first) && Thread::own()?.pin(last);
            }
            work()
        });
        client.join().map_err(|_| "the client panicked")?
    })
}
