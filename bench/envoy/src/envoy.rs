//! An Envoy of the bench's own; it ends with this value.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::Result;
use crate::client::ask;
use crate::machine::{self, Thread};

/// How long it may take to start: all modules are compiled and all documents read.
const CAP: Duration = Duration::from_secs(120);

/// A running Envoy.
pub(crate) struct Envoy {
    process: Child,
    admin: SocketAddr,
    directory: TempDir,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where Envoy is: `ENVOY_BIN`, else where `make envoy` installs it.
fn binary() -> Result<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/venv/envoy");
    let path = std::env::var_os("ENVOY_BIN").map_or(installed, PathBuf::from);
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("no Envoy at {}; `make envoy` installs it", path.display()).into()),
    }
}

/// The version of Envoy, such as `1.40.0`.
pub(crate) fn version() -> Result<String> {
    let output = Command::new(binary()?).arg("--version").output()?;
    let text = String::from_utf8(output.stdout)?;
    let after = text.split("version: ").nth(1).unwrap_or_default();
    Ok(after.split('/').nth(1).unwrap_or("unknown").to_owned())
}

impl Envoy {
    /// Starts Envoy with listeners and clusters and waits until it serves.
    pub(crate) fn start(resources: &Value, workers: u32) -> Result<Self> {
        let directory = TempDir::new()?;
        let place = |name: &str| directory.path().join(name);
        let any_port = json!({"socket_address": {"address": "127.0.0.1", "port_value": 0}});
        let node = json!({"id": "bench", "cluster": "bench"});
        let bootstrap = json!({"node": node, "admin": {"address": any_port}, "static_resources": resources});
        fs::write(place("bootstrap.json"), bootstrap.to_string())?;
        let process = Command::new(binary()?)
            .arg("-c")
            .arg(place("bootstrap.json"))
            .arg("--admin-address-path")
            .arg(place("admin"))
            .args(["--disable-hot-restart", "--log-level", "warning", "--concurrency", &workers.to_string()])
            .stdout(Stdio::null())
            .stderr(fs::File::create(place("log"))?)
            .spawn()?;
        let mut envoy = Self { process, admin: SocketAddr::from(([127, 0, 0, 1], 0)), directory };
        let start = Instant::now();
        while !envoy.serves() {
            if let Some(status) = envoy.process.try_wait()? {
                return Err(format!("Envoy ended with {status}:\n{}", envoy.log()).into());
            }
            if start.elapsed() > CAP {
                return Err(format!("Envoy does not serve within {CAP:?}:\n{}", envoy.log()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(envoy)
    }

    fn serves(&mut self) -> bool {
        let written = fs::read_to_string(self.directory.path().join("admin")).ok();
        let Some(admin) = written.and_then(|text| text.parse().ok()) else { return false };
        self.admin = admin;
        ask(admin, "/ready").is_ok()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Addresses of the listeners by name.
    pub(crate) fn listeners(&self) -> Result<BTreeMap<String, SocketAddr>> {
        let listeners: Value = serde_json::from_str(&ask(self.admin, "/listeners?format=json")?)?;
        let all = listeners.get("listener_statuses").and_then(Value::as_array).into_iter().flatten();
        let address = |listener: &Value| {
            let port = listener.pointer("/local_address/socket_address/port_value")?.as_u64()?;
            Some((listener.get("name")?.as_str()?.to_owned(), SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).ok()?))))
        };
        Ok(all.filter_map(address).collect())
    }

    /// All counters and gauges.
    pub(crate) fn stats(&self) -> Result<BTreeMap<String, u64>> {
        let text = ask(self.admin, "/stats")?;
        let lines = text.lines().filter_map(|line| line.rsplit_once(": "));
        Ok(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
    }

    /// Fails where Envoy logged or counted that something failed: with a filter that is passed by there is nothing to measure.
    pub(crate) fn check(&self) -> Result<()> {
        let log = self.log();
        if let Some(line) = log.lines().find(|line| line.contains("[error]") || line.contains("[critical]")) {
            return Err(format!("Envoy logged: {line}").into());
        }
        let failure = |name: &str| {
            (name.starts_with("wasm.") && name.contains("fail"))
                || name.ends_with(".lua.errors")
                || name.contains("result=.=rejected")
        };
        match self.stats()?.into_iter().find(|(name, count)| *count > 0 && failure(name)) {
            Some((name, count)) => Err(format!("Envoy counted {name}: {count}").into()),
            None => Ok(()),
        }
    }

    /// Its first worker.
    pub(crate) fn worker(&self) -> Result<Thread> {
        Thread::named(self.process.id(), "wrk:worker_0")
    }

    /// All of its threads.
    pub(crate) fn threads(&self) -> Result<Vec<Thread>> {
        Thread::all(self.process.id())
    }

    /// Bytes of memory that it holds.
    pub(crate) fn resident(&self) -> Result<u64> {
        machine::resident(self.process.id())
    }
}
