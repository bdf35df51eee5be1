//! `serin standalone` as a process, in front of upstreams that say which version they are.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::envoy::{Envoy, binary, eventually, stats};
use crate::http::{Connection, Response};

/// The host of the service under test.
pub const HOST: &str = "reviews.bookinfo.svc.cluster.local";

/// One Envoy whose listeners answer with the name of their version.
pub struct Upstreams {
    envoy: Envoy,
    versions: Vec<String>,
}

impl Upstreams {
    /// Starts one listener for each version.
    ///
    /// # Errors
    /// Envoy does not start.
    pub fn start(versions: &[&str]) -> Result<Self, Box<dyn Error>> {
        let listener = |version: &&str| {
            json!({"name": version, "address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}},
            "filter_chains": [{"filters": [{"name": "http", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": version, "max_request_headers_kb": 256, "common_http_protocol_options": {"max_headers_count": 2000},
                "http_filters": [{"name": "router", "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
                "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
                    {"match": {"prefix": ""}, "direct_response": {"status": 200, "body": {"inline_string": version}}}]}]},
            }}]}]})
        };
        let listeners: Vec<Value> = versions.iter().map(listener).collect();
        let envoy = Envoy::start(json!({"static_resources": {"listeners": listeners}}), 1)?;
        Ok(Self { envoy, versions: versions.iter().map(|version| (*version).to_owned()).collect() })
    }

    /// The addresses as `Standalone` has them.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn versions(&self) -> Result<Value, Box<dyn Error>> {
        let address = |version: &String| Ok((version.clone(), json!([self.envoy.listener(version)?.to_string()])));
        Ok(Value::Object(self.versions.iter().map(address).collect::<Result<_, Box<dyn Error>>>()?))
    }
}

/// A running `serin standalone`; it ends with this value.
pub struct Standalone {
    process: Child,
    upstreams: Upstreams,
    directory: TempDir,
    log: Arc<Mutex<String>>,
    /// Where it serves.
    pub listen: SocketAddr,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
    workers: u64,
}

impl Drop for Standalone {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            // SIGTERM, so that it ends its Envoy.
            let _ = Command::new("kill").arg(self.process.id().to_string()).status();
            let _ = self.process.wait();
        }
    }
}

/// An address that nobody has at this moment.
fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Standalone {
    /// Starts with these versions and this spec of the release `bookinfo/reviews`, and waits until it serves.
    ///
    /// # Errors
    /// It does not serve; the message holds its log.
    pub fn start(versions: &[&str], spec: &Value, workers: u64) -> Result<Self, Box<dyn Error>> {
        let upstreams = Upstreams::start(versions)?;
        let (directory, listen, admin) = (TempDir::new()?, free()?, free()?);
        fs::write(directory.path().join("serin.yaml"), manifest(listen, admin, workers, &upstreams.versions()?, spec))?;
        let mut process = Command::new(crate::command()?)
            .args(["standalone", "-f"])
            .arg(directory.path().join("serin.yaml"))
            .arg("--state-dir")
            .arg(directory.path().join("state"))
            .env("ENVOY_BIN", binary()?)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let lines = process.stderr.take().ok_or("no standard error")?;
        let log = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in BufReader::new(lines).lines().map_while(Result::ok) {
                if let Ok(mut log) = sink.lock() {
                    log.push_str(&line);
                    log.push('\n');
                }
            }
        });
        let mut running = Self { process, upstreams, directory, log, listen, admin, workers };
        let serves = eventually("serin serves", || {
            running.process.try_wait().is_ok_and(|ended| ended.is_some())
                || (running.log().contains("serving") && running.get("ready", &[]).is_ok_and(|answer| answer.status == 200))
        });
        serves.map_err(|error| format!("{error}\n{}", running.log()))?;
        match running.process.try_wait()? {
            Some(status) => Err(format!("serin ended with {status}:\n{}", running.log()).into()),
            None => Ok(running),
        }
    }

    /// What it wrote to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        self.process.wait()
    }

    /// The file that it serves.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("serin.yaml")
    }

    /// The file's text for a spec of the release.
    ///
    /// # Errors
    /// The upstreams do not answer.
    pub fn manifest(&self, spec: &Value) -> Result<String, Box<dyn Error>> {
        Ok(manifest(self.listen, self.admin, self.workers, &self.upstreams.versions()?, spec))
    }

    /// Replaces the file's release, and waits until every worker has the new document.
    ///
    /// # Errors
    /// They do not get it.
    pub fn apply(&self, spec: &Value) -> Result<(), Box<dyn Error>> {
        let before = self.documents("accepted")?;
        self.replace(&self.manifest(spec)?)?;
        // Envoy configures each worker's VM, the main thread's and one that only validates.
        let (every, mut seen) = (self.workers + 2, before);
        eventually("every worker has the new document", || {
            seen = self.documents("accepted").unwrap_or(seen);
            seen >= before + every
        })
        .map_err(|error| format!("{error}: {before} -> {seen}\n{}", self.log()).into())
    }

    /// Replaces the file's text in one step, as an editor or `mv` does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace(&self, text: &str) -> std::io::Result<()> {
        let next = self.directory.path().join("next");
        fs::write(&next, text)?;
        fs::rename(next, self.file())
    }

    /// How many documents the filters adopted or refused.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn documents(&self, result: &str) -> Result<u64, Box<dyn Error>> {
        let name = format!("result=.={result};");
        Ok(stats(self.admin, "documents_total")?
            .into_iter()
            .filter(|(key, _)| key.contains(&name))
            .map(|(_, count)| count)
            .sum())
    }

    /// Resident memory of its Envoy in KiB.
    ///
    /// # Errors
    /// There is no Envoy.
    pub fn envoy_kib(&self) -> Result<u64, Box<dyn Error>> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.envoy_id()?))?;
        let line = text.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
        Ok(line.split_whitespace().nth(1).ok_or("no number")?.parse()?)
    }

    /// The process id of its Envoy.
    ///
    /// # Errors
    /// There is no Envoy.
    pub fn envoy_id(&self) -> Result<u32, Box<dyn Error>> {
        let mut children = String::new();
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            children.push_str(&fs::read_to_string(task?.path().join("children")).unwrap_or_default());
            children.push(' ');
        }
        Ok(children.split_whitespace().next().ok_or("serin has no child process")?.parse()?)
    }

    /// A `GET /` by one user.
    ///
    /// # Errors
    /// There is no answer.
    pub fn get(&self, user: &str, headers: &[(&str, &[u8])]) -> std::io::Result<Response> {
        let cookie = format!("user={user}");
        let all: Vec<(&str, &[u8])> = headers.iter().copied().chain([("cookie", cookie.as_bytes())]).collect();
        Connection::open(self.listen)?.get(HOST, "/", &all)
    }

    /// Sends requests over some connections; the answers are in the order of the requests.
    ///
    /// # Errors
    /// A connection breaks.
    pub fn ask<T: Sync>(
        &self,
        requests: &[T],
        connections: usize,
        render: impl Fn(&T) -> Vec<u8> + Sync,
    ) -> Result<Vec<Response>, Box<dyn Error>> {
        let share = requests.len().div_ceil(connections).max(1);
        let one = |part: &[T]| -> std::io::Result<Vec<Response>> {
            let mut connection = Connection::open(self.listen)?;
            part.iter().map(|request| connection.send(&render(request))).collect()
        };
        std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> = requests.chunks(share).map(|part| scope.spawn(move || one(part))).collect();
            let mut answers = Vec::with_capacity(requests.len());
            for thread in threads {
                answers.extend(thread.join().map_err(|_| "a client panicked")??);
            }
            Ok(answers)
        })
    }
}

/// A `GET` of a user with more header lines.
#[must_use]
pub fn user_request(user: usize, lines: &str) -> Vec<u8> {
    format!("GET /reviews/0 HTTP/1.1\r\nhost: {HOST}\r\ncookie: user=user-{user}\r\n{lines}\r\n").into_bytes()
}

fn manifest(listen: SocketAddr, admin: SocketAddr, workers: u64, versions: &Value, spec: &Value) -> String {
    let standalone = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "Standalone", "spec": {
        "listen": listen, "admin": admin, "accessLog": "", "workers": workers,
        "services": [{"host": HOST, "port": 9080, "aliases": ["reviews"], "versions": versions}]}});
    let release = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
        "metadata": {"name": "reviews", "namespace": "bookinfo"}, "spec": spec});
    format!("{standalone}\n---\n{release}\n")
}
