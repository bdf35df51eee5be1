//! A real Envoy with a bootstrap of the test's own.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Connection, Response};
use crate::patience::Patience;

/// How long a condition may take to come true.
pub const CAP: Duration = Duration::from_secs(30);

/// Where Envoy is: `ENVOY_BIN`, else where `make` installs it.
///
/// # Errors
/// It is nowhere; the message says what to do.
pub fn binary() -> Result<PathBuf, String> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/venv/envoy");
    let path = std::env::var_os("ENVOY_BIN").map_or(installed, PathBuf::from);
    match path.is_file() {
        true => Ok(path),
        false => Err(format!("no Envoy at {}; `make envoy` installs it", path.display())),
    }
}

/// The version of [`binary`], such as `(1, 40)`.
///
/// # Errors
/// There is none, or it does not say its version.
pub fn version() -> Result<(u32, u32), Box<dyn Error>> {
    let output = Command::new(binary()?).arg("--version").output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers = text.split('/').find_map(|part| {
        let mut numbers = part.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    numbers.ok_or_else(|| format!("`{}` does not say a version", text.trim()).into())
}

/// Asks until a condition holds.
///
/// # Errors
/// It does not within [`CAP`].
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) -> Result<(), Box<dyn Error>> {
    let mut patience = Patience::new(CAP);
    while !holds() {
        if patience.is_over(Duration::from_millis(20)) {
            return Err(format!("not within {CAP:?}: {what}").into());
        }
    }
    Ok(())
}

/// A running Envoy; it ends with this value.
pub struct Envoy {
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

impl Envoy {
    /// Starts Envoy with a bootstrap, to which an admin interface is added, and waits until it serves.
    ///
    /// # Errors
    /// Envoy is missing, refuses the bootstrap or does not start; the message holds its log.
    pub fn start(mut bootstrap: Value, workers: u32) -> Result<Self, Box<dyn Error>> {
        let directory = TempDir::new()?;
        let place = |name: &str| directory.path().join(name);
        if let Some(bootstrap) = bootstrap.as_object_mut() {
            let any_port = json!({"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}});
            bootstrap.insert("admin".into(), any_port);
        }
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
        let started = eventually("Envoy serves", || {
            let written = fs::read_to_string(envoy.directory.path().join("admin")).ok();
            let address = written.and_then(|text| text.parse().ok());
            envoy.admin = address.unwrap_or(envoy.admin);
            envoy.process.try_wait().is_ok_and(|ended| ended.is_some())
                || (address.is_some() && envoy.ask("GET", "/ready").is_ok_and(|answer| answer.status == 200))
        });
        match envoy.process.try_wait()? {
            None => started.map(|()| envoy),
            Some(status) => Err(format!("Envoy ended with {status}:\n{}", envoy.log()).into()),
        }
    }

    /// What Envoy logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Asks the admin interface.
    ///
    /// # Errors
    /// It does not answer.
    pub fn ask(&self, method: &str, path: &str) -> std::io::Result<Response> {
        Connection::open(self.admin)?.send(format!("{method} {path} HTTP/1.1\r\nhost: admin\r\n\r\n").as_bytes())
    }

    /// Counters and gauges whose names contain a text.
    ///
    /// # Errors
    /// The admin interface does not answer.
    pub fn stats(&self, part: &str) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
        stats(self.admin, part)
    }

    /// The address of a listener that was given port 0.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn listener(&self, name: &str) -> Result<SocketAddr, Box<dyn Error>> {
        let listeners: Value = serde_json::from_slice(&self.ask("GET", "/listeners?format=json")?.body)?;
        let all = listeners.get("listener_statuses").and_then(Value::as_array).into_iter().flatten();
        let found = all.into_iter().find(|listener| listener.get("name").is_some_and(|own| own == name));
        let port = found.and_then(|listener| listener.pointer("/local_address/socket_address/port_value")?.as_u64());
        let port = port.and_then(|port| u16::try_from(port).ok()).ok_or(format!("no listener {name}"))?;
        Ok(SocketAddr::from(([127, 0, 0, 1], port)))
    }
}

/// Counters and gauges of an admin interface whose names contain a text.
///
/// # Errors
/// It does not answer.
pub fn stats(admin: SocketAddr, part: &str) -> Result<BTreeMap<String, u64>, Box<dyn Error>> {
    let answer = Connection::open(admin)?.get("admin", "/stats", &[])?;
    let text = String::from_utf8(answer.body)?;
    let lines = text.lines().filter(|line| line.contains(part)).filter_map(|line| line.rsplit_once(": "));
    Ok(lines.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect())
}

/// The filter as an HTTP filter of a listener, with a document.
#[must_use]
pub fn filter(name: &str, module: &Path, document: &str) -> Value {
    json!({"name": name, "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": name,
            "configuration": {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": document},
            "vm_config": {"runtime": "envoy.wasm.runtime.v8", "code": {"local": {"filename": module}}},
            "failure_policy": "FAIL_OPEN",
        },
    }})
}
