//! A release in a round, and its writes.

use kube::api::DynamicObject;

use super::kind::Kind;
use super::world::{Name, Object};
use crate::api::v1alpha1::{Allocation, Status};
use crate::reconcile::Outcome;
use crate::reconcile::apply::{WriteError, Writer};
use crate::reconcile::build::Wanted;
use crate::reconcile::references::References;
use crate::reconcile::resource::Resource;

/// A release in a round.
pub(super) struct Turn {
    pub(super) name: Name,
    pub(super) resource: Resource,
    pub(super) references: References,
    pub(super) outcome: Outcome,
    /// Objects to apply, with what was found in their place.
    pub(super) objects: Vec<(Wanted, Option<Object>)>,
    pub(super) removals: Vec<(Kind, Object)>,
    /// Whether the bucket maps have to be kept before a document uses them.
    pub(super) keep_allocation: bool,
}

/// What the writes of a release came to.
pub(super) struct Written {
    pub(super) turn: Turn,
    pub(super) answers: Vec<(Kind, DynamicObject)>,
    pub(super) deleted: Vec<(Kind, Object)>,
    pub(super) error: Option<WriteError>,
}

/// The writes of a release, in order: nothing is written before the finalizer, and no document uses bucket maps that a restart
/// would not find.
pub(super) async fn write(writer: &Writer, mut turn: Turn) -> Written {
    let mut answers = Vec::new();
    let mut deleted = Vec::new();
    let error = write_all(writer, &mut turn, &mut answers, &mut deleted).await.err();
    Written { turn, answers, deleted, error }
}

async fn write_all(
    writer: &Writer,
    turn: &mut Turn,
    answers: &mut Vec<(Kind, DynamicObject)>,
    deleted: &mut Vec<(Kind, Object)>,
) -> Result<(), WriteError> {
    if turn.outcome.finalizer == Some(true) {
        let object = writer.finalizer(&turn.resource, true).await?;
        turn.resource.version.clone_from(&object.metadata.resource_version);
        answers.push((Kind::CanaryRelease, object));
    }
    if turn.keep_allocation {
        let kept: Allocation = turn.outcome.allocation.clone();
        let status = Status { allocation: kept, ..turn.resource.status.clone() };
        let object = writer.status(&turn.resource, turn.resource.version.as_deref(), &status).await?;
        answers.push((Kind::CanaryRelease, object));
    }
    for (wanted, found) in &turn.objects {
        answers.push((wanted.kind, writer.apply(wanted, found.as_ref()).await?));
    }
    for (kind, found) in &turn.removals {
        writer.delete(*kind, found).await?;
        deleted.push((*kind, found.clone()));
    }
    for name in &turn.outcome.disowned {
        answers.push((Kind::Deployment, writer.disown(&turn.resource.namespace, name).await?));
    }
    Ok(())
}

/// Writes a status that differs, and then takes the finalizer off a release that is done.
pub(super) async fn write_status(
    writer: &Writer,
    resource: &Resource,
    version: Option<&str>,
    status: &Status,
    finalizer: Option<bool>,
) -> Result<Option<DynamicObject>, WriteError> {
    if finalizer == Some(false) {
        let mut resource = resource.clone();
        resource.version = version.map(str::to_owned);
        return writer.finalizer(&resource, false).await.map(Some);
    }
    match *status == resource.status {
        true => Ok(None),
        false => writer.status(resource, version, status).await.map(Some),
    }
}
