//! Serin's own collector: it takes spans in Zipkin's JSON on the loopback interface and keeps the last traces in memory, for whoever of this
//! process reads them.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serin_console::trace::{Counts, Filter, Summary, Traces, read};
use serin_release::api::standalone::StandaloneSpec;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

/// Where spans are posted, as Zipkin has it.
const SPANS: &str = "/api/v2/spans";
/// Where traces are read: the newest ones, and behind a slash one by its id.
const TRACES: &str = "/traces";
/// Bytes of a body: a batch of spans has a few thousand.
const BODY: usize = 1 << 20;
/// How long a request may take, and its answer.
const CAP: Duration = Duration::from_secs(10);
/// Connections at the same time; others wait.
const CONNECTIONS: usize = 64;
/// How many traces are listed.
const LISTED: usize = 100;

/// The traces that are kept; a copy reads the same ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    traces: Arc<Mutex<Traces>>,
    /// Where spans are taken, once they are.
    endpoint: Arc<OnceLock<String>>,
}

impl Kept {
    /// Whether this is where spans are sent.
    pub(crate) fn is(&self, endpoint: &str) -> bool {
        self.endpoint.get().is_some_and(|own| own == endpoint)
    }

    /// Looks at the traces; spans that come meanwhile wait.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Traces) -> T) -> T {
        look(&self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Traces> {
        // Whoever panicked was reading, or has added some of its spans: the others are as they were.
        self.traces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serin's own collector, which runs from the first spec on that needs it.
#[derive(Debug, Default)]
pub(super) struct Collector {
    kept: Kept,
    address: Option<SocketAddr>,
}

impl Collector {
    /// The traces that are kept.
    pub(super) fn kept(&self) -> Kept {
        self.kept.clone()
    }

    /// Makes itself the endpoint of a spec that traces and names none.
    ///
    /// # Errors
    /// It cannot listen.
    pub(super) async fn stand_in(&mut self, spec: &mut StandaloneSpec) -> Result<(), String> {
        let Some(tracing) = spec.tracing.as_mut().filter(|tracing| tracing.endpoint.is_none()) else { return Ok(()) };
        let address = match self.address {
            Some(address) => address,
            None => serve(self.kept.clone())
                .await
                .map_err(|error| format!("spec.tracing: nobody can listen on 127.0.0.1: {error}; name an `endpoint`"))?,
        };
        self.address = Some(address);
        let endpoint = self.kept.endpoint.get_or_init(|| format!("http://{address}{SPANS}"));
        tracing.endpoint = Some(endpoint.clone());
        Ok(())
    }
}

/// Takes spans at a port that the system chooses, as long as the process lives.
async fn serve(kept: Kept) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::spawn(async move {
        loop {
            // It is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await;
            let Ok((stream, _)) = listener.accept().await else {
                // Too many open files, most likely: they become fewer.
                sleep(CAP / 100).await;
                continue;
            };
            let kept = kept.clone();
            tokio::spawn(async move {
                // A client that goes away or takes too long is the client's affair.
                let _ = timeout(2 * CAP, connection(stream, kept)).await;
                drop(slot);
            });
        }
    });
    Ok(address)
}

/// One request and its answer: on a connection that is kept a batch could meet its end.
async fn connection(stream: TcpStream, kept: Kept) -> Result<(), hyper::Error> {
    let service = service_fn(move |request| {
        let kept = kept.clone();
        async move { Ok::<_, Infallible>(answer(request, &kept).await) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(CAP);
    server.serve_connection(TokioIo::new(stream), service).await
}

/// The newest traces.
#[derive(Serialize)]
struct List {
    traces: Vec<Summary>,
    counts: Counts,
}

async fn answer(request: Request<Incoming>, kept: &Kept) -> Response<Full<Bytes>> {
    if !is_of_this_machine(&request) {
        // A page of a browser may have any name lead here.
        return sentence(StatusCode::FORBIDDEN, "the host is not a loopback address; use the URL that serin logs");
    }
    let path = request.uri().path().to_owned();
    match (request.method(), path.strip_prefix(TRACES)) {
        (&Method::POST, _) if path == SPANS => take(request, kept).await,
        (&Method::GET, Some("" | "/")) => {
            let filter = Filter { limit: Some(LISTED), ..Filter::default() };
            json(&kept.read(|traces| List { traces: traces.list(&filter), counts: traces.counts() }))
        }
        (&Method::GET, Some(id)) => match kept.read(|traces| traces.get(id.trim_start_matches('/'))) {
            Some(trace) => json(&trace),
            None => sentence(
                StatusCode::NOT_FOUND,
                "there is no trace of this id; it was not sampled, or newer ones took its place",
            ),
        },
        _ => {
            let words = format!("there is nothing at this path; POST {SPANS}, or GET {TRACES}");
            sentence(StatusCode::NOT_FOUND, &words)
        }
    }
}

/// Whether a request names this machine by an address or as `localhost`.
fn is_of_this_machine(request: &Request<Incoming>) -> bool {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Takes a batch of spans.
async fn take(request: Request<Incoming>, kept: &Kept) -> Response<Full<Bytes>> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/json") {
        // A page of a browser cannot send this type to another origin without asking first.
        let words = "spans are taken as JSON; send `content-type: application/json`";
        return sentence(StatusCode::UNSUPPORTED_MEDIA_TYPE, words);
    }
    let body = match Limited::new(request.into_body(), BODY).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            let words = format!("the body has more than {BODY} bytes; send fewer spans at a time");
            return sentence(StatusCode::PAYLOAD_TOO_LARGE, &words);
        }
        Err(error) => return sentence(StatusCode::BAD_REQUEST, &format!("the body broke off: {error}; send it again")),
    };
    match read(&body) {
        Ok(spans) => {
            kept.lock().add(spans);
            // Envoy counts every other status as a loss.
            sentence(StatusCode::ACCEPTED, "")
        }
        Err(words) => sentence(StatusCode::BAD_REQUEST, &words),
    }
}

fn sentence(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let body = if words.is_empty() { String::new() } else { format!("{words}\n") };
    respond(status, "text/plain; charset=utf-8", body)
}

fn json(value: &impl Serialize) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, "application/json", serde_json::to_string(value).unwrap_or_default())
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const JSON: &str = "content-type: application/json\r\n";

    /// The answer to a request that is sent in pieces.
    async fn send(address: SocketAddr, pieces: &[String]) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        for piece in pieces {
            // A server that refuses the rest may have closed.
            if stream.write_all(piece.as_bytes()).await.is_err() {
                break;
            }
            stream.flush().await.unwrap();
        }
        let mut text = Vec::new();
        // Bytes that it has not read reset the connection behind its answer.
        let _ = stream.read_to_end(&mut text).await;
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_default();
        (head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default(), body.to_owned())
    }

    async fn post(address: SocketAddr, headers: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head = format!("POST {SPANS} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {length}\r\n{headers}\r\n");
        send(address, &[head, body.to_owned()]).await
    }

    async fn get(address: SocketAddr, host: &str, path: &str) -> (u16, String) {
        send(address, &[format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n")]).await
    }

    fn span(trace: u32, id: u32) -> String {
        format!(r#"{{"traceId": "{trace:x}", "id": "{id:x}", "timestamp": {id}, "duration": 1}}"#)
    }

    #[tokio::test]
    async fn chunked_batches_are_taken_and_read_back() {
        let kept = Kept::default();
        let address = serve(kept.clone()).await.unwrap();
        assert!(address.ip().is_loopback());
        let head = format!("POST {SPANS} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n{JSON}\r\n");
        let body = format!("[{}, {}]", span(1, 1), span(2, 1));
        let (one, other) = body.split_at(20);
        let chunk = |part: &str| format!("{:x}\r\n{part}\r\n", part.len());
        let pieces = [head, chunk(one), chunk(other), "0\r\n\r\n".to_owned()];
        assert_eq!(send(address, &pieces).await, (202, String::new()));
        assert_eq!(post(address, JSON, &format!("[{}]", span(1, 2))).await, (202, String::new()));
        let spans = |id: &str| kept.read(|traces| traces.get(id).map(|trace| trace.flat().len()));
        assert_eq!((spans("1"), spans("2"), spans("3")), (Some(2), Some(1), None));
        let (status, list) = get(address, "127.0.0.1", TRACES).await;
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        assert_eq!((status, list["traces"].as_array().unwrap().len()), (200, 2));
        assert_eq!(list["counts"], serde_json::json!({"spans": 3, "droppedTraces": 0, "droppedSpans": 0}));
        let (status, trace) = get(address, "[::1]:80", "/traces/0000000000000001").await;
        let trace: serde_json::Value = serde_json::from_str(&trace).unwrap();
        assert_eq!((status, &trace["roots"][1]["span"]["id"]), (200, &"0000000000000002".into()));
        assert_eq!(get(address, "localhost", "/traces/3").await.0, 404);
    }

    #[tokio::test]
    async fn what_is_refused_loses_nothing() {
        let kept = Kept::default();
        let address = serve(kept.clone()).await.unwrap();
        post(address, JSON, &format!("[{}]", span(1, 1))).await;
        let bad = format!("[{}, {{\"traceId\": \"x\", \"id\": \"1\"}}]", span(2, 1));
        for (headers, body, status, words) in [
            (JSON, bad.as_str(), 400, "span 2: `x` is not an id; send 1 to 32 hexadecimal digits\n"),
            (
                JSON,
                "[{",
                400,
                "the body is not a list of spans: EOF while parsing an object at line 1 column 2; send JSON of Zipkin, version 2\n",
            ),
            ("", "[]", 415, "spans are taken as JSON; send `content-type: application/json`\n"),
            ("content-type: text/plain\r\n", "[]", 415, "spans are taken as JSON; send `content-type: application/json`\n"),
        ] {
            assert_eq!(post(address, headers, body).await, (status, words.to_owned()), "{body}");
        }
        let long = format!("[{}{}]", span(3, 1), " ".repeat(BODY));
        assert_eq!(post(address, JSON, &long).await.0, 413);
        let host = (403, "the host is not a loopback address; use the URL that serin logs\n".to_owned());
        assert_eq!(get(address, "evil.example.com", TRACES).await, host);
        assert_eq!(get(address, "127.0.0.1.example.com:80", TRACES).await, host);
        assert_eq!(get(address, "localhost", "/").await.0, 404);
        assert_eq!(kept.read(Traces::counts), Counts { spans: 1, ..Counts::default() });
    }

    #[tokio::test]
    async fn a_reader_that_panics_stops_nobody() {
        let kept = Kept::default();
        let address = serve(kept.clone()).await.unwrap();
        let reader = kept.clone();
        assert!(std::thread::spawn(move || reader.read(|_| panic!("a bug"))).join().is_err());
        assert_eq!(post(address, JSON, &format!("[{}]", span(1, 1))).await.0, 202);
        assert_eq!(kept.read(Traces::len), 1);
    }

    #[tokio::test]
    async fn it_stands_in_where_a_spec_traces_and_names_no_endpoint() {
        let spec = |tracing: &str| -> StandaloneSpec {
            serde_json::from_str(&format!("{{\"listen\": \"127.0.0.1:1\", \"services\": []{tracing}}}")).unwrap()
        };
        let mut collector = Collector::default();
        let mut endpoint = async |tracing: &str| {
            let mut spec = spec(tracing);
            collector.stand_in(&mut spec).await.unwrap();
            (spec.tracing.and_then(|tracing| tracing.endpoint), collector.address)
        };
        assert_eq!(endpoint("").await, (None, None));
        let other = "http://127.0.0.1:9411/api/v2/spans";
        assert_eq!(endpoint(&format!(", \"tracing\": {{\"endpoint\": \"{other}\"}}")).await, (Some(other.to_owned()), None));
        let first = endpoint(", \"tracing\": {}").await;
        assert_eq!(first.0, first.1.map(|address| format!("http://{address}/api/v2/spans")));
        assert!(first.0.is_some());
        assert_eq!(endpoint(", \"tracing\": {\"sampling\": \"5%\"}").await, first);
        assert!(collector.kept().read(Traces::is_empty));
    }
}
