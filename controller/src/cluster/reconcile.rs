//! The seven steps, for a batch of releases.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::{Stream, StreamExt};
use jiff::Timestamp;
use serin_mesh::check::check;
use serin_mesh::conditions::{Condition, Reason};
use serin_mesh::entry::Scope;
use serin_mesh::key::Key;
use serin_mesh::life::{Surroundings, live, live_by};
use serin_mesh::order::Served;
use serin_mesh::outcome::Outcome;
use serin_mesh::pass::Pass;
use serin_mesh::publication::Failing;
use serin_mesh::reader::Reader;
use serin_mesh::reconcile::{build, plan};
use serin_mesh::references::{References, dereference};
use serin_mesh::resource::{Life, Resource};
use serin_mesh::retreat::retreat;
use serin_mesh::status::status;
use serin_mesh::store::Event;
use serin_mesh::word::Word;
use serin_mesh::{Kind, Name, Object};
use serin_release::ReleaseId;
use serin_release::api::v1alpha1::Status;
use tokio::task::block_in_place;

use super::apply::{WriteError, Writer};
use super::job::{Applied, Finalizer, Job, apply};
use super::lead::{Leader, Seen};
use super::queue::backoff;

/// Writes under way at once.
const CONCURRENT: usize = 16;

impl Leader {
    /// One batch over the releases that are due. Where it says "no client required" nothing waits for the API server.
    pub(super) async fn reconcile(&mut self, now: Instant, seen: &mut Seen) {
        let batch = self.queue.batch(now);
        if batch.is_empty() && !self.publisher.is_due(now) {
            return;
        }
        // Rollback first: it waits for no check of this batch, and for no write of it; one that comes later does neither.
        if self.retreat(&batch) {
            self.publish().await;
        }
        let jobs = block_in_place(|| {
            let mut jobs = Vec::with_capacity(batch.len());
            for id in batch {
                // 1 dereference (no client required)
                let Some((resource, references)) = self.dereference(&id) else { continue };
                let (entry, served) = (self.publisher.entry(&id), self.publisher.served(&id));
                let at = Timestamp::now();
                let told = self.analyses.of(&id);
                let pending = self.publisher.is_pending(&id);
                let surroundings = Surroundings { references: &references, entry, told: told.as_ref(), pending };
                let written = resource;
                let (resource, life) = live(&written, surroundings, at);
                self.analyses.follow(&written, life.run.as_ref(), at);
                let memory = self.memories.entry(id.clone()).or_default();
                if let Some(work) = memory.gate.long_work(&resource, self.publisher.entry(&id)) {
                    self.compiler.begin(&id, work);
                    continue;
                }
                let (seen, settings) = (self.publisher.seen(&id), &self.settings);
                let pass =
                    Pass { resource: &resource, references: &references, life: &life, entry, served, seen, settings, now };
                // 2 validate (no client required)
                let checked = check(&pass, memory);
                // 3 plan (no client required)
                let order = plan(&pass, &checked, memory);
                // 4 build (no client required)
                let outcome = build(&pass, checked, &order);
                self.metrics.reconciled(outcome.name());
                let changes = changes(&outcome, served);
                self.publisher.refuse(&resource, matches!(outcome, Outcome::Refused(_)));
                if matches!(outcome, Outcome::Moves(_)) {
                    self.publisher.retreat(&id, None);
                }
                let contests = &mut memory.contests;
                let job = Job::new(resource, references, outcome, &self.store, contests, now).living(life, at, now);
                jobs.push(job.keeping_allocation(changes));
            }
            jobs
        });
        // 5 apply
        let applied = self.apply(jobs, seen).await;
        // 6 publish
        self.publish().await;
        // 7 status
        self.report(applied, seen).await;
        self.queue_claimants();
        self.ask();
        self.metrics.round(now.elapsed().as_secs_f64(), self.queue.len());
    }

    /// Takes what only moves people to stable, and the entries of releases that leave; whether there was any.
    fn retreat(&mut self, batch: &[ReleaseId]) -> bool {
        let mut any = false;
        for id in batch {
            let Some(before) = self.publisher.entry(id) else { continue };
            match self.store.release(id).filter(|release| !release.leaves()) {
                None => self.publisher.retreat(id, None),
                Some(release) => {
                    let word = Word::read(self.store.get(Kind::CanaryControl, &Name::new(&*id.namespace, &*id.name)));
                    let (acting, _) = live_by(release, word, Timestamp::now());
                    let Some(entry) = acting.parsed.as_ref().ok().and_then(|release| retreat(release, before)) else {
                        continue;
                    };
                    self.publisher.retreat(id, Some(Arc::new(entry)));
                }
            }
            any = true;
        }
        any
    }

    /// Waits for writes of a batch. What moves people to stable meanwhile waits for none of them.
    async fn finish<T>(&mut self, writes: impl Stream<Item = T>, seen: &mut Seen) -> Vec<T> {
        let mut writes = pin!(writes);
        let mut done = Vec::new();
        loop {
            tokio::select! {
                write = writes.next() => match write {
                    Some(write) => done.push(write),
                    None => return done,
                },
                Some((kind, event)) = seen.recv() => {
                    let changed = match &event {
                        Event::Applied(object) | Event::Deleted(object)
                            if matches!(kind, Kind::CanaryRelease | Kind::CanaryControl) =>
                        {
                            Some(object.name())
                        }
                        _ => None,
                    };
                    self.see(kind, event);
                    let changed = changed.map(|name| ReleaseId::new(name.namespace, name.name));
                    if self.retreat(changed.as_slice()) {
                        self.publish().await;
                    }
                }
            }
        }
    }

    /// Whether a release is live and as a pass saw it.
    fn is_as_seen(&self, seen: &Resource) -> bool {
        let current = self.store.release(&seen.id).filter(|current| !current.leaves());
        current.is_some_and(|current| (&current.uid, current.generation) == (&seen.uid, seen.generation))
    }

    /// Step 1: a release with what concerns it; `None` when nothing is left of it.
    fn dereference(&mut self, id: &ReleaseId) -> Option<(Arc<Resource>, References)> {
        let resource = self.store.release(id).cloned().unwrap_or_else(|| Arc::new(Resource::gone(id.clone())));
        let reader = Reader::new(&self.store);
        let publisher = &self.publisher;
        let references = dereference(&resource, &reader, &*self.home, publisher.hosts(), publisher.controller());
        let keys = reader.into_keys();
        let is_over = resource.life == Life::Gone
            && self.publisher.served(id).is_nothing()
            && self.publisher.entry(id).is_none()
            && references.site.owned().is_empty();
        if is_over {
            self.readers.forget(id);
            self.queue.forget(id);
            self.memories.remove(id);
            self.analyses.follow(&resource, None, Timestamp::now());
            self.publisher.refuse(&resource, false);
            return None;
        }
        self.readers.record(id, keys);
        Some((resource, references))
    }

    /// Queues the releases that want a host which changed hands.
    fn queue_claimants(&mut self) {
        let keys = self.publisher.moved_hosts().into_iter().map(|host| Key::Host(Kind::CanaryRelease, host)).collect();
        self.readers.of(&keys).into_iter().for_each(|id| self.queue.push(id));
    }

    /// Step 5: the objects of each release, in the safe order.
    async fn apply(&mut self, jobs: Vec<Job>, seen: &mut Seen) -> Vec<Applied> {
        let writer = self.writer.clone();
        let writes = futures::stream::iter(jobs.into_iter().map(|job| apply(&writer, job)));
        let mut all = self.finish(writes.buffer_unordered(CONCURRENT), seen).await;
        for applied in &mut all {
            let id = applied.job.resource.id.clone();
            // From when the home's objects are there the next step's time runs; the watch says nothing that is known already.
            if applied.answers.iter().any(|(kind, _)| *kind != Kind::CanaryRelease && !kind.is_of_workloads()) {
                self.queue.push(id.clone());
            }
            for (kind, object) in std::mem::take(&mut applied.answers) {
                self.wrote(kind, object, Some(&id));
            }
            for (kind, name) in std::mem::take(&mut applied.deleted) {
                // What waited for it to go goes on.
                self.deleted(kind, &name);
                self.queue.push(id.clone());
            }
            if let Some(entry) = applied.entry().filter(|_| self.is_as_seen(&applied.job.resource)) {
                match applied.job.life.goes_on_by_itself(&applied.job.resource) {
                    true => self.publisher.set_in_time(&id, Arc::clone(entry)),
                    false => self.publisher.set(&id, Arc::clone(entry)),
                }
            }
        }
        all
    }

    /// Step 6: the documents, where they differ from what is there.
    async fn publish(&mut self) {
        if !self.publisher.is_due(Instant::now()) {
            return;
        }
        let carrier = self.home.carrier();
        let publication = match block_in_place(|| self.publisher.publication(&self.store, &*self.home)) {
            Ok(publication) => publication,
            Err(condition) => return self.cannot_publish(condition),
        };
        self.metrics.document(publication.bytes);
        let mut causes = publication.blocked.clone();
        for write in &publication.writes {
            if let Err(contested) = self.contests.admit(&write.desired, write.found.as_ref(), Instant::now()) {
                causes.insert(write.scope.clone(), contested.cause);
                continue;
            }
            match self.writer.apply(&write.desired, write.found.as_ref()).await {
                Ok(object) => drop(self.store.put(carrier, object)),
                Err(error) => drop(causes.insert(write.scope.clone(), error.to_string())),
            }
        }
        for gone in &publication.removals {
            match self.writer.delete(carrier, gone).await {
                Ok(()) => drop(self.store.forget(carrier, &gone.name())),
                Err(error) => tracing::warn!(%error, "cannot remove the filter of a waypoint"),
            }
        }
        let failing = causes.into_iter().map(|(scope, cause)| self.failing(scope, cause)).collect();
        let was_lost = self.publisher.lost().is_some();
        let next = self.publisher.wrote(publication, failing, self.settings.pace.settle, Instant::now());
        next.into_iter().for_each(|id| self.queue.push(id));
        if was_lost {
            tracing::info!("all releases could be built again; the document that could not be read is replaced");
            self.metrics.document_unreadable(false);
            self.queue_all();
        }
    }

    /// A scope that could not be written, and when it is tried again.
    fn failing(&mut self, scope: Scope, cause: String) -> (Scope, Failing) {
        tracing::warn!(%scope, cause, "cannot publish; trying again");
        let delay = backoff(self.publisher.failed_scope(&scope));
        (scope, Failing { cause, retry_at: Instant::now() + delay })
    }

    fn cannot_publish(&mut self, condition: Condition) {
        tracing::warn!(reason = condition.reason.name(), cause = condition.message, "cannot publish; trying again");
        let delay = backoff(self.publisher.failed());
        let told_otherwise = self.publisher.retry(condition, Instant::now() + delay);
        told_otherwise.into_iter().for_each(|id| self.queue.push(id));
    }

    /// Step 7: statuses and events, and when to look at the releases again.
    async fn report(&mut self, all: Vec<Applied>, seen: &mut Seen) {
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut statuses = Vec::new();
        for applied in all {
            self.requeue(&applied);
            let id = &applied.job.resource.id;
            // A status is written on what is there now, such as the answer to a write of this batch.
            let current = self.store.release(id).filter(|current| current.uid == applied.job.resource.uid);
            let superseded = matches!(applied.error, Some(WriteError::Conflict(_) | WriteError::NotLeader));
            if let Some(current) = current.cloned().filter(|_| !superseded) {
                let status = self.status(&applied, &current, &now);
                let before = applied.job.resource.status.clone();
                statuses.push((current, before, status, applied.job.finalizer()));
            }
        }
        let writer = self.writer.clone();
        let writes = futures::stream::iter(statuses.into_iter().map(|(resource, before, status, finalizer)| {
            let writer = &writer;
            async move {
                let result = write_status(writer, &resource, &status, finalizer).await;
                (resource, before, status, result)
            }
        }));
        let done = self.finish(writes.buffer_unordered(CONCURRENT), seen).await;
        for (resource, before, status, result) in done {
            match result {
                Ok(Some(object)) => {
                    self.wrote(Kind::CanaryRelease, object, Some(&resource.id));
                    self.events.emit(&resource, &before, &status);
                    self.metrics.happened(&before, &status);
                    self.notifier.tell(&resource, &before, &status);
                }
                Ok(None) => {}
                Err(error) => {
                    if matches!(error, WriteError::Failed { .. }) {
                        tracing::warn!(release = %resource.id, %error, "cannot write the status; trying again");
                    }
                    self.queue.retry(&resource.id, Instant::now());
                }
            }
        }
    }

    /// When to look at a release again.
    fn requeue(&mut self, applied: &Applied) {
        let id = &applied.job.resource.id;
        match &applied.error {
            None => {
                self.queue.succeeded(id);
                self.queue.schedule(id, applied.job.requeue_at);
            }
            // The next event brings the object as it is now; should none come, a look after a moment.
            Some(WriteError::Conflict(_)) => self.queue.schedule(id, Some(Instant::now() + backoff(0))),
            Some(WriteError::NotLeader) => {}
            Some(error @ WriteError::Failed { .. }) => {
                tracing::warn!(release = %id, %error, "cannot write; trying again");
                self.queue.retry(id, Instant::now());
            }
        }
    }

    fn status(&mut self, applied: &Applied, current: &Resource, now: &str) -> Status {
        let job = &applied.job;
        let id = &job.resource.id;
        let failed = applied.error.as_ref().map(|error| Condition::new(Reason::WriteFailed, error.to_string()));
        let contested = job.contested.as_ref().map(|found| Condition::new(Reason::Overwritten, found.cause.clone()));
        let trouble = failed.clone().or(contested).or_else(|| self.publisher.trouble(id));
        // Its text is the one that the pass saw.
        let mut read = Resource::clone(&job.resource);
        read.status.clone_from(&current.status);
        let (entry, served) = (self.publisher.entry(id), self.publisher.served(id));
        let (seen, settings, now_is) = (self.publisher.seen(id), &self.settings, Instant::now());
        let references = &job.references;
        let pass = Pass { resource: &read, references, life: &job.life, entry, served, seen, settings, now: now_is };
        let mut status = status(&pass, &job.outcome, trouble.as_ref(), now);
        if failed.is_some() {
            // Bucket maps that may not be kept are not in use either.
            status.allocation = current.status.allocation.clone();
        }
        status
    }
}

/// Whether a document would send requests elsewhere than the last one.
fn changes(outcome: &Outcome, served: Served<'_>) -> bool {
    let Outcome::Routed(routed) = outcome else { return false };
    let published = match served {
        Served::Entry(published) => published,
        Served::Unknown => None,
    };
    routed.entry.as_ref().is_some_and(|entry| published != Some(&entry.served))
}

/// Writes a status that differs, or takes the finalizer off a release that is done.
async fn write_status(
    writer: &Writer,
    resource: &Resource,
    status: &Status,
    finalizer: Finalizer,
) -> Result<Option<Object>, WriteError> {
    let revision = resource.revision.as_deref();
    if finalizer == Finalizer::Remove {
        return writer.finalizer(resource, revision, false).await.map(Some);
    }
    match *status == resource.status {
        true => Ok(None),
        false => writer.status(resource, revision, status).await.map(Some),
    }
}
