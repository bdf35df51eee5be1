//! An Ingress with the canary annotations of ingress-nginx, and the Ingress that it belongs to.

use serde::Deserialize;
use serde_json::Value;
use serin_config::{Condition, KeySource, PathMatch, Sticky, Weight};

use super::amounts;
use super::draft::Draft;
use super::objects::{Object, Rest};
use super::rules::Outcome;
use super::when::{Wanted, When};
use crate::api::v1alpha1::Share;
use crate::problem::Problem;

/// What annotations of ingress-nginx begin with.
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ingress {
    #[serde(default)]
    rules: Vec<Rule>,
    ingress_class_name: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Rule {
    #[serde(default)]
    host: String,
    #[serde(default)]
    http: Http,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Http {
    #[serde(default)]
    paths: Vec<Path>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Path {
    path: Option<String>,
    path_type: Option<String>,
    #[serde(default)]
    backend: Backend,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Backend {
    service: Option<Service>,
    /// As in `extensions/v1beta1`.
    service_name: Option<String>,
    service_port: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Service {
    #[serde(default)]
    name: String,
    #[serde(default)]
    port: Port,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Port {
    number: Option<u16>,
}

impl Backend {
    fn name(&self) -> Option<&str> {
        self.service.as_ref().map(|service| service.name.as_str()).or(self.service_name.as_deref())
    }

    fn port(&self) -> Option<u16> {
        let older = || self.service_port.as_ref().and_then(Value::as_u64).and_then(|port| port.try_into().ok());
        self.service.as_ref().and_then(|service| service.port.number).or_else(older)
    }
}

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
    let backend =
        |spec: &Ingress| spec.rules.iter().flat_map(|rule| &rule.http.paths).map(|path| path.backend.clone()).next();
    let Some((canary, port)) = backend(&spec).and_then(|backend| Some((backend.name()?.to_owned(), backend.port()))) else {
        return Ok(Draft::refused(&object.meta, "spec.rules", "no path leads to a Service"));
    };
    let main = main(object, &spec, objects);
    let stable = main.as_ref().and_then(|(_, spec)| backend(spec)).and_then(|backend| backend.name().map(str::to_owned));
    let stripped = |name: &str| name.strip_suffix("-canary").unwrap_or(name).to_owned();
    let service = stable.clone().filter(|stable| *stable != canary).unwrap_or_else(|| stripped(&canary));
    let mut draft = Draft::new(&object.meta, service, "stable");
    draft.rename(main.as_ref().map_or_else(|| stripped(&object.meta.name), |(object, _)| object.meta.name.clone()));
    draft.spec.ports = port.into_iter().collect();
    draft.canary("canary");
    let paths = paths(&mut draft, &spec);
    rules(&mut draft, object, paths.as_deref());
    weight(&mut draft, object, paths.as_deref());
    affinity(&mut draft, object, main.as_ref().map(|(object, _)| *object));
    hosts(&mut draft, &spec);
    let names =
        stable.filter(|stable| *stable != canary).map_or_else(|| canary.clone(), |stable| format!("{stable}, {canary}"));
    draft.by_hand(names, "one Service over both versions is needed");
    others(&mut draft, object);
    if let Some((main, spec)) = &main {
        others(&mut draft, main);
        draft.rest("spec", &spec.rest, &[("tls", Some("TLS ends at the gateway"))]);
    }
    Ok(draft)
}

/// The condition of the canary's paths: none where it has all of them, `None` where they cannot be said.
fn paths(draft: &mut Draft, spec: &Ingress) -> Option<Vec<(String, Condition)>> {
    let mut found: Vec<(String, Condition)> = Vec::new();
    for (at, rule) in spec.rules.iter().enumerate() {
        if rule.http.paths.iter().map(|path| &path.path).ne(spec
            .rules
            .iter()
            .take(1)
            .flat_map(|first| &first.http.paths)
            .map(|path| &path.path))
        {
            draft.lost(
                format!("spec.rules[{at}]"),
                "hosts with different paths are several releases; import them one by one",
            );
            return None;
        }
    }
    for (at, path) in spec.rules.iter().take(1).flat_map(|rule| &rule.http.paths).enumerate() {
        let text = path.path.clone().filter(|text| !text.is_empty()).unwrap_or_else(|| "/".to_owned());
        let wanted = match path.path_type.as_deref() {
            Some("Exact") => PathMatch { exact: Some(text.clone()), ..PathMatch::default() },
            _ if text == "/" => return Some(Vec::new()),
            Some("Prefix") => PathMatch { path_prefix: Some(text.trim_end_matches('/').to_owned()), ..PathMatch::default() },
            _ if text.contains(['(', '[', '*', '+', '|', '$', '^', '\\']) => {
                draft.lost(
                    format!("spec.rules[0].http.paths[{at}]"),
                    format!("`{text}` is a pattern of nginx's; write it as `path: {{regex: ...}}`"),
                );
                return None;
            }
            _ => PathMatch { prefix: Some(text.clone()), ..PathMatch::default() },
        };
        let name: String =
            text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
        found.push((name.trim_matches('-').to_owned(), Condition::Path(wanted)));
    }
    Some(found)
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
                let name = if name.is_empty() { "path" } else { name };
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
