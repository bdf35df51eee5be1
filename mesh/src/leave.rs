//! Deletion: a release leaves the mesh in the reverse order, document, clones, routes, what makes versions known, and then the
//! finalizer. No client required.

use crate::Kind;
use crate::home::Role;
use crate::order::Order;
use crate::outcome::{Leaves, Writes};
use crate::pass::Pass;
use crate::workload;

/// Step 4 for a release that leaves.
pub(crate) fn leave(pass: &Pass<'_>, order: &Order) -> Leaves {
    let references = pass.references;
    let stable = pass.resource.parsed.as_ref().map(|release| release.spec.stable.version.as_str()).ok();
    let clones = workload::clones(pass);
    // Those of stable stay, and all of a release that is gone, since nothing says which one is stable.
    let (stay, go): (Vec<_>, Vec<_>) =
        clones.into_iter().partition(|(_, version)| stable.is_none_or(|stable| stable == version));
    let unpublished = pass.served.is_nothing();
    let idle = |version: &String| unpublished && (order.unserved.contains(version) || !order.known.contains(version));

    // Without a route requests go to any pod of the Service: canaries' pods have to be gone by then.
    let pods_left = go.iter().any(|(_, version)| references.ready.get(version).is_some_and(|ready| *ready > 0));
    let owned = references.site.owned();
    let is_routed = owned.iter().any(|object| object.role == Role::Routes);
    let routes_go = unpublished && order.routes.is_empty() && go.is_empty() && !pods_left;
    let rest_goes = unpublished && !is_routed && go.is_empty() && order.known.is_empty();
    let goes = |role: Role| if role == Role::Routes { routes_go } else { rest_goes };

    let clones = go.iter().filter(|(_, version)| idle(version)).map(|(name, _)| (Kind::Deployment, name.clone()));
    let objects = owned.iter().filter(|object| goes(object.role)).map(|object| (object.kind, object.name.clone()));
    Leaves {
        writes: Writes {
            objects: Vec::new(),
            removals: clones.chain(objects).collect(),
            disowned: stay.into_iter().map(|(name, _)| name).collect(),
        },
        done: unpublished && owned.is_empty() && go.is_empty(),
        requeue_at: order.requeue_at,
    }
}
