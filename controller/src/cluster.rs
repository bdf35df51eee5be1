//! `serin controller`: what talks to the API server.
//!
//! Every replica serves the filter, its health and its metrics; the one that holds the lease leads.

pub mod kind;
mod lead;
pub mod lease;
pub mod metrics;
pub mod modules;
pub mod rbac;
mod round;
mod serve;
mod turn;
mod watch;
pub mod world;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use kube::runtime::events::{Recorder, Reporter};
use kube::{Client, Config};
use serin_config::SplitDocument;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch as channel};
use tokio::task::JoinSet;

use crate::cli::Failure;
use crate::reconcile::Settings;
use crate::reconcile::apply::Writer;
use crate::reconcile::build::digest;
use crate::reconcile::plan::Pace;
use crate::reconcile::publish::{Filter, Module};
use crate::{FILTER, REQUEST_FILTER};
use kind::Kind;
use lead::Leader;
use lease::{Candidate, Fence, Timing};
use metrics::Metrics;
use modules::Modules;

/// Turn CanaryReleases of a cluster into what its mesh does.
#[derive(Args, Debug)]
pub struct Controller {
    /// The controller's own namespace: its Lease and the filters that it serves are kept there.
    #[arg(long, env = "POD_NAMESPACE", default_value = "serin-system")]
    namespace: String,
    /// The root namespace of the mesh, where a WasmPlugin reaches every proxy.
    #[arg(long, env = "SERIN_ROOT_NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// What this process is called in the Lease; a suffix keeps it apart from its successors.
    #[arg(long, env = "POD_NAME", default_value = "serin")]
    identity: String,
    /// Where health, metrics and the filter are served.
    #[arg(long, env = "SERIN_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// The base url under which proxies reach that address [default: `http://serin.NAMESPACE.svc.cluster.local:8080`].
    #[arg(long, env = "SERIN_SERVE_URL")]
    serve_url: Option<String>,
    /// Where proxies get the filter instead: an oci://, file:// or http(s):// url.
    #[arg(long, env = "SERIN_FILTER_URL", conflicts_with = "serve_url")]
    filter_url: Option<String>,
    /// The digest of the module behind that url.
    #[arg(long, env = "SERIN_FILTER_SHA256", requires = "filter_url")]
    filter_sha256: Option<String>,
    /// The request header that carries the version.
    #[arg(long, env = "SERIN_ROUTING_HEADER", default_value = "x-serin-version")]
    routing_header: String,
    /// Let the filter say in filter state why a request went where it went.
    #[arg(long, env = "SERIN_REPORT_REASON")]
    report_reason: bool,
    /// The form of the log.
    #[arg(long, env = "SERIN_LOG", value_enum, default_value = "text")]
    log: LogForm,
    /// How much to log, such as `info` or `serin_controller=debug`.
    #[arg(long, env = "SERIN_LOG_LEVEL", default_value = "info,kube_runtime=error")]
    log_level: String,
    /// How long a leader that is cut off may still lead, in seconds.
    #[arg(long, env = "SERIN_LEASE_SECONDS", default_value = "15", value_parser = clap::value_parser!(u64).range(3..=300))]
    lease_seconds: u64,
    /// How long something new must be known to the cluster before it is used, in milliseconds.
    #[arg(long, env = "SERIN_SETTLE_MS", default_value = "2000")]
    settle_ms: u64,
    /// How long nothing may lead to something old before it is removed, in milliseconds.
    #[arg(long, env = "SERIN_DRAIN_MS", default_value = "3000")]
    drain_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The causes of an error, joined by colons.
#[must_use]
pub fn cause(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let told = inner.to_string();
        if !text.contains(&told) {
            text = format!("{text}: {told}");
        }
        source = inner.source();
    }
    text
}

/// Connects to the API server of the surroundings: in a pod, or of the kubeconfig.
///
/// # Errors
/// There is no configuration, or it cannot be used.
pub async fn connect(patience: Duration) -> Result<Client, Failure> {
    // Two providers in one process would make rustls refuse to choose.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::infer().await.map_err(|error| Failure::running("no cluster is configured", cause(&error)))?;
    config.connect_timeout = Some(patience);
    // A watch that ends by itself after 290 s is cut off where the network has lost it.
    config.read_timeout = Some(Duration::from_secs(300));
    Client::try_from(config).map_err(|error| Failure::running("cannot use the configuration of the cluster", cause(&error)))
}

impl Controller {
    /// Runs until a signal ends it.
    ///
    /// # Errors
    /// It cannot begin: arguments, address, configuration.
    pub fn run(self) -> Result<(), Failure> {
        self.start_log()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| Failure::running("cannot start", error))?;
        let done = runtime.block_on(self.serve());
        // A request that does not end must not keep the process.
        runtime.shutdown_timeout(Duration::from_secs(1));
        done
    }

    fn start_log(&self) -> Result<(), Failure> {
        let filter = tracing_subscriber::EnvFilter::try_new(&self.log_level)
            .map_err(|error| Failure::Invalid(format!("--log-level: {error}; use a level such as `info`")))?;
        let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
        match self.log {
            LogForm::Json => log.json().flatten_event(true).init(),
            LogForm::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        }
        Ok(())
    }

    fn settings(&self) -> Result<Settings, Failure> {
        let mut document = SplitDocument::new(Vec::new());
        document.routing_header = self.routing_header.to_lowercase();
        document.report_reason = self.report_reason;
        serin_config::Split::compile(&document)
            .map_err(|error| Failure::Invalid(format!("--routing-header: {}", error.cause())))?;
        let pace = Pace { settle: Duration::from_millis(self.settle_ms), drain: Duration::from_millis(self.drain_ms) };
        Ok(Settings { document, pace })
    }

    fn filter(&self) -> Result<Filter, Failure> {
        let Some(url) = &self.filter_url else {
            let base =
                self.serve_url.clone().unwrap_or_else(|| format!("http://serin.{}.svc.cluster.local:8080", self.namespace));
            let served = |bytes| {
                let sha256 = digest(bytes);
                Module { url: format!("{}{}", base.trim_end_matches('/'), Modules::path(&sha256)), sha256: Some(sha256) }
            };
            return Ok(Filter { any: served(FILTER), requests: Some(served(REQUEST_FILTER)) });
        };
        if !["oci://", "file://", "http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(Failure::Invalid(format!(
                "--filter-url: `{url}` has none of the schemes oci://, file://, http://, https://"
            )));
        }
        Ok(Filter { any: Module { url: url.clone(), sha256: self.filter_sha256.clone() }, requests: None })
    }

    async fn serve(self) -> Result<(), Failure> {
        let settings = self.settings()?;
        let timing = Timing { duration: Duration::from_secs(self.lease_seconds) };
        let client = connect(timing.request()).await?;
        let modules = Modules::new(client.clone(), &self.namespace);
        let filter = self.filter()?;
        let listener = TcpListener::bind(self.listen)
            .await
            .map_err(|error| Failure::running(&format!("cannot listen on {}", self.listen), error))?;
        let metrics = Metrics::new();
        let ready = Arc::new(AtomicBool::new(false));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %self.listen, filter = filter.any.url, "serin controller");

        let (stop, stopped) = channel::channel(false);
        let mut ends = stopped.clone();
        let served = serve::Served { metrics: metrics.clone(), modules: modules.clone(), ready: Arc::clone(&ready) };
        let server = tokio::spawn(serve::serve(listener, served, async move {
            let _ = ends.wait_for(|stop| *stop).await;
        }));
        let role = Role {
            controller: self,
            client,
            modules,
            filter,
            settings,
            metrics,
            timing,
            ready: Arc::clone(&ready),
            stopped,
        };
        let campaign = tokio::spawn(role.campaign());
        signal().await;
        tracing::info!("stopping");
        ready.store(false, Ordering::Relaxed);
        let _ = stop.send(true);
        // A round that was begun ends, the lease is given up, answers under way are sent.
        let rest = async {
            let _ = campaign.await;
            let _ = server.await;
        };
        if tokio::time::timeout(Duration::from_secs(8), rest).await.is_err() {
            tracing::warn!("did not end in time; what is left is cut off");
        }
        Ok(())
    }
}

/// What a replica needs to lead.
struct Role {
    controller: Controller,
    client: Client,
    modules: Modules,
    filter: Filter,
    settings: Settings,
    metrics: Metrics,
    timing: Timing,
    ready: Arc<AtomicBool>,
    stopped: channel::Receiver<bool>,
}

impl Role {
    /// Leads whenever it holds the lease, until it is stopped.
    async fn campaign(mut self) {
        let fence = Fence::default();
        let identity = format!("{}-{:08x}", self.controller.identity, fastrand::u32(..));
        let mut candidate =
            Candidate::new(self.client.clone(), &self.controller.namespace, "serin", &identity, fence.clone(), self.timing);
        let mut stopped = self.stopped.clone();
        self.probe(&mut stopped).await;
        loop {
            tokio::select! {
                () = candidate.acquire() => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            tracing::info!(identity, "holds the lease");
            self.metrics.leader(true);
            tokio::select! {
                () = candidate.hold() => tracing::warn!("leads no more"),
                () = self.lead(fence.clone()) => {}
            }
            self.metrics.leader(false);
            if *stopped.borrow() {
                candidate.release().await;
                return;
            }
        }
    }

    /// Ready is who has reached the API server once.
    async fn probe(&mut self, stopped: &mut channel::Receiver<bool>) {
        let mut failures = 0;
        while !*stopped.borrow() {
            match tokio::time::timeout(self.timing.request(), self.client.apiserver_version()).await {
                Ok(Ok(_)) => {
                    self.ready.store(true, Ordering::Relaxed);
                    return;
                }
                Ok(Err(error)) => tracing::warn!(error = cause(&error), "cannot reach the API server; trying again"),
                Err(_) => tracing::warn!("the API server does not answer; trying again"),
            }
            failures += 1;
            tokio::select! {
                () = tokio::time::sleep(lead::backoff(failures)) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Leads until it is stopped; dropped when the lease is lost.
    async fn lead(&self, fence: Fence) {
        if self.controller.filter_url.is_none() {
            let mut failures = 0;
            // No proxy is told of a filter that other replicas could not serve.
            loop {
                let error = match tokio::time::timeout(self.timing.request(), self.modules.keep()).await {
                    Ok(Ok(())) => break,
                    Ok(Err(error)) => cause(&error),
                    Err(_) => "no answer in time".to_owned(),
                };
                tracing::warn!(error, "cannot keep the filter for the other replicas; trying again");
                failures += 1;
                tokio::time::sleep(lead::backoff(failures)).await;
            }
        }
        let (sender, events) = mpsc::unbounded_channel();
        // They end with this future.
        let mut watches = JoinSet::new();
        for kind in Kind::ALL {
            watches.spawn(watch::watch(self.client.clone(), kind, sender.clone(), self.metrics.clone()));
        }
        drop(sender);
        let writer = Writer::new(self.client.clone(), fence, self.metrics.clone(), self.timing.request());
        let reporter = Reporter { controller: "serin".to_owned(), instance: Some(self.controller.identity.clone()) };
        let recorder = Recorder::new(self.client.clone(), reporter);
        let leader = Leader::new(
            writer,
            self.settings.clone(),
            self.filter.clone(),
            self.controller.root_namespace.clone(),
            self.metrics.clone(),
            (recorder, self.timing.request()),
        );
        leader.run(events, self.stopped.clone()).await;
    }
}

/// Waits for SIGTERM or SIGINT.
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        // Without a handler the signal ends the process by itself.
        Err(_) => std::future::pending().await,
    }
}
