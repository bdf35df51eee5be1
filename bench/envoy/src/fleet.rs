//! One Envoy with a listener for each row, and the count of what every row had to do.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use crate::Result;
use crate::args::Plan;
use crate::client::Connection;
use crate::envoy::Envoy;
use crate::machine::{Thread, two_cores};
use crate::numbers::order;
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

impl Shares {
    /// Adds others.
    pub(crate) fn add(&mut self, other: Self) {
        self.v1 += other.v1;
        self.v2 += other.v2;
        self.default += other.default;
    }
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
    /// Starts it with one worker and sends every row what is not counted. Listeners come in another order in each process.
    pub(crate) fn start(rows: &[Row], process: usize, plan: &Plan) -> Result<Self> {
        let shuffled: Vec<Row> = order(rows.len(), process).into_iter().filter_map(|row| rows.get(row).cloned()).collect();
        let envoy = Envoy::start(&resources(&shuffled), 1)?;
        let listeners = envoy.listeners()?;
        let address = |row: &Row| listeners.get(&row.key()).copied().ok_or(format!("no listener for row {}", row.number));
        let addresses = rows.iter().map(address).collect::<Result<_, _>>()?;
        let count = plan.requests.max(plan.latency_requests);
        let mut fleet = Self {
            envoy,
            addresses,
            expected: vec![Shares::default(); rows.len()],
            rows: rows.to_vec(),
            users: requests(count, AUTHORITY, false),
            visitors: requests(count, AUTHORITY, true),
        };
        fleet.warm(plan.warmups, plan.requests)?;
        Ok(fleet)
    }

    /// Sends every row so many slices.
    fn warm(&mut self, slices: usize, requests: usize) -> Result<()> {
        for row in 0..self.rows.len() {
            let mut lane = Lane::open(self, row, requests)?;
            for _ in 0..slices {
                lane.slice()?;
                self.sent(row, requests);
            }
        }
        Ok(())
    }

    /// The requests of a row.
    pub(crate) fn requests(&self, row: usize) -> &[Request] {
        if self.rows.get(row).is_some_and(|row| row.anonymous) { &self.visitors } else { &self.users }
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
            expected.add(shares);
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

/// Connections to a row, and a slice of requests in waves: two on each of sixteen connections, so that waking up and system calls
/// do not drown what a filter costs. Two is as many as Envoy answers at once: beyond that it takes a pipeline for an attack and
/// closes the connection.
pub(crate) struct Lane {
    connections: Vec<Connection>,
    batches: Vec<Vec<u8>>,
}

/// Requests in one write.
const BATCH: usize = 2;
/// Connections that are written to before the first answer is read.
const CONNECTIONS: usize = 16;

impl Lane {
    /// Connects to a row; its slice is an even number of requests.
    pub(crate) fn open(fleet: &Fleet, row: usize, requests: usize) -> Result<Self> {
        let address = fleet.addresses.get(row).ok_or("no such row")?;
        let connections = (0..CONNECTIONS).map(|_| Connection::open(*address)).collect::<Result<Vec<_>>>()?;
        let join = |batch: &[Request]| batch.iter().flat_map(|one| one.bytes.clone()).collect();
        let requests = fleet.requests(row).get(..requests).unwrap_or_default();
        Ok(Self { connections, batches: requests.chunks(BATCH).map(join).collect() })
    }

    /// Sends a slice and reads all answers.
    pub(crate) fn slice(&mut self) -> Result<()> {
        for wave in self.batches.chunks(CONNECTIONS) {
            for (connection, bytes) in self.connections.iter_mut().zip(wave) {
                connection.send(bytes)?;
            }
            for (connection, _) in self.connections.iter_mut().zip(wave) {
                connection.receive(BATCH, STATUS)?;
            }
        }
        Ok(())
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
