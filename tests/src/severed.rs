//! A way to the API server that breaks: at a write of choice the writer is killed, after the API server has done what was asked.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use serde_json::json;

use crate::mesh::eventually;

/// `kubectl proxy`, which speaks plain HTTP, with an account's rights.
pub struct Plain {
    process: Child,
    address: SocketAddr,
}

impl Drop for Plain {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Plain {
    /// Starts it for an account.
    ///
    /// # Errors
    /// It does not answer.
    pub fn start(kubeconfig: &Path) -> Result<Self, Box<dyn Error>> {
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let kubectl = std::env::var_os("KUBECTL").ok_or("KUBECTL is not set")?;
        let process = Command::new(kubectl)
            .arg("--kubeconfig")
            .arg(kubeconfig)
            .args(["proxy", "--port", &address.port().to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        eventually("kubectl proxy listens", || {
            Ok(TcpStream::connect(address).map(|_| ()).map_err(|error| error.to_string()))
        })?;
        Ok(Self { process, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A way through it that counts writes, those of the lease left out, and kills a process at one of them.
    ///
    /// # Errors
    /// No address is free.
    pub fn severed_at(&self, write: usize, directory: &Path) -> Result<Severed, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let config = json!({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "u", "user": {}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "current-context": "c"});
        let kubeconfig = directory.join(format!("severed-{write}.kubeconfig"));
        std::fs::write(&kubeconfig, config.to_string())?;
        let state = Arc::new(State { at: write, seen: AtomicUsize::new(0), victim: AtomicU32::new(0) });
        let (shared, upstream) = (Arc::clone(&state), self.address);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || forward(connection, upstream, &state));
            }
        });
        Ok(Severed { kubeconfig, state })
    }
}

/// A way to the API server that breaks.
pub struct Severed {
    /// What leads there.
    pub kubeconfig: PathBuf,
    state: Arc<State>,
}

struct State {
    at: usize,
    seen: AtomicUsize,
    victim: AtomicU32,
}

impl Severed {
    /// Names the process that is killed.
    pub fn victim(&self, process: u32) {
        self.state.victim.store(process, Ordering::SeqCst);
    }

    /// Whether the write of choice was made.
    #[must_use]
    pub fn happened(&self) -> bool {
        self.state.seen.load(Ordering::SeqCst) >= self.state.at
    }
}

fn forward(client: TcpStream, upstream: SocketAddr, state: &Arc<State>) {
    let Ok(server) = TcpStream::connect(upstream) else { return };
    let (Ok(mut from_client), Ok(mut to_server)) = (client.try_clone(), server.try_clone()) else { return };
    let fatal = Arc::new(AtomicUsize::new(0));
    let (there, watched) = (Arc::clone(&fatal), Arc::clone(state));
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = from_client.read(&mut buffer) {
            let chunk = buffer.get(..length).unwrap_or_default();
            if is_write(chunk) && watched.seen.fetch_add(1, Ordering::SeqCst) + 1 == watched.at {
                there.store(1, Ordering::SeqCst);
            }
            if to_server.write_all(chunk).is_err() {
                break;
            }
        }
        let _ = to_server.shutdown(Shutdown::Both);
    });
    let (mut from_server, mut to_client) = (server, client);
    let mut buffer = [0; 65536];
    while let Ok(length @ 1..) = from_server.read(&mut buffer) {
        if fatal.load(Ordering::SeqCst) == 1 {
            // The API server has answered, so that it is done; the writer never learns of it.
            let victim = state.victim.load(Ordering::SeqCst).to_string();
            let _ = Command::new("kill").args(["-KILL", &victim]).status();
            break;
        }
        if to_client.write_all(buffer.get(..length).unwrap_or_default()).is_err() {
            break;
        }
    }
    let _ = to_client.shutdown(Shutdown::Both);
}

/// The client sends the head of a request in one piece.
fn is_write(chunk: &[u8]) -> bool {
    let writes = ["PATCH ", "POST ", "PUT ", "DELETE "].iter().any(|method| chunk.starts_with(method.as_bytes()));
    let line = chunk.split(|byte| *byte == b'\r').next().unwrap_or_default();
    writes && !String::from_utf8_lossy(line).contains("/leases")
}
