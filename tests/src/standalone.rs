//! `serin standalone` as a process, in front of upstreams that say which version they are.

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
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

/// A `serin` process that writes to standard error; it gets SIGTERM with the end of this value.
pub struct Serin {
    process: Child,
    log: Arc<Mutex<String>>,
}

impl Drop for Serin {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            // SIGTERM, so that it ends its Envoy; one that does not obey is a failure that has been seen.
            let _ = self.signal("TERM");
            if self.wait().is_err() {
                let _ = self.process.kill();
                let _ = self.process.wait();
            }
        }
    }
}

impl Serin {
    /// Starts `serin` with arguments, and with a soft and a hard limit of open files.
    ///
    /// # Errors
    /// It is not built, or cannot be started.
    pub fn start<A: AsRef<OsStr>>(
        arguments: impl IntoIterator<Item = A>,
        open_files: Option<(u32, u32)>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut command = match open_files {
            None => Command::new(crate::command()?),
            Some((soft, hard)) => {
                let mut shell = Command::new("sh");
                shell
                    .args(["-c", &format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$@\""), "sh"])
                    .arg(crate::command()?);
                shell
            }
        };
        command.args(arguments).env("ENVOY_BIN", binary()?).env_remove("STATE_DIRECTORY");
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
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
        Ok(Self { process, log })
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

    /// Sends a signal, such as `HUP`.
    ///
    /// # Errors
    /// It cannot be sent.
    pub fn signal(&self, name: &str) -> std::io::Result<()> {
        Command::new("kill").args(["-s", name, &self.id().to_string()]).status().map(drop)
    }

    /// Its exit status once it has ended.
    ///
    /// # Errors
    /// It cannot be asked for.
    pub fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.process.try_wait()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within [`crate::envoy::CAP`].
    pub fn wait(&mut self) -> Result<ExitStatus, Box<dyn Error>> {
        let mut status = None;
        let ended = eventually("serin ends", || {
            status = self.process.try_wait().ok().flatten();
            status.is_some()
        });
        ended.map_err(|error| format!("{error}\n{}", self.log()))?;
        Ok(status.ok_or("no exit status")?)
    }
}

/// What a `serin standalone` is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Versions with their addresses, as `Standalone` has them.
    pub versions: Value,
    /// The spec of the release `bookinfo/reviews`.
    pub release: Value,
    /// Settings of the `Standalone` beside the usual ones.
    pub settings: Value,
    /// Settings of the service beside the usual ones.
    pub service: Value,
    /// Envoy's workers.
    pub workers: u64,
    /// The soft and the hard limit of files that the process may open.
    pub open_files: Option<(u32, u32)>,
    /// Whether it follows a file of what people say, which is missing at first.
    pub control: bool,
    /// Arguments beside the usual ones.
    pub arguments: Vec<&'static str>,
}

impl Setup {
    /// With the usual settings and two workers.
    #[must_use]
    pub fn new(versions: Value, release: &Value) -> Self {
        let (settings, service) = (json!({}), json!({}));
        let arguments = Vec::new();
        Self {
            versions,
            release: release.clone(),
            settings,
            service,
            workers: 2,
            open_files: None,
            control: false,
            arguments,
        }
    }

    /// The file's text.
    #[must_use]
    pub fn manifest(&self, listen: SocketAddr, admin: SocketAddr) -> String {
        let mut service = json!({"host": HOST, "port": 9080, "aliases": ["reviews"], "versions": self.versions});
        add(&mut service, &self.service);
        let mut spec =
            json!({"listen": listen, "admin": admin, "accessLog": "", "workers": self.workers, "services": [service]});
        add(&mut spec, &self.settings);
        let standalone = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "Standalone", "spec": spec});
        let release = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
            "metadata": {"name": "reviews", "namespace": "bookinfo"}, "spec": self.release});
        format!("{standalone}\n---\n{release}\n")
    }
}

fn add(fields: &mut Value, more: &Value) {
    if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
}

/// What Envoy has adopted up to a moment.
#[derive(Clone, Debug)]
pub struct Adopted {
    /// Documents, counted by each VM.
    count: u64,
    /// The version of the last one.
    version: String,
}

/// A running `serin standalone`; it ends with this value.
pub struct Standalone {
    serin: Serin,
    /// What its upstreams live in, where they are started with it.
    _upstreams: Option<Upstreams>,
    directory: TempDir,
    setup: Setup,
    /// The versions of documents that Envoy has had.
    versions: Mutex<BTreeSet<String>>,
    /// Where it serves.
    pub listen: SocketAddr,
    /// Envoy's admin interface.
    pub admin: SocketAddr,
}

/// An address that nobody has at this moment.
///
/// # Errors
/// There is none.
pub fn free() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}

impl Standalone {
    /// Starts with these versions and this spec of the release `bookinfo/reviews`, and waits until it serves.
    ///
    /// # Errors
    /// It does not serve; the message holds its log.
    pub fn start(versions: &[&str], spec: &Value, workers: u64) -> Result<Self, Box<dyn Error>> {
        let upstreams = Upstreams::start(versions)?;
        let setup = Setup { workers, ..Setup::new(upstreams.versions()?, spec) };
        Ok(Self { _upstreams: Some(upstreams), ..Self::start_with(setup)? })
    }

    /// Starts in front of upstreams that are there already, and waits until it serves.
    ///
    /// # Errors
    /// It does not serve; the message holds its log.
    pub fn start_with(setup: Setup) -> Result<Self, Box<dyn Error>> {
        let (directory, listen, admin) = (TempDir::new()?, free()?, free()?);
        fs::write(directory.path().join("serin.yaml"), setup.manifest(listen, admin))?;
        let arguments = |directory: &Path| {
            let words = ["standalone", "-f"].map(OsString::from).into_iter();
            let file = [directory.join("serin.yaml").into_os_string()];
            let control = [OsString::from("--control"), directory.join("control.yaml").into_os_string()];
            let state = [OsString::from("--state-dir"), directory.join("state").into_os_string()];
            let more = setup.arguments.iter().map(OsString::from);
            words.chain(file).chain(state).chain(control.into_iter().filter(|_| setup.control)).chain(more)
        };
        let serin = Serin::start(arguments(directory.path()), setup.open_files)?;
        let mut running = Self { serin, _upstreams: None, directory, setup, versions: Mutex::default(), listen, admin };
        let serves = eventually("serin serves", || {
            running.serin.ended().is_ok_and(|ended| ended.is_some())
                || (running.log().contains("serving") && running.get("ready", &[]).is_ok_and(|answer| answer.status == 200))
        });
        serves.map_err(|error| format!("{error}\n{}", running.log()))?;
        match running.serin.ended()? {
            Some(status) => Err(format!("serin ended with {status}:\n{}", running.log()).into()),
            None => {
                let first = running.version()?;
                running.versions.lock().map_err(|error| error.to_string())?.insert(first);
                Ok(running)
            }
        }
    }

    /// What it wrote to standard error.
    #[must_use]
    pub fn log(&self) -> String {
        self.serin.log()
    }

    /// The process.
    #[must_use]
    pub fn serin(&self) -> &Serin {
        &self.serin
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.serin.id()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It does not end within [`crate::envoy::CAP`].
    pub fn wait(&mut self) -> Result<ExitStatus, Box<dyn Error>> {
        self.serin.wait()
    }

    /// The state directory.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// The file that it serves.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.path().join("serin.yaml")
    }

    /// The file of what people say.
    #[must_use]
    pub fn control(&self) -> PathBuf {
        self.directory.path().join("control.yaml")
    }

    /// Where its console is.
    ///
    /// # Errors
    /// It was not started with one.
    pub fn console(&self) -> Result<SocketAddr, Box<dyn Error>> {
        let log = self.log();
        let address = log.lines().find_map(|line| line.split_once("console at http://")).map(|(_, rest)| rest);
        let address = address.and_then(|rest| rest.split('/').next()).ok_or_else(|| format!("no console: {log}"))?;
        Ok(address.parse()?)
    }

    /// The file's text for a spec of the release.
    pub fn manifest(&self, spec: &Value) -> String {
        Setup { release: spec.clone(), ..self.setup.clone() }.manifest(self.listen, self.admin)
    }

    /// Replaces the file's release, and waits until every worker has the new document.
    ///
    /// # Errors
    /// They do not get it.
    pub fn apply(&self, spec: &Value) -> Result<(), Box<dyn Error>> {
        let before = self.adopted()?;
        self.replace(&self.manifest(spec))?;
        self.adopts_after(before)
    }

    /// What Envoy has adopted so far.
    ///
    /// # Errors
    /// Envoy does not answer.
    pub fn adopted(&self) -> Result<Adopted, Box<dyn Error>> {
        Ok(Adopted { count: self.documents("accepted")?, version: self.version()? })
    }

    /// Waits until every worker has the next document. It is the last of a change that a decision depends on, and workers take
    /// what they are given in its order: they have the new listener too.
    ///
    /// # Errors
    /// They do not get it.
    pub fn adopts_after(&self, before: Adopted) -> Result<(), Box<dyn Error>> {
        let Adopted { count, version: old } = before;
        let fail = |error: Box<dyn Error>, seen: &dyn Debug| format!("{error}: {seen:?}\n{}", self.log());
        let (mut written, mut taken) = (old.clone(), String::new());
        eventually("Envoy has the new document", || {
            written = self.version().unwrap_or_else(|_| old.clone());
            taken = self.taken().unwrap_or_default();
            written != old && written == taken
        })
        .map_err(|error| fail(error, &(&old, &written, &taken)))?;
        // Envoy configures each worker's VM and the main thread's, and for a document that it has not seen one that validates.
        let new = self.versions.lock().map(|mut versions| versions.insert(written)).unwrap_or_default();
        let (wanted, mut seen) = (count + self.setup.workers + if new { 2 } else { 1 }, count);
        eventually("every worker has the new document", || {
            seen = self.documents("accepted").unwrap_or(seen);
            seen >= wanted
        })
        .map_err(|error| fail(error, &(count, seen)).into())
    }

    /// The version of the filter's document that is written for Envoy.
    fn version(&self) -> Result<String, Box<dyn Error>> {
        let text: Value = serde_json::from_slice(&fs::read(self.state().join("ecds.json"))?)?;
        Ok(text.get("version_info").and_then(Value::as_str).ok_or("no version")?.to_owned())
    }

    /// The version that Envoy has taken.
    fn taken(&self) -> Result<String, Box<dyn Error>> {
        let name = "extension_config_discovery.http_filter.serin.version_text";
        let answer = Connection::open(self.admin)?.get("admin", &format!("/stats?filter=^{name}"), &[])?;
        let text = String::from_utf8(answer.body)?;
        Ok(text.split('"').nth(1).ok_or("no version")?.to_owned())
    }

    /// Replaces the file's text in one step, as an editor or `mv` does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace(&self, text: &str) -> std::io::Result<()> {
        self.put(text, &self.file())
    }

    /// Replaces the text of the file of what people say.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn replace_control(&self, text: &str) -> std::io::Result<()> {
        self.put(text, &self.control())
    }

    fn put(&self, text: &str, path: &Path) -> std::io::Result<()> {
        let next = self.directory.path().join("next");
        fs::write(&next, text)?;
        fs::rename(next, path)
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
        for task in fs::read_dir(format!("/proc/{}/task", self.id()))? {
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
