//! Steps 2 to 4 of a pass over a release: what it comes to, out of what is there.
//!
//! ```text
//! 1 dereference  copy of the cluster ─► References           reads the copy only
//! 2 validate     text, surroundings ─► Accepted | Refusal    pure (check, release::validate)
//! 3 plan         what is there, when ─► Order                pure; the time comes in
//! 4 build        ─► objects, entry of the document           pure; cannot fail
//! 5 apply        objects ─► API server                       client
//! 6 publish      entries ─► documents, through the gate      pure, then client
//! 7 status       ─► conditions of any outcome                pure, then client
//! ```
//! A pass over a release does all that can be done now; what has to wait is due at `requeue_at`. Nothing is kept but what another
//! process would find in the cluster too, so that a pass can end anywhere.

use std::collections::BTreeSet;
use std::sync::Arc;

use serin_config::ReleaseSplit;

use crate::capacity::Capacity;
use crate::check::{Accepted, Checked};
use crate::entry::Entry;
use crate::home::Plan;
use crate::order::{Order, order, versions_of};
use crate::outcome::{Outcome, Routed, Writes};
use crate::pass::{Memory, Pass};
use crate::{clones, leave};

/// Step 3: what may be done now; nothing for a release that is refused. One that leaves wants no version, and neither does one that
/// moves to another host, until nothing is left of it at the host before.
pub fn plan(pass: &Pass<'_>, checked: &Checked<'_>, memory: &mut Memory) -> Order {
    let wanted = match checked {
        Ok(Some(accepted)) if !pass.references.site.is_elsewhere() => wanted_versions(accepted),
        Ok(_) => BTreeSet::new(),
        Err(_) => return Order::default(),
    };
    let named: BTreeSet<String> = wanted.union(&pass.served.versions()).cloned().collect();
    let site = &pass.references.site;
    let reach = site.reach(&named, &pass.settings.document.routing_header);
    order(&wanted, &reach, pass.served, &mut memory.timers, pass.settings.pace, pass.now)
}

/// All versions that a release may send requests to: those of its split, which a pause may hold, and those of its spec.
fn wanted_versions(accepted: &Accepted<'_>) -> BTreeSet<String> {
    let spec = &accepted.release.spec;
    let mut versions = versions_of(&accepted.compiled.wanted);
    let named = std::iter::once(&spec.stable.version).chain(spec.canaries.iter().map(|canary| &canary.version));
    versions.extend(named.cloned());
    versions
}

/// Step 4: what to write, and what to say of it.
#[must_use]
pub fn build(pass: &Pass<'_>, checked: Checked<'_>, order: &Order) -> Outcome {
    match checked {
        Ok(Some(_)) if pass.references.site.is_elsewhere() => Outcome::Moves(leave::leave(pass, order)),
        Ok(Some(accepted)) => Outcome::Routed(Box::new(route(pass, &accepted, order))),
        Ok(None) => Outcome::Leaves(leave::leave(pass, order)),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn route(pass: &Pass<'_>, accepted: &Accepted<'_>, order: &Order) -> Routed {
    let wanted = &accepted.compiled.wanted;
    let capacity = Capacity::of(pass, accepted, &order.routable);
    let entry = order.routable.contains(&wanted.stable).then(|| {
        Arc::new(Entry {
            allocation: accepted.allocation.clone(),
            wanted: wanted.clone(),
            served: ReleaseSplit { routing_key: order.routing_key.clone().flatten(), ..capacity.limits.serve(wanted) },
            automata: accepted.compiled.automata.clone(),
            scopes: pass.references.site.scopes(),
        })
    });
    let asked = asked(accepted);
    let names: Vec<&str> = asked.iter().map(String::as_str).collect();
    Routed {
        writes: writes(pass, accepted, order),
        entry,
        allocation: accepted.allocation.clone(),
        gap: pass.references.site.gap(&names, &pass.settings.document.routing_header),
        lacking: capacity.lacking(pass, accepted),
        pending: asked.iter().filter(|version| !order.routable.contains(*version)).cloned().collect(),
        asked,
        requeue_at: order.requeue_at,
    }
}

/// The versions that a spec sends requests to: stable, and the canaries that its split leads to.
fn asked(accepted: &Accepted<'_>) -> Vec<String> {
    let spec = &accepted.release.spec;
    let led_to = versions_of(&accepted.compiled.wanted);
    let canaries = spec.canaries.iter().map(|canary| &canary.version).filter(|version| led_to.contains(*version));
    std::iter::once(&spec.stable.version).chain(canaries).cloned().collect()
}

/// The home's objects, then the clones.
fn writes(pass: &Pass<'_>, accepted: &Accepted<'_>, order: &Order) -> Writes {
    let (release, site) = (accepted.release, &pass.references.site);
    let wanted = wanted_versions(accepted);
    let plan = Plan {
        resource: pass.resource,
        release,
        service: pass.references.service.as_ref(),
        stable: &accepted.compiled.wanted.stable,
        routing_header: &pass.settings.document.routing_header,
        routing_keys: &order.routing_keys,
        known: &order.known,
        routes: &order.routes,
        stranded: pass.references.is_stranded(&accepted.compiled.wanted.stable, &wanted),
    };
    let mut writes = Writes { objects: site.desired(&plan), removals: site.surplus(&plan), ..Writes::default() };
    clones::write(pass, accepted, order, &wanted, &mut writes);
    writes
}
