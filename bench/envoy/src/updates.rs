//! What an update of the document costs those who send requests meanwhile.
//!
//! The filter comes by ECDS from a file, as `serin standalone` configures it. Each update replaces the file and changes one release;
//! its effect shows in a header of the response. The longest latency around an update is compared with that of a window of the same
//! length without one.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use crate::args::Plan;
use crate::bootstrap::{any, cluster, cluster_name, filter, listener, wasm};
use crate::client::Connection;
use crate::documents;
use crate::envoy::Envoy;
use crate::machine::two_cores;
use crate::modules::Modules;
use crate::numbers::Summary;
use crate::requests::requests;
use crate::{Result, progress};

/// Connections; each has a thread of its own.
const CONNECTIONS: usize = 2;
/// A window begins so long before its update.
const BEFORE: Duration = Duration::from_millis(20);
/// And ends so long after its first effect.
const AFTER: Duration = Duration::from_millis(200);
/// Between windows.
const REST: Duration = Duration::from_millis(300);
/// An update takes effect within this.
const CAP: Duration = Duration::from_secs(30);

/// Updates of one document, in milliseconds.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Updates {
    pub(crate) name: String,
    pub(crate) document_bytes: usize,
    /// From the rename to the first response that shows it.
    pub(crate) effect: Summary,
    /// The longest latency around each update.
    pub(crate) stall: Summary,
    /// The longest latency of windows without one.
    pub(crate) control: Summary,
}

/// A request: when it was due and when it was answered, since the start; and its version.
#[derive(Clone, Copy)]
struct Sample {
    due: Duration,
    done: Duration,
    canary: bool,
}

/// A document, before and after a change of the release that is asked for.
struct Case {
    name: &'static str,
    /// The host of that release.
    host: String,
    /// What the filter is configured with: all users on stable, all on the canary.
    configurations: [String; 2],
}

impl Case {
    /// A document as it is.
    fn plain(name: &'static str, releases: usize) -> Self {
        let host = documents::host(documents::middle(releases));
        Self { name, host, configurations: [0, 100_000].map(|buckets| documents::releases(releases, buckets)) }
    }

    /// A document as a WasmPlugin carries it, packed.
    fn packed(name: &'static str) -> Result<Self> {
        let [stable, canary] = [0, 100_000].map(documents::packed);
        Ok(Self { name, host: documents::packed_host(), configurations: [stable?, canary?] })
    }
}

/// Measures a document of one release and two of 10 000.
pub(crate) fn measure(modules: &Modules, plan: &Plan) -> Result<Vec<Updates>> {
    let mut filters = vec![("Serin".to_owned(), modules.serin())];
    filters.extend(modules.others.iter().cloned());
    let packed = Case::packed("10 000 releases, packed")?;
    let cases = [Case::plain("1 release", 1), Case::plain("10 000 releases", 10_000), packed];
    let mut all = Vec::new();
    for (name, module) in filters {
        for case in &cases {
            all.push(updates(&format!("{name}, {}", case.name), &module, case, plan)?);
        }
    }
    Ok(all)
}

fn updates(name: &str, module: &Path, case: &Case, plan: &Plan) -> Result<Updates> {
    let directory = tempfile::TempDir::new()?;
    let place = directory.path().join("ecds.json");
    let [stable, canary] = &case.configurations;
    let (stable, canary) = (discovered(module, stable, "stable"), discovered(module, canary, "canary"));
    fs::write(&place, &stable)?;
    let envoy = Envoy::start(&resources(directory.path(), &case.host), 1)?;
    if let Some((first, last)) = two_cores() {
        // The worker has a core for itself: what else Envoy does for an update is not a stall of the worker.
        envoy.threads()?.iter().for_each(|thread| {
            thread.pin(last);
        });
        let _ = envoy.worker()?.pin(first);
    }
    let address = envoy.listeners()?.remove("updates").ok_or("no listener")?;
    let load = Load { start: Instant::now(), samples: Mutex::default(), over: AtomicBool::new(false) };
    let windows = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CONNECTIONS)
            .map(|lane| {
                scope.spawn({
                    let load = &load;
                    move || load.send(address, lane, plan.rate)
                })
            })
            .collect();
        let windows = (0..plan.updates)
            .map(|update| {
                progress(&format!("updates: {name}, {} of {}", update + 1, plan.updates));
                let canary_now = update % 2 == 0;
                load.update(&place, if canary_now { &canary } else { &stable }, canary_now)
            })
            .collect::<Result<Vec<_>>>();
        load.over.store(true, Ordering::Relaxed);
        for client in clients {
            client.join().map_err(|_| "a client panicked")??;
        }
        windows
    })?;
    envoy.check()?;
    let samples = load.samples.into_inner()?;
    let longest = |(from, to): (Duration, Duration)| {
        let inside = samples.iter().filter(|sample| (from..to).contains(&sample.due));
        inside.map(|sample| milliseconds(sample.done - sample.due)).fold(0.0, f64::max)
    };
    let of = |value: &dyn Fn(&Window) -> f64| Summary::of(&windows.iter().map(value).collect::<Vec<_>>());
    Ok(Updates {
        name: name.to_owned(),
        document_bytes: case.configurations[0].len(),
        effect: of(&|window| milliseconds(window.effect)),
        stall: of(&|window| longest(window.update)),
        control: of(&|window| longest(window.control)),
    })
}

/// An update: how long it took, its window and one of the same length without an update.
struct Window {
    effect: Duration,
    update: (Duration, Duration),
    control: (Duration, Duration),
}

/// Requests at a fixed rate, and what became of them.
struct Load {
    start: Instant,
    samples: Mutex<Vec<Sample>>,
    over: AtomicBool,
}

impl Load {
    /// Sends every n-th request of the rate over one connection until it is over.
    fn send(&self, address: SocketAddr, lane: usize, rate: u32) -> Result<()> {
        let mut connection = Connection::open(address)?;
        let authority = format!("service:{}", 9080);
        let requests = requests(1000, &authority, false);
        for (index, request) in requests.iter().cycle().enumerate() {
            if self.over.load(Ordering::Relaxed) {
                break;
            }
            let number = u32::try_from(index * CONNECTIONS + lane)?;
            let due = Duration::from_secs(1) * number / rate;
            std::thread::sleep(due.saturating_sub(self.start.elapsed()));
            connection.send(&request.bytes)?;
            let (status, version) =
                connection.answer(|answer| (answer.status, answer.header(b"x-version") == Some(b"v2")))?;
            if status != 200 {
                return Err(format!("the answer is {status} instead of 200: the filter chose no version").into());
            }
            let sample = Sample { due, done: self.start.elapsed(), canary: version };
            self.samples.lock().map_err(|_| "a client panicked")?.push(sample);
        }
        Ok(())
    }

    /// Lets a window pass without an update, then replaces the file and waits until all is quiet again.
    fn update(&self, place: &Path, text: &str, canary: bool) -> Result<Window> {
        std::thread::sleep(REST);
        let new: PathBuf = place.with_extension("new");
        fs::write(&new, text)?;
        std::thread::sleep(REST);
        let renamed = self.start.elapsed();
        fs::rename(&new, place)?;
        let shows = |sample: &&Sample| sample.canary == canary && sample.done > renamed;
        let effect = loop {
            // Only what came lately can show it.
            let first = self
                .samples
                .lock()
                .map_err(|_| "a client panicked")?
                .iter()
                .rev()
                .take(20_000)
                .filter(shows)
                .map(|sample| sample.done)
                .min();
            match first {
                Some(done) => break done,
                None if self.start.elapsed() - renamed > CAP => return Err(format!("no effect within {CAP:?}").into()),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        let update = (renamed - BEFORE, effect + AFTER);
        std::thread::sleep(AFTER + REST);
        let from = self.start.elapsed();
        let control = (from, from + (update.1 - update.0));
        std::thread::sleep(update.1 - update.0);
        Ok(Window { effect: effect - renamed, update, control })
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The discovery response that holds the filter with a document.
fn discovered(module: &Path, configuration: &str, version: &str) -> String {
    let config = wasm("serin", module, configuration);
    let resource = any("envoy.config.core.v3.TypedExtensionConfig", filter("serin", config));
    json!({"version_info": version, "resources": [resource]}).to_string()
}

/// A listener whose filter is discovered. The first route leads to a cluster, by whose name the filter finds the release; the
/// routes by version answer with the version.
fn resources(directory: &Path, host: &str) -> Value {
    let discovery = json!({"name": "serin", "config_discovery": {
        "config_source": {
            "path_config_source": {"path": directory.join("ecds.json"), "watched_directory": {"path": directory}},
            "resource_api_version": "V3",
        },
        "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
    }});
    let by = |version: &str| {
        json!({
            "match": {"prefix": "/", "headers": [{"name": "x-serin-version", "string_match": {"exact": version}}]},
            "direct_response": {"status": 200},
            "response_headers_to_add": [{"header": {"key": "x-version", "value": version}}],
        })
    };
    let stable = cluster_name(host, "v1");
    let routes = vec![by("v2"), by("v1"), json!({"match": {"prefix": "/"}, "route": {"cluster": stable}})];
    json!({"listeners": [listener("updates", vec![discovery], routes)], "clusters": [cluster(&stable)]})
}
