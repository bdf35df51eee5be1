//! A port: whoever reaches it may send anything, so that each connection has bounds in time and bytes, and there are only so many.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// What a peer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at the same time; others wait to be accepted.
    pub(super) connections: u32,
    /// Until the last header of a request is there.
    pub(super) head: Duration,
    /// From the first byte to the last one of the answer; a connection carries one request.
    pub(super) whole: Duration,
    /// Headers of a request.
    pub(super) headers: usize,
    /// Bytes of its head.
    pub(super) bytes: usize,
}

impl Limits {
    /// What proxies, Prometheus and probes stay far below, also when all proxies of a large mesh fetch a new filter.
    pub(super) const USUAL: Self = Self {
        connections: 1024,
        head: Duration::from_secs(10),
        whole: Duration::from_secs(30),
        headers: 64,
        bytes: 16 * 1024,
    };
}

/// Serves until `stop` says so; requests under way are answered.
pub(super) async fn serve(listener: TcpListener, router: Router, limits: Limits, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(usize::try_from(limits.connections).unwrap_or(Semaphore::MAX_PERMITS)));
    loop {
        let next = async {
            // It is never closed.
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            next = next => next,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok((stream, _)) = accepted else {
            // Too many open files, most likely: they become fewer.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            // A peer that goes away or takes too long is its own affair.
            let _ = timeout(limits.whole, connection(stream, router, limits, stop)).await;
            drop(slot);
        });
    }
    drop(listener);
    // Once all slots are free nobody waits for an answer.
    let _ = slots.acquire_many(limits.connections).await;
}

/// One request and its answer.
async fn connection(
    stream: TcpStream,
    router: Router,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) -> Result<(), hyper::Error> {
    let mut server = http1::Builder::new();
    server.keep_alive(false).timer(TokioTimer::new()).header_read_timeout(limits.head);
    server.max_headers(limits.headers).max_buf_size(limits.bytes);
    let service = TowerToHyperService::new(router);
    let mut connection = std::pin::pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        done = connection.as_mut() => return done,
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::{SocketAddr, TcpStream};

    use axum::routing::{get, post};
    use tokio::runtime::Runtime;

    use super::*;

    /// Long enough for anything that is not bounded.
    const CAP: Duration = Duration::from_secs(20);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: serin\r\n\r\n";

    /// A port with these limits, as long as the runtime lives.
    fn port(limits: Limits) -> (Runtime, watch::Sender<bool>, SocketAddr) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        // More than the buffers of a connection hold.
        let long = "x".repeat(64 << 20);
        let router = Router::new().route("/", get(|| async { "ok" })).route("/long", get(|| async { long }));
        let router = router.route("/echo", post(|body: String| async { body }));
        runtime.spawn(serve(listener, router, limits, stopped));
        (runtime, stop, address)
    }

    fn open(address: SocketAddr) -> TcpStream {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(CAP)).unwrap();
        stream
    }

    /// All that comes until the peer closes.
    fn rest(stream: &mut TcpStream) -> String {
        let mut answer = Vec::new();
        match stream.read_to_end(&mut answer) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("the connection is still open: {error}"),
            _ => String::from_utf8_lossy(&answer).into_owned(),
        }
    }

    fn answer(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = open(address);
        stream.write_all(request).unwrap();
        rest(&mut stream)
    }

    #[test]
    fn a_head_that_does_not_end_is_cut_off() {
        let (_runtime, _stop, address) = port(Limits { head: Duration::from_secs(1), whole: CAP * 10, ..Limits::USUAL });
        let begun = [&b""[..], b"GET / HTTP/1.1\r\nhost: s"].map(|begun| {
            let mut stream = open(address);
            stream.write_all(begun).unwrap();
            stream
        });
        for mut stream in begun {
            let answer = rest(&mut stream);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
        }
        assert!(answer(address, REQUEST).starts_with("HTTP/1.1 200"));
    }

    #[test]
    fn an_answer_that_nobody_reads_is_cut_off() {
        let (_runtime, _stop, address) = port(Limits { whole: Duration::from_millis(500), connections: 1, ..Limits::USUAL });
        let mut slow = open(address);
        slow.write_all(b"GET /long HTTP/1.1\r\nhost: serin\r\n\r\n").unwrap();
        // It has the only slot until then.
        assert!(answer(address, REQUEST).starts_with("HTTP/1.1 200"));
        assert!(rest(&mut slow).len() < 64 << 20);
    }

    #[test]
    fn connections_above_the_limit_wait_for_a_slot() {
        let head = Duration::from_millis(300);
        let (_runtime, _stop, address) = port(Limits { head, connections: 2, ..Limits::USUAL });
        let mut held = [open(address), open(address)];
        assert!(answer(address, REQUEST).starts_with("HTTP/1.1 200"));
        // It was answered after one of the others had gone.
        let is_gone = |stream: &mut TcpStream| {
            stream.set_nonblocking(true).unwrap();
            !matches!(stream.read(&mut [0; 256]), Err(error) if error.kind() == ErrorKind::WouldBlock)
        };
        assert!(held.iter_mut().any(is_gone), "three connections of two were open");
    }

    #[test]
    fn a_head_has_a_size() {
        let (_runtime, _stop, address) = port(Limits::USUAL);
        let with = |headers: &str| answer(address, format!("GET / HTTP/1.1\r\nhost: serin\r\n{headers}\r\n").as_bytes());
        let of = |count: usize| (0..count).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
        assert!(with(&of(60)).starts_with("HTTP/1.1 200"));
        assert!(with(&of(80)).starts_with("HTTP/1.1 431"));
        assert!(with(&format!("x: {}\r\n", "y".repeat(8 << 10))).starts_with("HTTP/1.1 200"));
        assert!(with(&format!("x: {}\r\n", "y".repeat(20 << 10))).starts_with("HTTP/1.1 431"));
    }

    #[test]
    fn it_ends_once_what_is_under_way_is_answered() {
        let (runtime, stop, address) = port(Limits::USUAL);
        let mut idle = open(address);
        let mut begun = open(address);
        begun.write_all(b"POST /echo HTTP/1.1\r\nhost: serin\r\ncontent-length: 4\r\nexpect: 100-continue\r\n\r\n").unwrap();
        // From then on it is under way, and not only on its way.
        let mut asked_for = [0; 25];
        begun.read_exact(&mut asked_for).unwrap();
        assert_eq!(&asked_for, b"HTTP/1.1 100 Continue\r\n\r\n");
        stop.send(true).unwrap();
        assert_eq!(rest(&mut idle), "");
        begun.write_all(b"body").unwrap();
        let answer = rest(&mut begun);
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("body"), "{answer}");
        drop(runtime);
    }
}
