//! A whole mesh: API server, istiod, Envoys, pods. `tests/stack/` starts it; this is the inside of its network namespace.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::Connection;

/// How long anything in the mesh may take.
pub const CAP: Duration = Duration::from_secs(60);
/// The client's sidecar: where requests to port 9080 of any Service enter the mesh.
const SIDECAR: &str = "127.0.0.1:9080";
/// The ingress gateway.
const GATEWAY: &str = "127.0.0.1:18080";
/// Where the controller serves.
pub const CONTROLLER: &str = "127.0.0.1:18085";

/// Short waits: a mesh on one machine is quick.
const QUICK: &[&str] = &[
    "--lease-seconds",
    "3",
    "--settle-ms",
    "300",
    "--drain-ms",
    "600",
    "--log-level",
    "info,serin_controller=debug,kube_runtime=error,kube_client=error",
];

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Waits until something holds.
///
/// # Errors
/// It does not hold within [`CAP`]; the message says what was last seen.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<std::result::Result<T, String>>) -> Result<T> {
    let start = Instant::now();
    loop {
        let seen = match look() {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(seen)) => seen,
            Err(error) => error.to_string(),
        };
        if start.elapsed() > CAP {
            return Err(format!("not within {CAP:?}: {what}; last seen: {seen}").into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a program with a text on its standard input and answers with its standard output.
fn run(command: &mut Command, input: &str) -> Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no standard input")?;
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    // A program that fails may not read all of it.
    let _ = writer.join();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into()),
    }
}

fn variable(name: &str) -> Result<PathBuf> {
    std::env::var_os(name).map(PathBuf::from).ok_or_else(|| format!("{name} is not set; run tests/stack/run.sh").into())
}

/// `kubectl` with these arguments and this standard input.
///
/// # Errors
/// What it says.
pub fn kubectl(arguments: &[&str], input: &str) -> Result<String> {
    run(Command::new(variable("KUBECTL")?).args(arguments), input)
}

/// Applies objects, each as its owner would.
///
/// # Errors
/// What the API server says.
pub fn apply(objects: &[Value]) -> Result<()> {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    kubectl(&["apply", "-f", "-"], &list.to_string()).map(|_| ())
}

/// An object.
///
/// # Errors
/// It is not there.
pub fn get(kind: &str, namespace: &str, name: &str) -> Result<Value> {
    Ok(serde_json::from_str(&kubectl(&["get", kind, "-n", namespace, name, "-o", "json"], "")?)?)
}

/// Changes an object by a merge patch.
///
/// # Errors
/// What the API server says.
pub fn patch(kind: &str, namespace: &str, name: &str, patch: &Value) -> Result<()> {
    kubectl(&["patch", kind, "-n", namespace, name, "--type=merge", "-p", &patch.to_string()], "").map(|_| ())
}

/// Starts, stops, kills or restarts a process of the mesh, such as `etcd` or `istiod`.
///
/// # Errors
/// What the stack says.
pub fn process(action: &str, name: &str) -> Result<()> {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("stack/ctl.sh");
    run(Command::new(script).args([action, name]), "").map(|_| ())
}

/// A Service `reviews` in a namespace of its own, with Deployments of these versions and numbers of pods, all of them ready.
///
/// # Errors
/// They do not become ready.
pub fn reviews(namespace: &str, versions: &[(&str, u32)]) -> Result<()> {
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}),
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews", "namespace": namespace},
            "spec": {"selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080, "targetPort": 8000}]}}),
    ];
    objects.extend(versions.iter().map(|(version, replicas)| deployment(namespace, version, *replicas)));
    apply(&objects)?;
    for (version, _) in versions {
        kubectl(&["rollout", "status", "-n", namespace, &format!("deployment/reviews-{version}"), "--timeout=60s"], "")?;
    }
    Ok(())
}

/// A Deployment of `reviews`.
#[must_use]
pub fn deployment(namespace: &str, version: &str, replicas: u32) -> Value {
    let labels = json!({"app": "reviews", "version": version});
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("reviews-{version}"), "namespace": namespace, "labels": labels},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "reviews", "image": format!("examples-bookinfo-reviews-{version}:1.16.2")}]}}}})
}

/// A release `reviews` with this spec, whose Service and stable version are `reviews` and `v1` unless it says otherwise.
#[must_use]
pub fn release(namespace: &str, spec: Value) -> Value {
    let mut whole = json!({"service": "reviews", "stable": {"version": "v1"}});
    for (name, value) in spec.as_object().into_iter().flatten() {
        whole[name] = value.clone();
    }
    json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": {"name": "reviews", "namespace": namespace}, "spec": whole})
}

/// The condition of a release: status, reason and message.
///
/// # Errors
/// It is not there.
pub fn condition(namespace: &str, name: &str, kind: &str) -> Result<(String, String, String)> {
    let object = get("crel", namespace, name)?;
    let found = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
    let condition = found
        .into_iter()
        .find(|condition| condition["type"] == kind)
        .ok_or_else(|| format!("no condition {kind}: {object}"))?;
    let text = |field: &str| condition[field].as_str().unwrap_or_default().to_owned();
    Ok((text("status"), text("reason"), text("message")))
}

/// Waits until the status speaks of the current spec, and a condition has this reason.
///
/// # Errors
/// It never has.
pub fn await_reason(namespace: &str, name: &str, kind: &str, reason: &str) -> Result<String> {
    eventually(&format!("{kind} of {namespace}/{name} is {reason}"), || {
        let object = get("crel", namespace, name)?;
        if object["status"]["observedGeneration"] != object["metadata"]["generation"] {
            return Ok(Err(format!("generation {} observed", object["status"]["observedGeneration"])));
        }
        let (_, found, message) = condition(namespace, name, kind)?;
        Ok(if found == reason { Ok(message) } else { Err(format!("{found}: {message}")) })
    })
}

/// What a request got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The version of the pod that answered.
    pub version: String,
}

/// A client in the mesh, on one connection.
pub struct Client {
    connection: Connection,
    host: String,
}

impl Client {
    /// A client of a Service, through its own sidecar.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn of(namespace: &str) -> Result<Self> {
        Ok(Self {
            connection: Connection::open(SIDECAR.parse()?)?,
            host: format!("reviews.{namespace}.svc.cluster.local:9080"),
        })
    }

    /// A client outside of the mesh, at its gateway.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn at_gateway(host: &str) -> Result<Self> {
        Ok(Self { connection: Connection::open(GATEWAY.parse()?)?, host: host.to_owned() })
    }

    /// A request.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn ask(&mut self, path: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let headers: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
        let response = self.connection.get(&self.host, path, &headers)?;
        Ok(Answer { status: response.status, version: response.header("x-pod-version").unwrap_or_default() })
    }
}

/// A request as the story tells it: `:path`, and headers.
pub type Request = (String, Vec<(String, String)>);

/// 1 000 users: each with a cookie; some of them testers, some on a phone, some on another page.
#[must_use]
pub fn users() -> Vec<Request> {
    let user = |number: u32| {
        let mut headers = vec![("cookie".to_owned(), format!("a=b; user=person-{number:04}"))];
        if number % 10 == 0 {
            headers.push(("x-team".to_owned(), "qa".to_owned()));
        }
        if number % 15 == 0 {
            headers = vec![("cookie".to_owned(), format!("beta=1; user=person-{number:04}"))];
        }
        let path = if number % 25 == 0 { "/api/v2/reviews" } else { "/reviews/0" };
        (path.to_owned(), headers)
    };
    (0..1000).map(user).collect()
}

/// How many of these requests each version gets, by asking in the mesh.
///
/// # Errors
/// The mesh does not answer, or an answer is no 200.
pub fn counts(client: &mut Client, requests: &[Request]) -> Result<Vec<String>> {
    let mut versions = Vec::with_capacity(requests.len());
    for (path, headers) in requests {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = client.ask(path, &headers)?;
        if answer.status != 200 {
            return Err(format!("{path}: status {}", answer.status).into());
        }
        versions.push(answer.version);
    }
    Ok(versions)
}

/// What `serin explain` says of these requests, by the release as the API server has it.
///
/// # Errors
/// What the command says.
pub fn explained(namespace: &str, requests: &[Request]) -> Result<Vec<String>> {
    let directory = tempfile::TempDir::new()?;
    let file = directory.path().join("release.json");
    std::fs::write(&file, kubectl(&["get", "crel", "-n", namespace, "reviews", "-o", "json"], "")?)?;
    let lines: String = requests
        .iter()
        .map(|(path, headers)| {
            let mut all = vec![json!([":path", path])];
            all.extend(headers.iter().map(|(name, value)| json!([name, value])));
            format!(
                "{}\n",
                json!({"id": "x", "headers": all, "destination": format!("reviews.{namespace}.svc.cluster.local:9080")})
            )
        })
        .collect();
    let answers = run(Command::new(crate::command()?).args(["explain", "-f"]).arg(&file).args(["--requests", "-"]), &lines)?;
    let version = |line: &str| -> Result<String> {
        let answer: Value = serde_json::from_str(line)?;
        answer["version"].as_str().map(str::to_owned).ok_or_else(|| line.to_owned().into())
    };
    answers.lines().map(version).collect()
}

/// Waits until each of the 1 000 users gets what `serin explain` says.
///
/// # Errors
/// They never do; the message says how many do not.
pub fn agree(namespace: &str, client: &mut Client) -> Result<BTreeMap<String, usize>> {
    let requests = users();
    eventually(&format!("{namespace}: requests go where `serin explain` says"), || {
        let (told, seen) = (explained(namespace, &requests)?, counts(client, &requests)?);
        let different = told.iter().zip(&seen).filter(|(told, seen)| told != seen).count();
        let mut counts = BTreeMap::new();
        for version in seen {
            *counts.entry(version).or_default() += 1;
        }
        Ok(if different == 0 { Ok(counts) } else { Err(format!("{different} of 1000 differ; {counts:?}")) })
    })
}

/// Somebody who asks all the time, and notes what is no 200.
pub struct Watcher {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<(usize, Vec<String>)>>,
}

impl Watcher {
    /// Starts asking for a Service, each time as another user, also with what only rules send to a canary.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn start(namespace: &str) -> Result<Self> {
        let mut client = Client::of(namespace)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let (mut asked, mut failures) = (0, Vec::new());
            let requests = users();
            for (path, headers) in requests.iter().cycle() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                asked += 1;
                match client.ask(path, &headers) {
                    Ok(answer) if answer.status == 200 => {}
                    Ok(answer) => failures.push(format!("request {asked}: status {}", answer.status)),
                    Err(error) => {
                        failures.push(format!("request {asked}: {error}"));
                        break;
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            (asked, failures)
        });
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends, and says how many requests were made.
    ///
    /// # Errors
    /// A request failed.
    pub fn finish(mut self) -> Result<usize> {
        self.stop.store(true, Ordering::Relaxed);
        let (asked, failures) = self.thread.take().ok_or("ended already")?.join().map_err(|_| "the client panicked")?;
        match failures.first() {
            None => Ok(asked),
            Some(first) => Err(format!("{} of {asked} requests failed, first: {first}", failures.len()).into()),
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// A running `serin controller`; it ends with this value.
pub struct Controller {
    process: Child,
    log: PathBuf,
    listen: String,
}

impl Controller {
    /// Starts one that may do exactly what `deploy/rbac.yaml` says, and waits until it serves.
    ///
    /// # Errors
    /// It does not serve; the message holds its log.
    pub fn start(name: &str, listen: &str, more: &[&str]) -> Result<Self> {
        let mut running = Self::spawn(name, listen, &kubeconfig()?, more)?;
        eventually("the controller is ready", || {
            if let Some(status) = running.process.try_wait()? {
                return Err(format!("it ended: {status}\n{}", running.log()).into());
            }
            Ok(if running.http("/readyz").is_ok_and(|(status, _)| status == 200) { Ok(()) } else { Err("not ready".into()) })
        })?;
        Ok(running)
    }

    /// Starts one with this kubeconfig.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn spawn(name: &str, listen: &str, kubeconfig: &std::path::Path, more: &[&str]) -> Result<Self> {
        let log = variable("RUN")?.join(format!("log/{name}"));
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&log)?;
        let process = Command::new(crate::command()?)
            .args(["controller", "--identity", name, "--listen", listen, "--serve-url", &format!("http://{listen}")])
            .args(if more.contains(&"--settle-ms") { &[][..] } else { QUICK })
            .args(more)
            .env("KUBECONFIG", kubeconfig)
            .env_remove("POD_NAMESPACE")
            .env_remove("POD_NAME")
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()?;
        Ok(Self { process, log, listen: listen.to_owned() })
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// An answer of its own server: status and body.
    ///
    /// # Errors
    /// It does not answer.
    pub fn http(&self, path: &str) -> Result<(u16, Vec<u8>)> {
        let response = Connection::open(self.listen.parse::<SocketAddr>()?)?.get(&self.listen, path, &[])?;
        Ok((response.status, response.body))
    }

    /// The sum of a counter over all labels that contain a text.
    ///
    /// # Errors
    /// It does not answer.
    pub fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let (_, body) = self.http("/metrics")?;
        let text = String::from_utf8(body)?;
        let lines = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// How many writes have been made or tried.
    ///
    /// # Errors
    /// It does not answer.
    pub fn writes(&self) -> Result<f64> {
        self.metric("serin_writes_total", "")
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// `kill` cannot be run.
    pub fn signal(&self, signal: &str) -> Result<()> {
        run(Command::new("kill").args([signal, &self.process.id().to_string()]), "").map(|_| ())
    }

    /// Ends it by SIGTERM and answers with its exit code.
    ///
    /// # Errors
    /// It does not end.
    pub fn terminate(mut self) -> Result<Option<i32>> {
        self.signal("-TERM")?;
        eventually("the controller ends", || Ok(self.process.try_wait()?.ok_or_else(|| "it runs".to_owned())))
            .map(|status| status.code())
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// It does not end.
    pub fn ended(&mut self) -> Result<()> {
        eventually("the controller has ended", || {
            Ok(self.process.try_wait()?.map(|_| ()).ok_or_else(|| "it runs".to_owned()))
        })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        // It may have ended already, or be stopped.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Installs the definition, the namespace and the rights of the controller.
///
/// # Errors
/// What the API server says.
pub fn install() -> Result<()> {
    let deploy = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "serin-system"}});
    let account =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "serin", "namespace": "serin-system"}});
    apply(&[namespace, account])?;
    for file in ["crds/canaryreleases.serin.dev.yaml", "rbac.yaml"] {
        let path = deploy.join(file);
        kubectl(&["apply", "--server-side", "-f", path.to_str().ok_or("the path is no text")?], "")?;
    }
    kubectl(&["wait", "--for=condition=established", "crd/canaryreleases.serin.dev", "--timeout=60s"], "").map(|_| ())
}

/// A kubeconfig of the ServiceAccount of the controller.
///
/// # Errors
/// There is no token for it.
pub fn kubeconfig() -> Result<PathBuf> {
    let path = variable("RUN")?.join("controller.kubeconfig");
    if path.is_file() {
        return Ok(path);
    }
    let token = kubectl(&["create", "token", "-n", "serin-system", "serin", "--duration=2h"], "")?;
    let admin: Value = serde_saphyr::from_str(&std::fs::read_to_string(variable("KUBECONFIG")?)?)?;
    let config = json!({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": admin["clusters"][0]["cluster"]}],
        "users": [{"name": "u", "user": {"token": token.trim()}}], "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}]});
    std::fs::write(&path, config.to_string())?;
    Ok(path)
}
