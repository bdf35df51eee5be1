//! What a pass came to, and its writes.

use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use serin_mesh::contest::{Contested, Contests};
use serin_mesh::desired::Desired;
use serin_mesh::entry::Entry;
use serin_mesh::life::Life;
use serin_mesh::outcome::Outcome;
use serin_mesh::references::References;
use serin_mesh::resource::Resource;
use serin_mesh::store::Store;
use serin_mesh::workload::left_to_others;
use serin_mesh::{Kind, Name, Object};
use serin_release::api::v1alpha1::Status;

use super::apply::{WriteError, Writer};

/// A pass that was made.
pub(super) struct Job {
    pub(super) resource: Arc<Resource>,
    pub(super) references: References,
    /// What acts of a person's word.
    pub(super) life: Life,
    pub(super) outcome: Outcome,
    /// Objects to apply, with what was found in their place.
    objects: Vec<(Desired, Option<Object>)>,
    removals: Vec<(Kind, Object)>,
    /// Deployments that lose their pods.
    scaled_down: Vec<Object>,
    /// An object of these that somebody else changes again and again.
    pub(super) contested: Option<Contested>,
    /// When to look again.
    pub(super) requeue_at: Option<Instant>,
    /// Whether the bucket maps have to be kept before a document uses them.
    keep_allocation: bool,
}

/// What the writes of a job came to.
pub(super) struct Applied {
    pub(super) job: Job,
    /// Objects as the API server has them now.
    pub(super) answers: Vec<(Kind, Object)>,
    pub(super) deleted: Vec<(Kind, Name)>,
    pub(super) error: Option<WriteError>,
    /// Whether a restart would find the bucket maps that its entry uses.
    kept: bool,
}

/// What happens to the finalizer of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finalizer {
    /// It stays as it is.
    Keep,
    /// It is added, before anything else is written.
    Add,
    /// It is removed, and the release is gone.
    Remove,
}

impl Job {
    /// The writes that are missing for an outcome.
    pub(super) fn new(
        resource: Arc<Resource>,
        references: References,
        outcome: Outcome,
        store: &Store,
        contests: &mut Contests,
        now: Instant,
    ) -> Self {
        let (mut objects, mut removals, mut scaled_down, mut waits) = (Vec::new(), Vec::new(), Vec::new(), None);
        let namespace = &resource.id.namespace;
        if let Some(writes) = outcome.writes() {
            for desired in &writes.objects {
                let found = store.get(desired.kind, &Name::new(&*desired.namespace, &*desired.name));
                if found.is_some_and(|found| desired.is(found) || desired.was_applied(found)) {
                    continue;
                }
                match contests.admit(desired, found, now) {
                    Ok(()) => objects.push((desired.clone(), found.cloned())),
                    Err(contested) => waits = Some(contested.until).into_iter().chain(waits).min(),
                }
            }
            let found = writes
                .removals
                .iter()
                .filter_map(|(kind, name)| Some((*kind, store.get(*kind, &Name::new(&**namespace, &**name))?.clone())));
            removals.extend(found);
            let found = |name: &String| store.get(Kind::Deployment, &Name::new(&**namespace, &**name)).cloned();
            scaled_down.extend(writes.scaled_down.iter().filter_map(found));
            removals.iter().for_each(|(kind, found)| contests.forget(*kind, &found.name()));
        }
        let contested = contests.standing(now);
        let requeue_at =
            outcome.requeue_at().into_iter().chain(waits).chain(contested.as_ref().map(|contested| contested.until)).min();
        Self {
            resource,
            references,
            life: Life::default(),
            outcome,
            objects,
            removals,
            scaled_down,
            contested,
            requeue_at,
            keep_allocation: false,
        }
    }

    /// With what acts of steps and of a person's word, and the next look that they ask for.
    pub(super) fn living(mut self, life: Life, at: Timestamp, now: Instant) -> Self {
        self.requeue_at = self.requeue_at.into_iter().chain(life.look_in(at).map(|wait| now + wait)).min();
        self.life = life;
        self
    }

    /// Keeps the bucket maps, and how far the steps have come, in the status before a document uses them, where they are not there yet.
    pub(super) fn keeping_allocation(mut self, served_changes: bool) -> Self {
        let allocation = match &self.outcome {
            Outcome::Routed(routed) => Some(&routed.allocation),
            Outcome::Refused(_) | Outcome::Moves(_) | Outcome::Leaves(_) => None,
        };
        let status = &self.resource.status;
        self.keep_allocation =
            served_changes && allocation.is_some_and(|kept| *kept != status.allocation || !self.life.is_kept(status));
        self
    }

    /// What happens to the finalizer.
    pub(super) fn finalizer(&self) -> Finalizer {
        match (&self.outcome, self.resource.finalizer) {
            (Outcome::Routed(_), false) => Finalizer::Add,
            (Outcome::Leaves(leaves), true) if leaves.done => Finalizer::Remove,
            _ => Finalizer::Keep,
        }
    }
}

/// Step 5 for one release. Nothing is written before the finalizer, and no document uses bucket maps that a restart would not find.
pub(super) async fn apply(writer: &Writer, job: Job) -> Applied {
    let mut applied = Applied { job, answers: Vec::new(), deleted: Vec::new(), error: None, kept: false };
    applied.error = applied.write(writer).await.err();
    applied
}

impl Applied {
    /// The entry that may be published. It names what routes were seen to lead to, so that an object which the API server refuses, such as a
    /// clone, does not hold it up; of one that changed in between the next pass knows more.
    pub(super) fn entry(&self) -> Option<&Arc<Entry>> {
        let Outcome::Routed(routed) = &self.job.outcome else { return None };
        let may = match &self.error {
            None => true,
            Some(WriteError::Failed { .. }) => self.kept,
            Some(WriteError::Conflict(_) | WriteError::NotLeader) => false,
        };
        routed.entry.as_ref().filter(|_| may)
    }

    async fn write(&mut self, writer: &Writer) -> Result<(), WriteError> {
        let job = &self.job;
        let mut revision = job.resource.revision.clone();
        if job.finalizer() == Finalizer::Add {
            let object = writer.finalizer(&job.resource, revision.as_deref(), true).await?;
            revision.clone_from(&object.metadata.resource_version);
            self.answers.push((Kind::CanaryRelease, object));
        }
        if let Outcome::Routed(routed) = &job.outcome
            && job.keep_allocation
        {
            let status = Status { allocation: routed.allocation.clone(), ..job.resource.status.clone() };
            let status = job.life.kept(status);
            let object = writer.status(&job.resource, revision.as_deref(), &status).await?;
            self.answers.push((Kind::CanaryRelease, object));
        }
        self.kept = true;
        for (desired, found) in &job.objects {
            let mut found = found.clone();
            if let Some((clone, replicas)) = found.as_ref().and_then(|found| Some((found, left_to_others(desired, found)?)))
            {
                found = Some(writer.scale(clone, replicas).await?);
            }
            self.answers.push((desired.kind, writer.apply(desired, found.as_ref()).await?));
        }
        for (kind, found) in &job.removals {
            writer.delete(*kind, found).await?;
            self.deleted.push((*kind, found.name()));
        }
        for found in &job.scaled_down {
            self.answers.push((Kind::Deployment, writer.scale(found, 0).await?));
        }
        for (kind, name) in job.outcome.writes().iter().flat_map(|writes| &writes.disowned) {
            self.answers.push((*kind, writer.disown(*kind, &job.resource.id.namespace, name).await?));
        }
        Ok(())
    }
}
