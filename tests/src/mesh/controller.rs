//! `serin controller` as a process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{Result, eventually, kubeconfig, run, variable};
use crate::http::Connection;

/// Short waits: a mesh on one machine is quick.
const QUICK: &[&str] = &[
    "--lease-seconds",
    "3",
    // An Envoy that compiles the filter for the first time takes up nothing else for most of a second.
    "--settle-ms",
    "1000",
    "--drain-ms",
    "600",
    "--batch-ms",
    "0",
    "--log-level",
    "info,serin_controller=debug,kube_runtime=error,kube_client=error",
];

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
        Self::start_as(name, listen, &kubeconfig()?, more)
    }

    /// Starts one with this kubeconfig, and waits until it serves.
    ///
    /// # Errors
    /// It does not serve; the message holds its log.
    pub fn start_as(name: &str, listen: &str, kubeconfig: &std::path::Path, more: &[&str]) -> Result<Self> {
        let mut running = Self::spawn(name, listen, kubeconfig, more)?;
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
            .args(["controller", "--identity", name, "--listen", listen])
            .args(if more.contains(&"--filter-url") {
                Vec::new()
            } else {
                vec!["--serve-url".to_owned(), format!("http://{listen}")]
            })
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

    /// What the port of its metrics answers to a GET with a header `authorization`, or without one: status and text.
    ///
    /// # Errors
    /// It does not answer.
    pub fn scrape(address: &str, path: &str, authorization: Option<&str>) -> Result<(u16, String)> {
        let header = authorization.map(|value| ("authorization", value.as_bytes()));
        let response = Connection::open(address.parse::<SocketAddr>()?)?.get(address, path, header.as_slice())?;
        Ok((response.status, String::from_utf8(response.body)?))
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
        // It gives its lease up, so that the next one need not wait; it may have ended already, or be stopped.
        let _ = self.signal("-TERM");
        for _ in 0..40 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
