//! `serin controller`: what talks to the API server.
//!
//! Every replica serves the filter, its health and its metrics; the one that holds the lease leads.

mod access;
pub mod apply;
mod campaign;
mod compile;
pub(crate) mod convert;
pub mod crd;
mod events;
mod https;
mod job;
mod lead;
pub mod lease;
pub mod metrics;
pub mod modules;
mod notify;
pub mod policy;
mod port;
mod probe;
mod prometheus;
mod queue;
pub mod rbac;
mod reconcile;
mod serve;
pub(crate) mod watch;

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use kube::{Client, Config};
use serin_config::SplitDocument;
use serin_mesh::digest::digest;
use serin_mesh::documents::{Filter, Module};
use serin_mesh::order::Pace;
use serin_mesh::pass::Settings;
use serin_release::domain::ClusterDomain;
use tokio::net::TcpListener;
use tokio::sync::watch as channel;
use tokio::task::JoinSet;

use crate::cli::Failure;
use crate::{FILTER, REQUEST_FILTER};
use access::Access;
use campaign::Replica;
use lease::Timing;
use metrics::Metrics;
use modules::Modules;
use notify::Sink;
use port::Limits;
use prometheus::Source;

const EXAMPLES: &str = "\
Examples:
  serin controller --root-namespace mesh-system
  serin controller --log json --log-level debug";

/// Run the controller in a Kubernetes cluster.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct Controller {
    /// Namespace of the controller, for its Lease and the ConfigMaps of the filter.
    #[arg(long, env = "POD_NAMESPACE", default_value = "serin-system")]
    namespace: String,
    /// Root namespace of the mesh, where a WasmPlugin applies to every proxy.
    #[arg(long, env = "SERIN_ROOT_NAMESPACE", default_value = "istio-system")]
    root_namespace: String,
    /// Domain of the cluster, in which the hosts of Services are [default: as in the resolver of the pod, else `cluster.local`].
    #[arg(long, env = "SERIN_CLUSTER_DOMAIN", value_name = "DOMAIN")]
    cluster_domain: Option<ClusterDomain>,
    /// Namespaces whose waypoints may serve Services of other namespaces, separated by commas. Serin writes a WasmPlugin there.
    #[arg(long, env = "SERIN_WAYPOINT_NAMESPACES", value_delimiter = ',')]
    waypoint_namespaces: Vec<String>,
    /// Hosts that releases may have at gateways, as `NAMESPACE=HOST` separated by commas; `*` stands for any namespace, and a host may be a
    /// pattern such as `*.example.com`. Without a list a namespace may have what Gateways serve to it.
    #[arg(long, env = "SERIN_GATEWAY_HOSTS", value_name = "NAMESPACE=HOST", value_delimiter = ',', value_parser = gateway_host)]
    gateway_hosts: Vec<(String, String)>,
    /// Name of this process in the Lease. A random suffix is added.
    #[arg(long, env = "POD_NAME", default_value = "serin")]
    identity: String,
    /// Address on which the filter and health are served, and metrics where they have no address of their own.
    #[arg(long, env = "SERIN_LISTEN", default_value = "0.0.0.0:8080")]
    listen: SocketAddr,
    /// Address on which metrics are served instead, and health too.
    #[arg(long, env = "SERIN_METRICS_LISTEN")]
    metrics_listen: Option<SocketAddr>,
    /// Whether metrics at --metrics-listen are shown only for a bearer token whose account may `get` the URL `/metrics`.
    #[arg(long, env = "SERIN_METRICS_AUTH", value_name = "BOOL", default_value = "true", action = ArgAction::Set, requires = "metrics_listen")]
    metrics_auth: bool,
    /// Base URL at which proxies fetch the filter from the controller [default: `http://serin.NAMESPACE.svc.DOMAIN:8080`].
    #[arg(long, env = "SERIN_SERVE_URL")]
    serve_url: Option<String>,
    /// URL from which proxies fetch the filter instead of from the controller: oci://, file://, http:// or https://.
    #[arg(long, env = "SERIN_FILTER_URL", conflicts_with = "serve_url")]
    filter_url: Option<String>,
    /// SHA-256 of the module at that URL; for an image, the digest of its manifest.
    #[arg(long, env = "SERIN_FILTER_SHA256", requires = "filter_url")]
    filter_sha256: Option<String>,
    /// Request header that carries the version.
    #[arg(long, env = "SERIN_ROUTING_HEADER", default_value = "x-serin-version")]
    routing_header: String,
    /// Whether releases may have a `workload`. With false no Deployment is written, so that the right to do so is not needed.
    #[arg(long, env = "SERIN_WORKLOADS", value_name = "BOOL", default_value = "true", action = ArgAction::Set)]
    workloads: bool,
    /// Write the reason of each decision into the filter state `wasm.serin_reason`, for access logs.
    #[arg(long, env = "SERIN_REPORT_REASON")]
    report_reason: bool,
    /// Bytes that the releases of one namespace may have in the split document, as JSON. A release without rules has about 200.
    #[arg(long, env = "SERIN_NAMESPACE_QUOTA", value_name = "BYTES", default_value = "500000")]
    namespace_quota: usize,
    /// Metric source that tells what proxies have and who passes them by, as `NAME=URL` with the base of an API as Prometheus has it;
    /// several separated by commas.
    #[arg(long, env = "SERIN_METRICS", value_name = "NAME=URL", value_delimiter = ',')]
    metrics: Vec<Source>,
    /// Label matchers for each query to metric sources, where these know more than one mesh: such as `cluster="east"`.
    #[arg(long, env = "SERIN_METRICS_LABELS", value_name = "MATCHERS", default_value = "", hide_default_value = true)]
    metrics_labels: String,
    /// Somebody whom releases may name to be told what happens (`spec.notify`), as `NAME=URL` to which JSON is sent; several separated by commas.
    #[arg(long, env = "SERIN_NOTIFY", value_name = "NAME=URL", value_delimiter = ',', hide_env_values = true)]
    notify: Vec<Sink>,
    /// The same for incoming webhooks of Slack.
    #[arg(long, env = "SERIN_NOTIFY_SLACK", value_name = "NAME=URL", value_delimiter = ',', hide_env_values = true)]
    notify_slack: Vec<Sink>,
    /// What the cluster is called in these messages.
    #[arg(long, env = "SERIN_CLUSTER_NAME", value_name = "NAME", default_value = "", hide_default_value = true)]
    cluster_name: String,
    /// Time that proxies may take to get a change and to be scraped, in seconds. Then the status says that some are behind.
    #[arg(long, env = "SERIN_PROXY_GRACE_SECONDS", value_name = "SECONDS", default_value = "120")]
    proxy_grace_seconds: u64,
    /// Log format.
    #[arg(long, env = "SERIN_LOG", value_enum, default_value = "text")]
    log: LogForm,
    /// Log level, such as `info` or `serin_controller=debug`.
    #[arg(long, env = "SERIN_LOG_LEVEL", default_value = "info,kube_runtime=error")]
    log_level: String,
    /// Duration of the Lease, in seconds. After a crash another replica leads within this time.
    #[arg(long, env = "SERIN_LEASE_SECONDS", default_value = "15", value_parser = clap::value_parser!(u64).range(3..=300))]
    lease_seconds: u64,
    /// Time to wait after a subset or route appears before sending requests to it, in milliseconds.
    #[arg(long, env = "SERIN_SETTLE_MS", default_value = "2000")]
    settle_ms: u64,
    /// Time to wait after the last request can reach a subset or route before removing it, in milliseconds.
    #[arg(long, env = "SERIN_DRAIN_MS", default_value = "3000")]
    drain_ms: u64,
    /// Time between two documents that hold only what steps do by themselves, in milliseconds: those of all releases share one. What a person
    /// does and a rollback wait for nothing.
    #[arg(long, env = "SERIN_BATCH_MS", default_value = "10000")]
    batch_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum LogForm {
    /// Lines for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// The causes of an error, joined by colons; where the API server has answered, its own sentence alone.
#[must_use]
pub fn cause(error: &(dyn Error + 'static)) -> String {
    let chain = || std::iter::successors(Some(error), |&error| error.source());
    let answer = chain().find_map(|error| match error.downcast_ref() {
        Some(kube::Error::Api(status)) if !status.message.is_empty() => Some(status.message.clone()),
        _ => None,
    });
    answer.unwrap_or_else(|| {
        let mut text = error.to_string();
        for inner in chain().skip(1).map(ToString::to_string) {
            if !text.contains(&inner) {
                text = format!("{text}: {inner}");
            }
        }
        text
    })
}

/// Connects to the API server of the surroundings: in a pod, or of the kubeconfig.
///
/// # Errors
/// There is no configuration, or it cannot be used.
pub async fn connect(patience: Duration) -> Result<Client, Failure> {
    let config = Config::infer().await.map_err(|error| Failure::running("no cluster is configured", cause(&error)))?;
    connect_to(config, patience)
}

/// Connects to the API server of a configuration.
///
/// # Errors
/// It cannot be used.
pub(crate) fn connect_to(mut config: Config, patience: Duration) -> Result<Client, Failure> {
    // Two providers in one process would make rustls refuse to choose.
    let _ = rustls::crypto::ring::default_provider().install_default();
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
        Ok(Settings { document, pace, workloads: self.workloads })
    }

    /// The domain of the cluster: as it is said, else as the resolver of the pod knows it.
    fn domain(&self) -> ClusterDomain {
        let of_resolver = || ClusterDomain::of_resolver(&std::fs::read_to_string("/etc/resolv.conf").ok()?);
        self.cluster_domain.clone().or_else(of_resolver).unwrap_or_default()
    }

    fn filter(&self) -> Result<Filter, Failure> {
        let check = |option: &str, url: &str, schemes: &[&str]| match schemes.iter().any(|scheme| url.starts_with(scheme)) {
            true => Ok(()),
            false => {
                Err(Failure::Invalid(format!("{option}: `{url}` has another scheme; use one of {}", schemes.join(", "))))
            }
        };
        let Some(url) = &self.filter_url else {
            let base = self
                .serve_url
                .clone()
                .unwrap_or_else(|| format!("http://{}:8080", self.domain().host("serin", &self.namespace)));
            check("--serve-url", &base, &["http://", "https://"])?;
            let served = |bytes| {
                let sha256 = digest(bytes);
                Module { url: format!("{}{}", base.trim_end_matches('/'), Modules::path(&sha256)), sha256: Some(sha256) }
            };
            return Ok(Filter { any: served(FILTER), requests: Some(served(REQUEST_FILTER)) });
        };
        check("--filter-url", url, &["oci://", "file://", "http://", "https://"])?;
        Ok(Filter { any: Module { url: url.clone(), sha256: self.filter_sha256.clone() }, requests: None })
    }

    async fn serve(self) -> Result<(), Failure> {
        // What the arguments say by themselves is wrong without a cluster too.
        let (settings, filter) = (self.settings()?, self.filter()?);
        let timing = Timing { duration: Duration::from_secs(self.lease_seconds) };
        let client = connect(timing.request()).await?;
        let modules = Modules::new(client.clone(), &self.namespace);
        let mut ports = vec![(bind(self.listen).await?, false)];
        if let Some(address) = self.metrics_listen {
            ports.push((bind(address).await?, true));
        }
        let metrics = Metrics::new();
        let ready = Arc::new(AtomicBool::new(false));
        tracing::info!(version = env!("CARGO_PKG_VERSION"), listen = %self.listen, filter = filter.any.url, domain = %self.domain(), "serin controller");

        let (stop, stopped) = channel::channel(false);
        let access = (self.metrics_listen.is_some() && self.metrics_auth)
            .then(|| Arc::new(Access::new(client.clone(), timing.request())));
        let served = serve::Served { metrics: metrics.clone(), modules: modules.clone(), ready: Arc::clone(&ready), access };
        let mut servers = JoinSet::new();
        for (listener, for_metrics) in ports {
            let router = match for_metrics {
                true => serve::for_metrics(served.clone()),
                false => serve::for_proxies(served.clone(), self.metrics_listen.is_none()),
            };
            servers.spawn(port::serve(listener, router, Limits::USUAL, stopped.clone()));
        }
        let replica = Replica {
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
        let campaign = tokio::spawn(replica.campaign());
        signal().await;
        tracing::info!("stopping");
        ready.store(false, Ordering::Relaxed);
        let _ = stop.send(true);
        // A batch that was begun ends, the lease is given up, answers under way are sent.
        let rest = async {
            let _ = campaign.await;
            servers.join_all().await;
        };
        if tokio::time::timeout(Duration::from_secs(8), rest).await.is_err() {
            tracing::warn!("did not end in time; what is left is cut off");
        }
        Ok(())
    }
}

/// Reads `NAMESPACE=HOST`.
fn gateway_host(text: &str) -> Result<(String, String), String> {
    let parts = text.trim().split_once('=').filter(|(namespace, host)| !namespace.is_empty() && !host.is_empty());
    let (namespace, host) = parts.ok_or("write NAMESPACE=HOST, such as `shop=*.shop.example.com`")?;
    Ok((namespace.to_owned(), host.to_ascii_lowercase()))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::running(&format!("cannot listen on {address}"), error))
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

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use kube::runtime::watcher;

    use super::*;

    #[test]
    fn an_answer_of_the_api_server_is_its_sentence() {
        let answer = || {
            let message = "deployments.apps \"reviews-v3\" is forbidden: no third version".to_owned();
            kube::Error::Api(Box::new(Status { message, code: 403, ..Status::default() }))
        };
        let expected = "deployments.apps \"reviews-v3\" is forbidden: no third version";
        assert_eq!(cause(&answer()), expected);
        assert_eq!(cause(&watcher::Error::InitialListFailed(answer())), expected);
        let refused = std::io::Error::other("connection refused");
        assert_eq!(cause(&kube::Error::Service(refused.into())), "ServiceError: connection refused");
    }
}
