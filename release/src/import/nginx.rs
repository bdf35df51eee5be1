//! An Ingress with the canary annotations of ingress-nginx, and the Ingress that it belongs to.

mod ingress;

use serin_config::{Condition, KeySource, Sticky, Weight};

use super::amounts;
use super::draft::Draft;
use super::objects::Object;
use super::rules::Outcome;
use super::when::{Wanted, When};
use crate::api::v1alpha1::Share;
use crate::problem::Problem;
use ingress::{Ingress, Rule};

/// What annotations of ingress-nginx begin with.
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// Whether an object is an Ingress that is a canary.
pub(super) fn is_canary(object: &Object<'_>) -> bool {
    object.kind == "Ingress" && annotation(object, "canary") == Some("true")
}

fn annotation<'o>(object: &'o Object<'_>, name: &str) -> Option<&'o str> {
    object.meta.annotations.get(&format!("{PREFIX}{name}")).map(String::as_str)
}

/// The Ingress that a canary belongs to: the first of its namespace with one of its hosts.
fn main<'o, 'n>(canary: &Object<'_>, spec: &Ingress, objects: &'o [Object<'n>]) -> Option<(&'o Object<'n>, Ingress)> {
    let others = objects
        .iter()
        .filter(|object| object.kind == "Ingress" && !is_canary(object) && object.meta.namespace == canary.meta.namespace);
    others
        .filter_map(|object| Some((object, object.spec::<Ingress>().ok()?)))
        .find(|(_, other)| other.rules.iter().any(|rule| spec.rules.iter().any(|own| own.host == rule.host)))
}

/// A release of an Ingress that is a canary.
pub(super) fn ingress(object: &Object<'_>, objects: &[Object<'_>]) -> Result<Draft, Problem> {
    let spec: Ingress = object.spec()?;
    let first = spec.paths().first();
    let Some((first, canary)) = first.and_then(|path| Some((path, path.backend.name()?.to_owned()))) else {
        return Ok(Draft::refused(&object.meta, "spec.rules", "no path leads to a Service"));
    };
    let main = main(object, &spec, objects);
    // The path that the canary shares with it.
    let shared = main.as_ref().and_then(|(_, main)| {
        let paths = || {
            main.rules
                .iter()
                .filter(|rule| spec.rules.iter().any(|own| own.host == rule.host))
                .flat_map(|rule| &rule.http.paths)
        };
        paths().find(|path| path.text() == first.text()).or_else(|| paths().next())
    });
    let stable = shared.and_then(|path| path.backend.name()).filter(|stable| *stable != canary).map(str::to_owned);
    let stripped = |name: &str| name.strip_suffix("-canary").unwrap_or(name).to_owned();
    let mut draft = Draft::new(&object.meta, stable.clone().unwrap_or_else(|| stripped(&canary)), "stable");
    draft.rename(main.as_ref().map_or_else(|| stripped(&object.meta.name), |(object, _)| object.meta.name.clone()));
    draft.spec.ports = first.backend.port().into_iter().collect();
    draft.canary("canary");
    let paths = paths(&mut draft, &spec, &canary);
    if let Some((_, main)) = &main {
        beside(&mut draft, main, &spec);
    }
    rules(&mut draft, object, paths.as_deref());
    weight(&mut draft, object, paths.as_deref());
    affinity(&mut draft, object, main.as_ref().map(|(object, _)| *object));
    hosts(&mut draft, &spec);
    let names = stable.map_or_else(|| canary.clone(), |stable| format!("{stable}, {canary}"));
    draft.by_hand(names, "one Service over both versions is needed");
    others(&mut draft, object);
    if let Some((main, spec)) = &main {
        others(&mut draft, main);
        draft.rest("spec", &spec.rest, &[("tls", Some("TLS ends at the gateway"))]);
    }
    Ok(draft)
}

/// The condition of each of the canary's paths: none where it has all of them, `None` where they cannot be said.
fn paths(draft: &mut Draft, spec: &Ingress, canary: &str) -> Option<Vec<(String, Condition)>> {
    let texts = |rule: &Rule| rule.http.paths.iter().map(|path| path.text().to_owned()).collect::<Vec<_>>();
    let first = spec.rules.first().map(texts).unwrap_or_default();
    if let Some(at) = spec.rules.iter().position(|rule| texts(rule) != first) {
        let text = "hosts with different paths are several releases; import them one by one";
        draft.lost(format!("spec.rules[{at}]"), text);
        return None;
    }
    let mut found: Vec<(String, Condition)> = Vec::new();
    for (at, path) in spec.paths().iter().enumerate() {
        let place = format!("spec.rules[0].http.paths[{at}]");
        if path.backend.name() != Some(canary) {
            draft.lost(place, format!("leads to another Service than `{canary}`; write another release for it"));
            continue;
        }
        match path.condition() {
            Ok(None) => return Some(Vec::new()),
            Ok(Some(condition)) => found.push((path.rule(), condition)),
            Err(text) => draft.lost(place, text),
        }
    }
    Some(found).filter(|found| !found.is_empty())
}

/// Paths of the Ingress that the canary has not got stay with stable, as nginx takes the most specific one.
fn beside(draft: &mut Draft, main: &Ingress, canary: &Ingress) {
    let is_own = |text: &str| canary.paths().iter().any(|own| own.text() == text);
    let is_below = |text: &str| canary.paths().iter().any(|own| text.starts_with(own.text()));
    let hosts = main.rules.iter().filter(|rule| canary.rules.iter().any(|own| own.host == rule.host));
    for path in hosts.flat_map(|rule| &rule.http.paths).filter(|path| !is_own(path.text())) {
        let name = path.backend.name().unwrap_or_default().to_owned();
        let place = format!("path {}", path.text());
        draft.lost(&place, format!("leads to `{name}` beside the canary's paths; keep it in a VirtualService of your own, with routing.mode: delegate"));
        if !is_below(path.text()) {
            continue;
        }
        let mut when = When::default();
        match path.condition() {
            Ok(condition) => when.conditions.extend(condition),
            Err(text) => when.lost(&place, text),
        }
        draft.rule(&place, path.rule(), when, Outcome::Elsewhere);
    }
}

/// Adds a rule to the canary for each path, and one to stable for all.
fn rule(draft: &mut Draft, name: &str, path: &str, when: &When, paths: Option<&[(String, Condition)]>) {
    let canary = || Outcome::Version("canary".to_owned());
    match paths {
        None => draft.lost(path, "left out, since its paths are"),
        Some([]) => draft.rule(path, name, when.clone(), canary()),
        Some(paths) => {
            for (_, condition) in paths {
                let mut when = when.clone();
                when.conditions.push(condition.clone());
                draft.rule(path, name, when, canary());
            }
        }
    }
}

/// Header before cookie, and `never` of one before `always` of the next.
fn rules(draft: &mut Draft, object: &Object<'_>, paths: Option<&[(String, Condition)]>) {
    let never = |draft: &mut Draft, name: &str, path: &str, when: When| {
        draft.rule(path, name, when, Outcome::Version("stable".to_owned()));
    };
    if let Some(header) = annotation(object, "canary-by-header") {
        let value = annotation(object, "canary-by-header-value");
        let pattern = annotation(object, "canary-by-header-pattern");
        let when = |wanted: Wanted| {
            let mut when = When::default();
            when.header("canary-by-header", header, Some(wanted));
            when
        };
        match (value, pattern) {
            (Some(value), _) => {
                rule(draft, "header-value", "canary-by-header-value", &when(Wanted::Exact(value.to_owned())), paths);
                if pattern.is_some() {
                    draft.carried("canary-by-header-pattern", "says nothing beside canary-by-header-value");
                }
            }
            (None, Some(pattern)) => {
                let wanted = Wanted::Regex(format!(".*(?:{pattern}).*"));
                rule(draft, "header-pattern", "canary-by-header-pattern", &when(wanted), paths);
                draft.changed(
                    "canary-by-header-pattern",
                    "is a pattern in RE2 syntax now, not PCRE; nginx finds it anywhere in the value, hence `.*`",
                );
            }
            (None, None) => {
                rule(draft, "header-always", "canary-by-header", &when(Wanted::Exact("always".to_owned())), paths);
                never(draft, "header-never", "canary-by-header", when(Wanted::Exact("never".to_owned())));
            }
        }
    }
    if let Some(cookie) = annotation(object, "canary-by-cookie") {
        let when = |value: &str| {
            let mut when = When::default();
            when.cookie(cookie, Wanted::Exact(value.to_owned()));
            when
        };
        rule(draft, "cookie-always", "canary-by-cookie", &when("always"), paths);
        never(draft, "cookie-never", "canary-by-cookie", when("never"));
    }
}

/// The weight is that of all requests, or of a path's alone.
fn weight(draft: &mut Draft, object: &Object<'_>, paths: Option<&[(String, Condition)]>) {
    let number = |name: &str| annotation(object, name).map(|text| text.trim().parse::<u64>());
    let (weight, total) = match (number("canary-weight"), number("canary-weight-total")) {
        (None, _) => return,
        (Some(Ok(weight)), None) => (weight, 100),
        (Some(Ok(weight)), Some(Ok(total))) if total > 0 => (weight, total),
        _ => return draft.lost("canary-weight", "is not a number; nginx takes none then"),
    };
    let share = amounts::share(weight.min(total), total);
    if !amounts::is_exact(weight, total) {
        draft.changed("canary-weight", "is rounded down to 0.001 %");
    }
    match paths {
        None => draft.lost("canary-weight", "left out, since its paths are"),
        Some([]) => draft.weight("canary", share),
        Some(_) if share == Weight::NONE => {}
        Some(paths) => {
            for (name, condition) in paths {
                let when = When { conditions: vec![condition.clone()], ..When::default() };
                let outcome = match share {
                    Weight::ALL => Outcome::Version("canary".to_owned()),
                    weight => Outcome::Split(vec![Share { version: "canary".to_owned(), weight }]),
                };
                draft.rule("canary-weight", name, when, outcome);
            }
            let text = match paths.len() {
                1 => "the canary's Ingress has one path, so its weight is a rule for that path",
                _ => "the canary's Ingress has paths, so its weight is a rule for each of them",
            };
            draft.changed("canary-weight", text);
        }
    }
}

/// With an affinity nginx keeps who is in the canary there.
fn affinity(draft: &mut Draft, object: &Object<'_>, main: Option<&Object<'_>>) {
    let found = |name: &str| annotation(object, name).or_else(|| main.and_then(|main| annotation(main, name)));
    if found("affinity") != Some("cookie") {
        return;
    }
    if found("affinity-canary-behavior") == Some("legacy") {
        return draft.lost("affinity", "keeps people on a pod, not on a version; see consistentHash of a DestinationRule");
    }
    let cookie = found("session-cookie-name").unwrap_or("INGRESSCOOKIE").to_owned();
    draft.spec.sticky = Some(Sticky { by: vec![KeySource::Cookie(cookie.clone())], ..Sticky::default() });
    let text = format!(
        "people keep their version by the cookie `{cookie}` while they have it; nobody sets it any more, so name one of your own, or add otherwise.issueCookie"
    );
    draft.changed("affinity", text);
}

fn hosts(draft: &mut Draft, spec: &Ingress) {
    let hosts: Vec<String> = spec.rules.iter().map(|rule| rule.host.clone()).filter(|host| !host.is_empty()).collect();
    if hosts.is_empty() {
        return draft
            .by_hand("routing.gateways", "write routing.gateways and routing.hosts, if the release applies at a gateway");
    }
    draft.by_hand("routing.gateways", format!("name the Istio gateway that serves {}", hosts.join(", ")));
    draft.gateways("spec.rules", vec!["ingress".to_owned()], hosts);
    if spec.ingress_class_name.is_some() {
        draft.carried("spec.ingressClassName", "the gateway decides that");
    }
    draft.rest("spec", &spec.rest, &[("tls", Some("TLS ends at the gateway"))]);
}

/// Annotations that have nothing to do with the canary are nginx's.
fn others(draft: &mut Draft, object: &Object<'_>) {
    const KNOWN: [&str; 10] = [
        "canary",
        "canary-by-header",
        "canary-by-header-value",
        "canary-by-header-pattern",
        "canary-by-cookie",
        "canary-weight",
        "canary-weight-total",
        "affinity",
        "affinity-canary-behavior",
        "session-cookie-name",
    ];
    for name in object.meta.annotations.keys().filter_map(|name| name.strip_prefix(PREFIX)) {
        if !KNOWN.contains(&name) {
            draft.lost(
                format!("{} {name}", object.meta.name),
                "nginx's alone; see routing.http for timeouts, retries, rewrites and CORS",
            );
        }
    }
}
