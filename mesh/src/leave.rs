//! Deletion: a release leaves the mesh in the reverse order, document, clones, routes, what makes versions known, and then the
//! finalizer. No client required.

use serin_release::api::v1alpha1::Leftover;

use crate::Kind;
use crate::clones::{Made, is_idle, made};
use crate::deployments::size;
use crate::home::Role;
use crate::order::Order;
use crate::outcome::{Leaves, Writes};
use crate::pass::Pass;

/// Step 4 for a release that leaves.
pub(crate) fn leave(pass: &Pass<'_>, order: &Order) -> Leaves {
    let references = pass.references;
    let parsed = pass.resource.parsed.as_ref().ok();
    let stable = parsed.map(|release| release.spec.stable.version.as_str());
    let says = parsed.and_then(|release| release.spec.cleanup?.on_delete).unwrap_or(Leftover::Delete);
    // Those of stable stay, and all of a release that is gone, since nothing says which one is stable.
    let (stay, go): (Vec<Made>, Vec<Made>) = made(pass)
        .into_iter()
        .partition(|made| says == Leftover::Keep || stable.is_none_or(|stable| stable == made.version));
    let unpublished = pass.served.is_nothing();
    let idle = |version: &str| unpublished && is_idle(order, version);

    // Without a route requests go to any pod of the Service: canaries' pods have to be gone by then, unless they are to stay.
    let has_pods = |made: &Made| references.ready.get(&made.version).is_some_and(|ready| *ready > 0);
    let pods_left = go.iter().any(has_pods);
    let owned = references.site.owned();
    let is_routed = owned.iter().any(|object| object.role == Role::Routes);
    let routes_go = unpublished && order.routes.is_empty() && go.is_empty() && !pods_left;
    let rest_goes = unpublished && !is_routed && go.is_empty() && order.known.is_empty();
    let goes = |role: Role| if role == Role::Routes { routes_go } else { rest_goes };

    let objects = owned.iter().filter(|object| goes(object.role)).map(|object| (object.kind, object.name.clone()));
    let mut writes = Writes { removals: objects.collect(), ..Writes::default() };
    writes.disowned = stay.into_iter().map(|made| (made.kind, made.name)).collect();
    for made in go.iter().filter(|made| idle(&made.version)) {
        let Made { kind, name, .. } = made.clone();
        let pods = references.deployments.get(&name).map_or(0, size);
        match (kind, says) {
            (Kind::Deployment, Leftover::ScaleDown) if pods > 0 => writes.scaled_down.push(name),
            // Its pods may still be ending.
            (Kind::Deployment, Leftover::ScaleDown) if has_pods(made) => {}
            (Kind::Deployment, Leftover::ScaleDown) => writes.disowned.push((kind, name)),
            _ => writes.removals.push((kind, name)),
        }
    }
    Leaves { writes, done: unpublished && owned.is_empty() && go.is_empty(), requeue_at: order.requeue_at }
}
