//! Routes in order, each with its matches and its weights: the common form of a VirtualService, an HTTPRoute and a Strategy.

use serin_config::Weight;

use super::amounts;
use super::draft::Draft;
use super::rules::Outcome;
use super::when::{Fit, When};
use crate::api::v1alpha1::Share;

/// A route.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Its place in the source.
    pub(super) path: String,
    /// Its matches, one of which has to hold; none of them for a route that takes everything.
    pub(super) matches: Vec<Match>,
    /// Versions with their weights; none for a route that leads elsewhere.
    pub(super) to: Vec<(String, u64)>,
}

/// A match of a route.
#[derive(Clone, Debug)]
pub(super) struct Match {
    /// Its place in the source.
    pub(super) path: String,
    /// The name of the rule that it becomes.
    pub(super) name: String,
    pub(super) when: When,
}

impl Match {
    fn takes_everything(&self) -> bool {
        self.when.fit == Fit::Fits && self.when.conditions.is_empty()
    }
}

impl Route {
    fn takes_everything(&self) -> bool {
        self.matches.is_empty() || self.matches.iter().any(Match::takes_everything)
    }

    /// The version of the largest weight, the first of several; and whether there are several.
    fn largest(&self) -> Option<(&str, bool)> {
        let most = self.to.iter().map(|(_, weight)| *weight).max()?;
        let mut largest = self.to.iter().filter(|(_, weight)| *weight == most).map(|(version, _)| version.as_str());
        let first = largest.next()?;
        Some((first, largest.any(|other| other != first)))
    }
}

/// The number of versions that routes lead to.
pub(super) fn versions(routes: &[Route]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (version, _) in routes.iter().flat_map(|route| &route.to) {
        if !found.contains(version) {
            found.push(version.clone());
        }
    }
    found
}

/// The version that gets most of what a route takes which takes everything; else the one whose name says so, and the owner is asked.
fn stable_of(draft: &mut Draft, routes: &[Route], base: Option<&Route>) -> Option<String> {
    if let Some((base, (stable, is_one_of))) = base.and_then(|base| Some((base, base.largest()?))) {
        match is_one_of {
            true => {
                draft
                    .changed(&base.path, format!("several versions have the largest weight; `{stable}` is taken as stable"));
            }
            false => draft.carried(&base.path, format!("`{stable}` gets most by default, so it is stable")),
        }
        return Some(stable.to_owned());
    }
    let is_old = |version: &str| ["stable", "primary", "current", "active", "old"].contains(&version);
    let stable = versions(routes).into_iter().min_by_key(|version| (!is_old(version), version.clone()))?;
    let text = format!("no route takes everything, so `{stable}` is taken as stable; write another version if it is not");
    draft.by_hand("stable.version", text);
    Some(stable)
}

/// Fills a release with routes. `stable` is stable's version where the source says it; else it is the one that gets most by default.
pub(super) fn fill(draft: &mut Draft, routes: Vec<Route>, stable: Option<&str>) {
    let base = routes.iter().position(Route::takes_everything);
    let stable = stable.map(str::to_owned);
    let Some(stable) = stable.or_else(|| stable_of(draft, &routes, base.and_then(|at| routes.get(at)))) else { return };
    draft.spec.stable.version.clone_from(&stable);
    versions(&routes).iter().for_each(|version| draft.canary(version));
    for (at, route) in routes.into_iter().enumerate() {
        match base {
            Some(base) if at > base => draft.lost(&route.path, "never reached: a route before it takes everything"),
            Some(base) if at == base => weights(draft, route, &stable),
            _ => rules(draft, route, &stable),
        }
    }
    if base.is_none() {
        draft.changed("spec", "requests that no route matches were not answered; stable gets them now");
    }
}

/// The weights of a route's versions, and whether a share was rounded.
fn shares(route: &Route, stable: &str) -> (Vec<Share>, bool) {
    let total: u64 = route.to.iter().map(|(_, weight)| weight).sum();
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for (version, weight) in route.to.iter().filter(|(version, _)| version != stable) {
        match sums.iter_mut().find(|(known, _)| known == version) {
            Some((_, sum)) => *sum += weight,
            None => sums.push((version, *weight)),
        }
    }
    let rounded = sums.iter().any(|(_, sum)| !amounts::is_exact(*sum, total));
    let share = |(version, sum): (&str, u64)| Share { version: version.to_owned(), weight: amounts::share(sum, total) };
    (sums.into_iter().map(share).collect(), rounded)
}

const ROUNDED: &str = "the weights are shares of their sum; a canary's is rounded down to 0.001 %";

/// What a route that takes everything gives becomes the weights. A match before the one that takes everything says nothing.
fn weights(draft: &mut Draft, route: Route, stable: &str) {
    if route.to.is_empty() {
        draft.lost(
            &route.path,
            "leads to none of the versions; keep it in a VirtualService of your own, with routing.mode: delegate",
        );
        return;
    }
    let (shares, rounded) = shares(&route, stable);
    if rounded {
        draft.changed(&route.path, ROUNDED);
    }
    for Share { version, weight } in shares {
        draft.carried(&route.path, format!("becomes the weight {weight} of `{version}`"));
        draft.weight(&version, weight);
    }
}

/// One rule for each match of a route.
fn rules(draft: &mut Draft, route: Route, stable: &str) {
    let (shares, rounded) = shares(&route, stable);
    let outcome = match shares.as_slice() {
        _ if route.to.is_empty() => Outcome::Elsewhere,
        [] => Outcome::Version(stable.to_owned()),
        [only] if only.weight == Weight::ALL => Outcome::Version(only.version.clone()),
        _ => {
            let shares: Vec<Share> = shares.into_iter().filter(|share| share.weight != Weight::NONE).collect();
            if shares.is_empty() { Outcome::Version(stable.to_owned()) } else { Outcome::Split(shares) }
        }
    };
    if outcome == Outcome::Elsewhere {
        draft.lost(
            &route.path,
            "leads to none of the versions, and stable gets these now; keep it in a VirtualService of your own, with routing.mode: delegate",
        );
    } else if rounded {
        draft.changed(&route.path, ROUNDED);
    }
    for Match { path, name, when } in route.matches {
        draft.rule(path, name, when, outcome.clone());
    }
}
