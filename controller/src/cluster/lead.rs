//! What a controller does while it leads: batches of passes over the releases that something changed for.
//!
//! ```text
//! watches ─► Store ─► Readers: releases concerned ─► Queue ─► batch: steps 1 to 7 ─► API server
//!              ▲                                       ▲              │
//!              └── answers to writes                   └── what waits for a time, or failed (backoff)
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use jiff::Timestamp;
use serin_mesh::analysis::{Analyses, Answers, Question};
use serin_mesh::contest::Contests;
use serin_mesh::home::Home;
use serin_mesh::names::{CONTROLLER, release_of};
use serin_mesh::pass::{Memory, Settings};
use serin_mesh::proxies::Observed;
use serin_mesh::publication::Reachability;
use serin_mesh::publisher::Publisher;
use serin_mesh::reader::Readers;
use serin_mesh::store::{Change, Event, Store};
use serin_mesh::{Kind, Name, Object};
use serin_release::ReleaseId;
use tokio::sync::{mpsc, watch};
use tokio::task::block_in_place;

use super::apply::Writer;
use super::compile::{Compiler, Done};
use super::events::Events;
use super::metrics::Metrics;
use super::notify::Notifier;
use super::queue::Queue;

/// Events that belong together come within this time.
const TOGETHER: Duration = Duration::from_millis(10);

/// What watches have seen, in the order in which they saw it.
pub(super) type Seen = mpsc::Receiver<(Kind, Event)>;

/// The state of a leader; a new one starts from what the cluster holds.
pub(super) struct Leader {
    pub(super) home: Arc<dyn Home>,
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) readers: Readers,
    pub(super) queue: Queue,
    pub(super) memories: BTreeMap<ReleaseId, Memory>,
    pub(super) publisher: Publisher,
    /// Carriers that somebody else changes.
    pub(super) contests: Contests,
    pub(super) compiler: Compiler,
    pub(super) writer: Writer,
    pub(super) events: Events,
    pub(super) notifier: Notifier,
    pub(super) metrics: Metrics,
    /// Whether proxies can get the filter.
    pub(super) filter_reach: watch::Receiver<Reachability>,
    /// The analyses of releases, what they ask metric sources, and what these answer.
    pub(super) analyses: Analyses,
    pub(super) questions: watch::Sender<BTreeSet<Question>>,
    pub(super) answers: mpsc::Receiver<Answers>,
    /// What metric sources tell, by their names; `None` of one that does not answer.
    pub(super) observations: mpsc::Receiver<(String, Option<Observed>)>,
    /// Whether proxies may have asked for the filter in vain before this one led.
    pub(super) fetch_again: bool,
    /// Whether this replica serves; it does not while another controller writes to the mesh.
    pub(super) ready: Arc<AtomicBool>,
}

impl Leader {
    /// Leads until `seen` ends or `stop` says so; a batch that was begun is finished.
    pub(super) async fn run(mut self, mut seen: Seen, mut stop: watch::Receiver<bool>) {
        tokio::select! {
            complete = self.list(&mut seen) => if !complete { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        loop {
            tokio::select! {
                alone = self.alone(&mut seen) => if !alone { return },
                _ = stop.wait_for(|stop| *stop) => return,
            }
            block_in_place(|| self.take_up());
            if !self.go_on(&mut seen, &mut stop).await {
                return;
            }
        }
    }

    /// Waits while another controller writes to the mesh; false when nothing more is seen.
    async fn alone(&mut self, seen: &mut Seen) -> bool {
        let mut told = tokio::time::interval(Duration::from_secs(60));
        while let Some((carrier, namespace)) = self.publisher.another_controller(&self.store, &*self.home) {
            self.ready.store(false, Ordering::Relaxed);
            self.metrics.another_controller(true);
            tokio::select! {
                event = seen.recv() => match event {
                    Some((kind, event)) => self.see(kind, event),
                    None => return false,
                },
                _ = told.tick() => tracing::error!(
                    carrier, namespace,
                    "the controller of another namespace writes to this mesh, so this one writes nothing; uninstall one of the two, and if that one \
                     is gone already, remove the annotation {CONTROLLER} from the carrier"
                ),
            }
        }
        self.metrics.another_controller(false);
        self.ready.store(true, Ordering::Relaxed);
        true
    }

    /// Works until it is stopped, or until another controller writes to the mesh: then true.
    async fn go_on(&mut self, seen: &mut Seen, stop: &mut watch::Receiver<bool>) -> bool {
        loop {
            let busy = self.queue.len() > 0 || self.publisher.is_due(Instant::now());
            let next = self.queue.next().into_iter().chain(self.publisher.requeue_at()).min();
            if !busy {
                tokio::select! {
                    event = seen.recv() => match event {
                        Some((kind, event)) => self.see(kind, event),
                        None => return false,
                    },
                    done = self.compiler.next() => self.learn(done),
                    Ok(()) = self.filter_reach.changed() => self.look_at_filter(),
                    Some((source, observed)) = self.observations.recv() => self.observe(&source, observed),
                    Some(answers) = self.answers.recv() => self.analyse(&answers),
                    () = until(next) => {}
                    _ = stop.wait_for(|stop| *stop) => return false,
                }
                tokio::time::sleep(TOGETHER).await;
            }
            while let Ok((kind, event)) = seen.try_recv() {
                self.see(kind, event);
            }
            while let Ok((source, observed)) = self.observations.try_recv() {
                self.observe(&source, observed);
            }
            while let Ok(answers) = self.answers.try_recv() {
                self.analyse(&answers);
            }
            while let Some(done) = self.compiler.next().now_or_never() {
                self.learn(done);
            }
            if self.publisher.another_controller(&self.store, &*self.home).is_some() {
                return true;
            }
            self.reconcile(Instant::now(), seen).await;
            if *stop.borrow() {
                return false;
            }
        }
    }

    /// Waits for the first list of each kind; false when there will be none.
    async fn list(&mut self, seen: &mut Seen) -> bool {
        let mut patience = tokio::time::interval(Duration::from_secs(10));
        patience.tick().await;
        while !self.store.complete() {
            tokio::select! {
                event = seen.recv() => match event {
                    Some((kind, event)) => self.see(kind, event),
                    None => return false,
                },
                _ = patience.tick() => {
                    tracing::info!(kinds = self.store.missing().join(", "), "waiting for the first list of some kinds");
                }
            }
        }
        true
    }

    /// Takes up what the cluster holds of an earlier leader.
    fn take_up(&mut self) {
        let published = self.publisher.take_up(&self.store, &*self.home);
        let published_nothing = published.is_empty();
        published.into_iter().for_each(|id| self.queue.push(id));
        self.queue_all();
        if std::mem::take(&mut self.fetch_again) && !published_nothing {
            tracing::info!("no controller led for a while; proxies that came meanwhile ask for the filter again");
            self.publisher.fetch_again(Timestamp::now().to_string());
        }
        self.metrics.document_unreadable(self.publisher.lost().is_some());
        let (releases, published) = (self.store.releases().len(), self.publisher.published_releases());
        match self.publisher.lost() {
            None => tracing::info!(releases, published, "leading"),
            Some(lost) => tracing::error!(
                releases, published, carrier = %lost.carrier, cause = lost.cause,
                "the document of the leader before cannot be read; proxies keep it, and nothing is published until each release could be built again"
            ),
        }
    }

    /// Queues all releases, and what one left behind that went while nobody led.
    pub(super) fn queue_all(&mut self) {
        let releases = self.store.releases().map(|release| release.id.clone());
        let written = Kind::ALL.into_iter().filter(|kind| *kind != self.home.carrier());
        let owners = written.flat_map(|kind| self.store.all(kind)).filter_map(owner);
        releases.chain(owners).for_each(|id| self.queue.push(id));
    }

    /// Takes in whether proxies can get the filter, which every release tells.
    fn look_at_filter(&mut self) {
        let reach = self.filter_reach.borrow_and_update().clone();
        if let Reachability::Unreachable(cause) = &reach {
            tracing::error!(cause, "proxies cannot get the filter");
        }
        self.metrics.filter_reachable(!matches!(reach, Reachability::Unreachable(_)));
        self.publisher.filter_is(reach);
        self.queue_all();
    }

    /// Takes in what a metric source tells, and queues the releases for which it makes a difference.
    fn observe(&mut self, source: &str, observed: Option<Observed>) {
        self.metrics.metric_source(source, observed.is_some());
        let told = block_in_place(|| self.publisher.observe(source, observed, Instant::now()));
        self.metrics.proxies(self.publisher.proxies().counts());
        told.into_iter().for_each(|id| self.queue.push(id));
    }

    /// Takes in what metric sources answer, and queues the releases of which something else is thought now.
    fn analyse(&mut self, answers: &Answers) {
        let told = block_in_place(|| self.analyses.read(answers, Timestamp::now()));
        told.into_iter().for_each(|id| self.queue.push(id));
    }

    /// Says what metric sources are to be asked.
    pub(super) fn ask(&mut self) {
        if let Some(questions) = self.analyses.news() {
            self.questions.send_replace(questions);
        }
    }

    /// Takes in what the gate said of an entry.
    fn learn(&mut self, (id, answer): Done) {
        match answer {
            Some(answer) => {
                self.memories.entry(id.clone()).or_default().gate.learn(answer);
                self.queue.push(id);
            }
            None => {
                tracing::error!(release = %id, "cannot compile the patterns; trying again");
                self.queue.retry(&id, Instant::now());
            }
        }
    }

    /// Takes in an event, and queues the releases that it concerns.
    pub(super) fn see(&mut self, kind: Kind, event: Event) {
        for change in self.store.apply(kind, event) {
            self.concern(kind, &change, None);
        }
    }

    /// Takes in the answer to a write, which the release itself knows.
    pub(super) fn wrote(&mut self, kind: Kind, object: Object, by: Option<&ReleaseId>) {
        if let Some(change) = self.store.put(kind, object) {
            self.concern(kind, &change, by);
        }
    }

    /// Takes in that an object was deleted.
    pub(super) fn deleted(&mut self, kind: Kind, name: &Name) {
        if let Some(change) = self.store.forget(kind, name) {
            self.concern(kind, &change, None);
        }
    }

    /// Queues the releases that a change concerns, but the one whose write it was.
    fn concern(&mut self, kind: Kind, change: &Change, by: Option<&ReleaseId>) {
        let name = change.object.name();
        if kind == self.home.carrier() && by.is_none() {
            self.publisher.carrier_changed();
            if self.publisher.lost().is_some() {
                block_in_place(|| self.take_up());
            }
            return;
        }
        let mut concerned = self.readers.of(&change.keys);
        if kind == Kind::CanaryRelease {
            let id = ReleaseId::new(name.namespace, name.name);
            self.metrics.release(&id, self.store.release(&id).map(|release| &release.status));
            concerned.insert(id);
        }
        concerned.extend(owner(&change.object));
        for id in concerned.into_iter().filter(|id| Some(id) != by) {
            self.queue.push(id);
        }
    }
}

/// The release that an object was written for.
fn owner(object: &Object) -> Option<ReleaseId> {
    Some(ReleaseId::new(&*object.metadata.namespace, release_of(object)?))
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
