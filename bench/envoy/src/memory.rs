//! Memory of one worker more: a fresh Envoy with one worker and another one with three, the difference halved.

use serde::Serialize;

use crate::args::Plan;
use crate::client::Connection;
use crate::documents::{self, HOST};
use crate::envoy::Envoy;
use crate::fleet::STATUS;
use crate::modules::Modules;
use crate::requests::requests;
use crate::rows::{Row, resources};
use crate::{Result, progress};

/// Memory of a kind of row, in MiB.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Memory {
    pub(crate) name: String,
    /// Of the whole process with one worker.
    pub(crate) one_worker: f64,
    /// Of each worker more.
    pub(crate) each_worker: f64,
}

/// Measures some kinds of rows.
pub(crate) fn measure(modules: &Modules, plan: &Plan) -> Result<Vec<Memory>> {
    let reviews = || (documents::reviews(vec![]), HOST.to_owned());
    let many = || (documents::releases(10_000, 50_000), documents::host(documents::middle(10_000)));
    let mut rows = vec![
        Row::plain("no filter"),
        Row::wasm("empty SDK filter", modules.of("sdk-empty"), (String::new(), HOST.to_owned())),
        Row::wasm("Serin, 1 release", modules.serin(), reviews()),
        Row::wasm("Serin, 10 000 releases", modules.serin(), many()),
    ];
    for (name, module) in &modules.others {
        rows.push(Row::wasm(&format!("{name}, 1 release"), module.clone(), reviews()));
        rows.push(Row::wasm(&format!("{name}, 10 000 releases"), module.clone(), many()));
    }
    let mut samples = vec![(Vec::new(), Vec::new()); rows.len()];
    for round in 0..plan.memory_rounds {
        for (row, samples) in rows.iter().zip(&mut samples) {
            progress(&format!("memory: round {} of {}, {}", round + 1, plan.memory_rounds, row.name));
            let (one, three) = (resident(row, 1)?, resident(row, 3)?);
            samples.0.push(one);
            samples.1.push((three - one) / 2.0);
        }
    }
    let median = |values: &[f64]| crate::numbers::Summary::of(values).median;
    let of = |(row, samples): (&Row, &(Vec<f64>, Vec<f64>))| Memory {
        name: row.name.clone(),
        one_worker: median(&samples.0),
        each_worker: median(&samples.1),
    };
    Ok(rows.iter().zip(&samples).map(of).collect())
}

/// MiB of a fresh Envoy whose workers have all answered some requests.
fn resident(row: &Row, workers: u32) -> Result<f64> {
    let envoy = Envoy::start(&resources(std::slice::from_ref(row)), workers)?;
    let address = envoy.listeners()?.remove(&row.key()).ok_or("no listener")?;
    let requests = requests(32, "reviews:9080", false);
    // The system deals connections out to workers by chance, so there are many.
    let mut connections = Vec::new();
    for _ in 0..64 {
        connections.push(Connection::open(address)?);
    }
    for connection in &mut connections {
        for request in &requests {
            connection.send(&request.bytes)?;
            connection.receive(1, STATUS)?;
        }
    }
    envoy.check()?;
    Ok(envoy.resident()? as f64 / f64::from(1 << 20))
}
