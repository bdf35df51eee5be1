//! What a controller does while it leads: rounds of passes over the releases that something changed for.
//!
//! ```text
//! watches ─► copy of the cluster ─► releases concerned ─► round: passes ─ writes ─ documents ─ status ─► API server
//!                 ▲                        ▲                                                   │
//!                 └── answers to writes ───┴── what waits for a time, or failed (backoff) ◄────┘
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kube::runtime::events::Recorder;
use serin_config::SplitDocument;
use tokio::sync::mpsc::UnboundedReceiver;

use super::kind::Kind;
use super::metrics::Metrics;
use super::world::{Name, Object, Seen, World, name_of};
use crate::reconcile::apply::Writer;
use crate::reconcile::hosts::release_of;
use crate::reconcile::publish::{Entry, Filter, Scope, document_of, plugin_name};
use crate::reconcile::references::Shared;
use crate::reconcile::resource::Resource;
use crate::reconcile::{Memory, Settings};

/// Releases in one round, so that none waits long behind the first convergence of a large cluster.
const BATCH: usize = 100;
/// Events that belong together come within this time.
const TOGETHER: Duration = Duration::from_millis(10);
/// The label value of objects that belong to no single release.
pub(super) const ALL: &str = "all";

/// The state of a leader; a new one starts from what the cluster holds.
pub(super) struct Leader {
    pub(super) world: World,
    pub(super) resources: BTreeMap<Name, Resource>,
    pub(super) memories: BTreeMap<Name, Memory>,
    /// The entries of the documents as they were last written.
    pub(super) published: BTreeMap<String, Entry>,
    pub(super) writer: Writer,
    pub(super) settings: Settings,
    pub(super) filter: Filter,
    pub(super) root_namespace: String,
    pub(super) metrics: Metrics,
    /// Writes events, and how long one may take.
    pub(super) recorder: (Recorder, Duration),
    /// Whether the documents have to be written, whatever becomes of the releases.
    pub(super) documents_due: bool,
    pub(super) wakes: BTreeMap<Name, Instant>,
    pub(super) failures: BTreeMap<Name, u32>,
    /// When a document that could not be written is tried again.
    pub(super) documents_wake: Option<Instant>,
    pub(super) documents_failures: u32,
    /// Until when proxies may still be fetching another module: an agent that is slow to must not bring its document after a
    /// newer one (istio/istio#59911).
    pub(super) documents_held: Option<Instant>,
    /// Whether documents were late, so that the releases in them do not know yet.
    pub(super) documents_late: bool,
    owners: BTreeMap<String, String>,
    dirty: BTreeSet<Name>,
    begun: bool,
}

impl Leader {
    pub(super) fn new(
        writer: Writer,
        settings: Settings,
        filter: Filter,
        root_namespace: String,
        metrics: Metrics,
        recorder: (Recorder, Duration),
    ) -> Self {
        Self {
            world: World::default(),
            resources: BTreeMap::new(),
            memories: BTreeMap::new(),
            published: BTreeMap::new(),
            writer,
            settings,
            filter,
            root_namespace,
            metrics,
            recorder,
            documents_due: true,
            wakes: BTreeMap::new(),
            failures: BTreeMap::new(),
            documents_wake: None,
            documents_failures: 0,
            documents_held: None,
            documents_late: false,
            owners: BTreeMap::new(),
            dirty: BTreeSet::new(),
            begun: false,
        }
    }

    /// Leads until `events` ends or `stop` says so; a round that was begun is finished.
    pub(super) async fn run(
        mut self,
        mut events: UnboundedReceiver<(Kind, Seen)>,
        mut stop: tokio::sync::watch::Receiver<bool>,
    ) {
        let mut patience = tokio::time::interval(Duration::from_secs(10));
        loop {
            let next = self.wakes.values().copied().chain(self.documents_wake).min();
            let busy = self.begun && (!self.dirty.is_empty() || self.documents_due);
            tokio::select! {
                () = std::future::ready(()), if busy => {}
                event = events.recv() => match event {
                    Some((kind, seen)) => self.see(kind, seen),
                    None => return,
                },
                () = until(next), if self.begun => {}
                _ = stop.wait_for(|stop| *stop) => return,
                _ = patience.tick() => {
                    if !self.begun {
                        tracing::info!(kinds = self.world.missing().join(", "), "waiting for the first list of");
                    }
                    continue;
                }
            }
            if !busy {
                tokio::time::sleep(TOGETHER).await;
            }
            while let Ok((kind, seen)) = events.try_recv() {
                self.see(kind, seen);
            }
            if !self.begun {
                if !self.world.complete() {
                    continue;
                }
                self.begin();
            }
            let now = Instant::now();
            let due: Vec<Name> = self.wakes.iter().filter(|(_, due)| **due <= now).map(|(name, _)| name.clone()).collect();
            for name in due {
                self.wakes.remove(&name);
                self.dirty.insert(name);
            }
            if self.documents_wake.is_some_and(|due| due <= now) {
                self.documents_wake = None;
                self.documents_due = true;
            }
            self.round(now).await;
            if *stop.borrow() {
                return;
            }
        }
    }

    /// Takes up what the cluster holds of an earlier leader.
    fn begin(&mut self) {
        self.begun = true;
        let plugins: Vec<Object> =
            self.world.all(Kind::WasmPlugin).filter(|plugin| release_of(plugin) == Some(ALL)).cloned().collect();
        for plugin in plugins {
            let Some(document) = document_of(&plugin) else { continue };
            let (namespace, name) = name_of(&plugin);
            let mesh = (namespace.clone(), name.clone()) == plugin_name(&Scope::Mesh, &self.root_namespace);
            for split in document.splits {
                let Some(release) =
                    split.release.split_once('/').map(|(namespace, name)| (namespace.to_owned(), name.to_owned()))
                else {
                    continue;
                };
                let waypoint =
                    name.strip_prefix("serin-").filter(|_| !mesh).map(|gateway| (namespace.clone(), gateway.to_owned()));
                self.dirty.insert(release.clone());
                let allocation =
                    self.resources.get(&release).map(|resource| resource.status.allocation.clone()).unwrap_or_default();
                let memory = self.memories.entry(release).or_default();
                let mut alone = SplitDocument::new(vec![split.clone()]);
                // It was compiled before it was written; if this version refuses it, a new spec replaces it.
                let _ = alone.embed_automata();
                let entry = memory.entry.get_or_insert_with(|| Entry {
                    allocation,
                    wanted: split.clone(),
                    served: split.clone(),
                    automata: alone.automata,
                    waypoint: None,
                });
                entry.waypoint = waypoint.or(entry.waypoint.take());
            }
        }
        let entries = self
            .memories
            .iter()
            .filter_map(|((namespace, name), memory)| Some((format!("{namespace}/{name}"), memory.entry.clone()?)));
        self.published = entries.collect();
        let kinds = [Kind::DestinationRule, Kind::VirtualService];
        let written = kinds.iter().flat_map(|kind| self.world.all(*kind));
        let owners = written.filter_map(|object| Some((object.metadata.namespace.clone()?, release_of(object)?.to_owned())));
        self.dirty.extend(owners.filter(|(_, name)| name != ALL));
        self.dirty.extend(self.resources.keys().cloned());
        tracing::info!(releases = self.resources.len(), published = self.published.len(), "leading");
    }

    /// Takes in an event, and notes the releases that it concerns.
    fn see(&mut self, kind: Kind, seen: Seen) {
        let gone = matches!(seen, Seen::Gone(_));
        for object in self.world.see(kind, seen) {
            self.noticed(kind, &object, gone);
        }
    }

    /// Takes in the answer to a write.
    pub(super) fn wrote(&mut self, kind: Kind, object: kube::api::DynamicObject) {
        let name = name_of(&object);
        self.world.put(kind, object);
        if kind == Kind::CanaryRelease {
            self.read(&name);
        }
    }

    fn read(&mut self, name: &Name) {
        match self.world.get(Kind::CanaryRelease, &name.0, &name.1) {
            Some(object) => self.resources.insert(name.clone(), Resource::read(object)),
            None => self.resources.remove(name),
        };
    }

    fn noticed(&mut self, kind: Kind, object: &Object, gone: bool) {
        let name = name_of(object);
        match kind {
            Kind::CanaryRelease => {
                self.read(&name);
                self.dirty.insert(name);
            }
            Kind::WasmPlugin => self.documents_due = true,
            Kind::VirtualService | Kind::DestinationRule => match release_of(object) {
                Some(release) if !gone || release != ALL => {
                    self.dirty.insert((name.0, release.to_owned()));
                }
                // Whose host it is takes as long to find out as to look at each release.
                _ => self.dirty.extend(self.resources.keys().cloned()),
            },
            Kind::Namespace => self.notice_namespace(&name.1),
            Kind::Service
            | Kind::EndpointSlice
            | Kind::Pod
            | Kind::Deployment
            | Kind::WorkloadEntry
            | Kind::ServiceEntry => {
                self.notice_namespace(&name.0);
            }
        }
    }

    fn notice_namespace(&mut self, namespace: &str) {
        let from = (namespace.to_owned(), String::new());
        let within = self.resources.range(from..).take_while(|((of, _), _)| of == namespace);
        self.dirty.extend(within.map(|(name, _)| name.clone()));
    }

    /// Notes a release for the next round.
    pub(super) fn again(&mut self, name: Name) {
        self.dirty.insert(name);
    }

    /// What the releases of a round share; a host that changed hands concerns both.
    pub(super) fn share(&mut self) -> Shared {
        let releases: Vec<&Resource> = self.resources.values().collect();
        let shared = Shared::new(&self.world, &releases);
        let mut moved: BTreeSet<&String> = BTreeSet::new();
        for (host, owner) in &shared.owners {
            match self.owners.get(host) {
                Some(before) if before == owner => {}
                Some(_) => {
                    moved.insert(host);
                }
                None => {}
            }
        }
        let concerned = |resource: &&&Resource| resource.claims().iter().any(|host| moved.contains(host));
        let names: Vec<Name> = match moved.is_empty() {
            true => Vec::new(),
            false => releases
                .iter()
                .filter(concerned)
                .map(|resource| (resource.namespace.clone(), resource.name.clone()))
                .collect(),
        };
        self.dirty.extend(names);
        self.owners.clone_from(&shared.owners);
        shared
    }

    /// The releases of a round.
    pub(super) fn batch(&mut self) -> Vec<Name> {
        let mut batch = Vec::new();
        while batch.len() < BATCH {
            let Some(name) = self.dirty.pop_first() else { break };
            batch.push(name);
        }
        batch
    }

    pub(super) fn waiting(&self) -> usize {
        self.dirty.len()
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

/// How long to wait after so many failures in a row: from 0.2 s doubling to 30 s, with a quarter of jitter.
pub(super) fn backoff(failures: u32) -> Duration {
    let base = Duration::from_millis(200).saturating_mul(1 << failures.min(8)).min(Duration::from_secs(30));
    base.mul_f64(1.0 + fastrand::f64() / 4.0)
}
