//! Whether proxies can get the filter where they are told to: its url is asked for, and the bytes are compared with their digest.
//!
//! What answers here may still be out of a proxy's reach, and the other way round; a wrong url, a Service without endpoints and other
//! bytes are found.

use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serin_mesh::digest::digest;
use serin_mesh::documents::{Filter, Module};
use serin_mesh::publication::Reachability;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::cause;

/// How long an answer may take.
const CAP: Duration = Duration::from_secs(5);
/// The most bytes that a module may have.
const MOST_BYTES: usize = 8 << 20;
/// Between two looks, while all is well and while it is not.
const APART: Duration = Duration::from_secs(30);
const SOON: Duration = Duration::from_secs(1);
/// So many failures in a row are no accident: a Service needs a moment to know a pod that is ready.
const SEVERAL: u32 = 5;

/// Looks at a filter's urls for as long as somebody wants to know.
pub(super) async fn watch(filter: Filter, found: watch::Sender<Reachability>) {
    let modules: Vec<Module> =
        std::iter::once(filter.any).chain(filter.requests).filter(|module| can_ask(&module.url)).collect();
    let mut failures = 0;
    while !found.is_closed() {
        let mut outcome = Ok(());
        for module in &modules {
            outcome = outcome.and(ask(module).await);
        }
        failures = if outcome.is_ok() { 0 } else { failures + 1 };
        let now = match outcome {
            Ok(()) => Some(Reachability::Reachable),
            Err(cause) if failures >= SEVERAL => Some(Reachability::Unreachable(cause)),
            Err(_) => None,
        };
        if let Some(now) = now {
            found.send_if_modified(|before| {
                let differs = *before != now;
                *before = now;
                differs
            });
        }
        sleep(if failures == 0 { APART } else { SOON }).await;
    }
}

/// Whether a url can be asked for from here: what comes over TLS, from a registry or a file is the agents' business.
fn can_ask(url: &str) -> bool {
    url.starts_with("http://")
}

/// Fetches a module as a proxy's agent does.
async fn ask(module: &Module) -> Result<(), String> {
    let because = |cause: String| format!("{}: {cause}", module.url);
    let answer = timeout(CAP, fetch(&module.url)).await.map_err(|_| because(format!("no answer within {CAP:?}")))?;
    let bytes = answer.map_err(because)?;
    match &module.sha256 {
        Some(expected) if *expected != digest(&bytes) => Err(because("the bytes there have another digest".to_owned())),
        _ => Ok(()),
    }
}

async fn fetch(url: &str) -> Result<Bytes, String> {
    let uri: Uri = url.parse().map_err(|error| format!("not a url: {error}"))?;
    let host = uri.host().ok_or("the url has no host")?;
    let stream = TcpStream::connect((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(80))).await;
    let stream = stream.map_err(|error| cause(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| cause(&error))?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let request = Request::get(path).header("host", authority).body(Empty::<Bytes>::new()).map_err(|error| cause(&error))?;
    let response = sender.send_request(request).await.map_err(|error| cause(&error))?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answers with status {}", response.status().as_u16()));
    }
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
    body.map(|body| body.to_bytes()).map_err(|error| error.to_string())
}
