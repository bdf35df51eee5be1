//! Clients of the mesh, and what `serin explain` says of their requests.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use serin_release::domain::ClusterDomain;

use super::{CAP, Result, domain, eventually_within, kubectl, run};
use crate::http::Connection;

/// The client's sidecar: where requests to port 9080 of any Service enter the mesh.
const SIDECAR: &str = "127.0.0.1:9080";
/// The ingress gateway.
const GATEWAY: &str = "127.0.0.1:18080";
/// What a request got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The version of the pod that answered.
    pub version: String,
    /// What a proxy says of itself where no pod answered.
    pub body: String,
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
        Self::of_service(namespace, "reviews")
    }

    /// The same of another Service than `reviews`.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn of_service(namespace: &str, service: &str) -> Result<Self> {
        let host = format!("{service}.{namespace}.svc.{}:9080", domain());
        Ok(Self { connection: Connection::open(SIDECAR.parse()?)?, host })
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
        let body = String::from_utf8_lossy(&response.body).into_owned();
        Ok(Answer { status: response.status, version: response.header("x-pod-version").unwrap_or_default(), body })
    }

    /// The cookie that somebody without any is given.
    ///
    /// # Errors
    /// The connection breaks.
    pub fn issued(&mut self) -> Result<Option<String>> {
        Ok(self.connection.get(&self.host, "/reviews/0", &[])?.header("set-cookie"))
    }
}

/// A request as the story tells it: `:path`, and headers.
pub type Request = (String, Vec<(String, String)>);

/// 1 000 users: each with a cookie; some of them testers, some on a phone, some on another page.
#[must_use]
pub fn users() -> Vec<Request> {
    let user = |number: u32| {
        let mut headers = vec![("cookie".to_owned(), format!("a=b; user=person-{number:04}"))];
        if number.is_multiple_of(10) {
            headers.push(("x-team".to_owned(), "qa".to_owned()));
        }
        if number.is_multiple_of(15) {
            headers = vec![("cookie".to_owned(), format!("beta=1; user=person-{number:04}"))];
        }
        let path = if number.is_multiple_of(25) { "/api/v2/reviews" } else { "/reviews/0" };
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
            return Err(format!("{path}: status {}: {}", answer.status, answer.body).into());
        }
        versions.push(answer.version);
    }
    Ok(versions)
}

/// Waits until the mesh answers each of these requests, whichever version does.
///
/// # Errors
/// It never does; the message has the first request that it does not.
pub fn all_answered(client: &mut Client, requests: &[Request]) -> Result<()> {
    eventually_within(CAP, "each request is answered", || {
        Ok(counts(client, requests).map(|_| ()).map_err(|error| error.to_string()))
    })
}

/// What `serin explain` says of these requests, by the release and its CanaryControl as the API server has them.
///
/// # Errors
/// What the command says.
pub fn explained(namespace: &str, requests: &[Request]) -> Result<Vec<String>> {
    let directory = tempfile::TempDir::new()?;
    let file = directory.path().join("release.json");
    let objects = ["get", "-n", namespace, "crel/reviews", "cctl/reviews", "--ignore-not-found", "-o", "json"];
    std::fs::write(&file, kubectl(&objects, "")?)?;
    let lines: String = requests
        .iter()
        .map(|(path, headers)| {
            let mut all = vec![json!([":path", path])];
            all.extend(headers.iter().map(|(name, value)| json!([name, value])));
            format!(
                "{}\n",
                match domain().as_str() {
                    ClusterDomain::USUAL => json!({"id": "x", "headers": all, "destination": format!("reviews.{namespace}.svc.cluster.local:9080")}),
                    // A file does not say of which domain its cluster is; the only release of a file is found without.
                    _ => json!({"id": "x", "headers": all}),
                }
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
    agree_within(CAP, namespace, client)
}

/// The same with another cap.
///
/// # Errors
/// They do not within `cap`.
pub fn agree_within(cap: Duration, namespace: &str, client: &mut Client) -> Result<BTreeMap<String, usize>> {
    let requests = users();
    eventually_within(cap, &format!("{namespace}: requests go where `serin explain` says"), || {
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
        Ok(Self::with(Client::of(namespace)?))
    }

    /// Starts asking as this client, in the same way.
    #[must_use]
    pub fn with(mut client: Client) -> Self {
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
                    Ok(answer) => failures.push(format!("request {asked}: status {}: {}", answer.status, answer.body)),
                    Err(error) => {
                        failures.push(format!("request {asked}: {error}"));
                        break;
                    }
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            (asked, failures)
        });
        Self { stop, thread: Some(thread) }
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
