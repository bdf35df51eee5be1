//! How a replica comes to lead, and stops.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kube::Client;
use kube::runtime::events::{Recorder, Reporter};
use serin_mesh::Kind;
use serin_mesh::analysis::Analyses;
use serin_mesh::contest::Contests;
use serin_mesh::documents::Filter;
use serin_mesh::home::istio::Istio;
use serin_mesh::home::{Home, store};
use serin_mesh::pass::Settings;
use serin_mesh::publication::{Bounds, Reachability};
use serin_mesh::publisher::Publisher;
use serin_mesh::reader::Readers;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::apply::Writer;
use super::compile::Compiler;
use super::events::Events;
use super::lead::Leader;
use super::lease::{Candidate, Fence, Timing};
use super::metrics::Metrics;
use super::modules::Modules;
use super::notify::Notifier;
use super::queue::{Queue, backoff};
use super::{Controller, cause};

/// Events of watches that wait for the leader.
const WAITING: usize = 1024;

/// What a replica needs to lead.
pub(super) struct Replica {
    pub(super) controller: Controller,
    pub(super) client: Client,
    pub(super) modules: Modules,
    pub(super) filter: Filter,
    pub(super) settings: Settings,
    pub(super) metrics: Metrics,
    pub(super) timing: Timing,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) stopped: watch::Receiver<bool>,
}

impl Replica {
    /// Leads whenever it holds the lease, until it is stopped.
    pub(super) async fn campaign(self) {
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
            let was_vacant = candidate.was_vacant();
            let Some(held) = self.lead_while_held(candidate, fence.clone(), was_vacant).await else { return };
            candidate = held;
            self.metrics.leader(false);
            if *stopped.borrow() {
                candidate.release().await;
                return;
            }
        }
    }

    /// Leads until the lease is lost or the replica is stopped. The lease is renewed on a task of its own, so that nothing which
    /// takes long here can lose it. `None` if that task broke.
    async fn lead_while_held(&self, mut candidate: Candidate, fence: Fence, was_vacant: bool) -> Option<Candidate> {
        let (end, ended) = oneshot::channel::<()>();
        let mut holding = tokio::spawn(async move {
            tokio::select! {
                () = candidate.hold() => tracing::warn!("lost the lease"),
                _ = ended => {}
            }
            candidate
        });
        tokio::select! {
            candidate = &mut holding => return candidate.ok(),
            () = self.lead(fence, was_vacant) => {}
        }
        // The task ends with its receiver, and gives the candidate back.
        let _ = end.send(());
        holding.await.ok()
    }

    /// Ready is who has reached the API server once.
    async fn probe(&self, stopped: &mut watch::Receiver<bool>) {
        let mut failures = 0;
        while !*stopped.borrow() {
            match timeout(self.timing.request(), self.client.apiserver_version()).await {
                Ok(Ok(_)) => {
                    self.ready.store(true, Ordering::Relaxed);
                    return;
                }
                Ok(Err(error)) => tracing::warn!(error = cause(&error), "cannot reach the API server; trying again"),
                Err(_) => tracing::warn!("the API server does not answer; trying again"),
            }
            failures += 1;
            tokio::select! {
                () = sleep(backoff(failures)) => {}
                _ = stopped.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Puts the filter where other replicas find it: no proxy is told of one that they could not serve.
    async fn keep_filter(&self) {
        let mut failures = 0;
        loop {
            let error = match timeout(self.timing.request(), self.modules.keep()).await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => cause(&error),
                Err(_) => "no answer in time".to_owned(),
            };
            tracing::warn!(error, "cannot keep the filter for the other replicas; trying again");
            failures += 1;
            sleep(backoff(failures)).await;
        }
    }

    /// Where routes are written.
    fn home(&self) -> Arc<dyn Home> {
        Arc::new(Istio {
            root_namespace: self.controller.root_namespace.clone(),
            domain: self.controller.domain(),
            waypoint_namespaces: self.controller.waypoint_namespaces.iter().cloned().collect(),
            gateway_hosts: self.controller.gateway_hosts.clone(),
        })
    }

    /// Leads until it is stopped; dropped when the lease is lost.
    async fn lead(&self, fence: Fence, was_vacant: bool) {
        if self.controller.filter_url.is_none() {
            self.keep_filter().await;
        }
        let (sender, seen) = mpsc::channel(WAITING);
        // They end with this future.
        let mut tasks = JoinSet::new();
        for kind in Kind::ALL {
            tasks.spawn(super::watch::watch(self.client.clone(), kind, sender.clone(), self.metrics.clone()));
        }
        drop(sender);
        let (found, filter_reach) = watch::channel(Reachability::Unknown);
        tasks.spawn(super::probe::watch(self.filter.clone(), found));
        let reporter = Reporter { controller: "serin".to_owned(), instance: Some(self.controller.identity.clone()) };
        let recorder = Recorder::new(self.client.clone(), reporter);
        let home = self.home();
        let (tell, observations) = mpsc::channel(self.controller.metrics.len().max(1));
        for source in &self.controller.metrics {
            tasks.spawn(super::prometheus::observe(source.clone(), self.controller.metrics_labels.clone(), tell.clone()));
        }
        drop(tell);
        let sources = self.controller.metrics.clone();
        let names = sources.iter().map(|source| source.name.clone()).collect();
        let (questions, asked) = watch::channel(BTreeSet::new());
        let (answer, answers) = mpsc::channel(1);
        tasks.spawn(super::prometheus::ask(sources, asked, answer));
        let bounds = Bounds {
            controller: self.controller.namespace.clone(),
            quota: self.controller.namespace_quota,
            grace: Duration::from_secs(self.controller.proxy_grace_seconds),
            batch: Duration::from_millis(self.controller.batch_ms),
        };
        let leader = Leader {
            store: store(Arc::clone(&home)),
            home,
            settings: self.settings.clone(),
            readers: Readers::default(),
            queue: Queue::default(),
            memories: BTreeMap::new(),
            publisher: Publisher::new(self.settings.document.clone(), self.filter.clone(), bounds),
            contests: Contests::default(),
            filter_reach,
            analyses: Analyses::new(names, self.controller.metrics_labels.clone()),
            questions,
            answers,
            observations,
            // Of a filter from elsewhere nobody was deprived.
            fetch_again: was_vacant && self.controller.filter_url.is_none(),
            ready: Arc::clone(&self.ready),
            compiler: Compiler::new(),
            writer: Writer::new(self.client.clone(), fence, self.metrics.clone(), self.timing.request()),
            events: Events::start(recorder, self.timing.request(), &mut tasks),
            notifier: Notifier::start(
                self.controller.cluster_name.clone(),
                &self.controller.notify,
                &self.controller.notify_slack,
                &mut tasks,
            ),
            metrics: self.metrics.clone(),
        };
        leader.run(seen, self.stopped.clone()).await;
    }
}
