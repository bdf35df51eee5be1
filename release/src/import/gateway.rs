//! An HTTPRoute of the Gateway API with weights or matches for several versions.

use serde::Deserialize;
use serde_json::{Value, json};

use super::draft::Draft;
use super::naming;
use super::objects::{Object, Rest};
use super::routes::{self, Match, Route};
use super::when::{Wanted, When};
use crate::problem::Problem;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HttpRoute {
    #[serde(default)]
    parent_refs: Vec<Reference>,
    #[serde(default)]
    hostnames: Vec<String>,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Reference {
    kind: Option<String>,
    #[serde(default)]
    name: String,
    port: Option<u16>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    #[serde(default)]
    matches: Vec<RouteMatch>,
    #[serde(default)]
    backend_refs: Vec<Backend>,
    #[serde(default)]
    filters: Vec<Filter>,
    #[serde(default)]
    timeouts: Rest,
    session_persistence: Option<Value>,
    #[serde(default)]
    name: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RouteMatch {
    path: Option<Typed>,
    #[serde(default)]
    headers: Vec<Named>,
    #[serde(default)]
    query_params: Vec<Named>,
    method: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: Option<String>,
    value: Option<String>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct Named {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Backend {
    kind: Option<String>,
    #[serde(default)]
    name: String,
    weight: Option<u64>,
    #[serde(default)]
    port: Option<u16>,
    #[serde(flatten)]
    rest: Rest,
}

#[derive(Debug, Default, Deserialize)]
struct Filter {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(flatten)]
    rest: Rest,
}

impl RouteMatch {
    /// Its conditions: headers, query, path, method.
    pub(super) fn when(&self, path: &str) -> When {
        let mut when = When::default();
        for (at, header) in self.headers.iter().enumerate() {
            when.header(&format!("{path}.headers[{at}]"), &header.name, header.wanted());
            when.rest(&format!("{path}.headers[{at}]"), &header.rest);
        }
        for (at, query) in self.query_params.iter().enumerate() {
            when.query(&format!("{path}.queryParams[{at}]"), &query.name, query.wanted());
            when.rest(&format!("{path}.queryParams[{at}]"), &query.rest);
        }
        if let Some(matched) = &self.path {
            let value = matched.value.clone().unwrap_or_else(|| "/".to_owned());
            let wanted = match matched.kind.as_deref() {
                None | Some("PathPrefix") => Some(Wanted::PathPrefix(trimmed(&value))),
                Some("Exact") => Some(Wanted::Exact(value)),
                Some("RegularExpression") => Some(Wanted::Regex(value)),
                Some(_) => None,
            };
            when.path(&format!("{path}.path"), wanted, false);
            when.rest(&format!("{path}.path"), &matched.rest);
        }
        if let Some(method) = &self.method {
            when.method(&format!("{path}.method"), Some(Wanted::Exact(method.clone())));
        }
        when.rest(path, &self.rest);
        when
    }

    /// What the Gateway API sorts matches by, the first to ask on top.
    fn precedence(&self) -> (u8, usize, bool, usize, usize) {
        let length = self.path.as_ref().and_then(|path| path.value.as_ref()).map_or(1, String::len);
        let kind = match self.path.as_ref().and_then(|path| path.kind.as_deref()) {
            Some("Exact") => 2,
            Some("RegularExpression") => 1,
            _ => 0,
        };
        (kind, length, self.method.is_some(), self.headers.len(), self.query_params.len())
    }
}

/// A prefix by element says the same with a slash at its end.
fn trimmed(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => prefix.to_owned(),
        trimmed => trimmed.to_owned(),
    }
}

impl Named {
    fn wanted(&self) -> Option<Wanted> {
        match self.kind.as_deref() {
            None | Some("Exact") => Some(Wanted::Exact(self.value.clone())),
            Some("Prefix") => Some(Wanted::Prefix(self.value.clone())),
            Some("RegularExpression") => Some(Wanted::Regex(self.value.clone())),
            Some(_) => None,
        }
    }
}

/// A release of an HTTPRoute.
pub(super) fn http_route(object: &Object<'_>, objects: &[Object<'_>]) -> Result<Draft, Problem> {
    let spec: HttpRoute = object.spec()?;
    let namespace = &object.meta.namespace;
    let parent = spec.parent_refs.iter().find(|parent| parent.kind.as_deref() == Some("Service"));
    let backends = || spec.rules.iter().flat_map(|rule| &rule.backend_refs);
    let heaviest =
        spec.rules.iter().rev().find_map(|rule| rule.backend_refs.iter().max_by_key(|backend| backend.weight.unwrap_or(1)));
    let Some(main) = heaviest else {
        return Ok(Draft::refused(&object.meta, "spec.rules", "no rule leads to a Service"));
    };
    let stem = naming::stem(&main.name).0.to_owned();
    let service = parent.map_or_else(|| stem.clone(), |parent| parent.name.clone());
    let is_family = |backend: &Backend| {
        let own = naming::stem(&backend.name).0;
        backend.kind.as_deref().is_none_or(|kind| kind == "Service")
            && !backend.rest.contains_key("namespace")
            && (own == stem || backend.name == service)
    };
    let mut family: Vec<&str> = Vec::new();
    for backend in backends().filter(|backend| is_family(backend)) {
        if !family.contains(&backend.name.as_str()) {
            family.push(&backend.name);
        }
    }
    family.sort_unstable();
    let mut draft = Draft::new(&object.meta, service.clone(), "");
    draft.spec.ports = parent.and_then(|parent| parent.port).into_iter().collect();
    let found =
        rules(&mut draft, &spec, |backend| is_family(backend).then(|| naming::version(objects, namespace, &backend.name)));
    if routes::versions(&found).len() < 2 {
        draft.refuse("spec.rules", "leads to one version only: there is no canary in it");
        return Ok(draft);
    }
    routes::fill(&mut draft, found, None);
    draft.by_hand(family.join(", "), "one Service over both versions is needed; versions are taken from the names' endings");
    parents(&mut draft, &spec);
    settings(&mut draft, &spec);
    Ok(draft)
}

/// The rules as routes, in the order in which the Gateway API asks them.
fn rules(draft: &mut Draft, spec: &HttpRoute, version: impl Fn(&Backend) -> Option<String>) -> Vec<Route> {
    let mut found: Vec<(Option<&RouteMatch>, Route)> = Vec::new();
    for (at, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{at}]");
        let mut to = Vec::new();
        let redirects = rule.filters.iter().any(|filter| filter.kind == "RequestRedirect");
        for (number, backend) in rule.backend_refs.iter().enumerate().filter(|_| !redirects) {
            draft.rest(&format!("{path}.backendRefs[{number}]"), &backend.rest, &[("group", None)]);
            match (version(backend), backend.weight.unwrap_or(1)) {
                (Some(version), weight) => to.push((version, weight)),
                (None, 0) => {}
                (None, _) => {
                    draft.lost(format!("{path}.backendRefs[{number}]"), format!("`{}` is another Service", backend.name));
                    to.clear();
                    break;
                }
            }
        }
        if rule.matches.is_empty() {
            found.push((None, Route { path, matches: Vec::new(), to }));
            continue;
        }
        for (number, matched) in rule.matches.iter().enumerate() {
            let at_match = format!("{path}.matches[{number}]");
            let when = matched.when(&at_match);
            let name = format!("rule-{}-match-{}", at + 1, number + 1);
            let matches = vec![Match { path: at_match, name, when }];
            found.push((Some(matched), Route { path: path.clone(), matches, to: to.clone() }));
        }
    }
    // Where all of them lead to the same version, their order says nothing.
    let mut specific = found.iter().filter(|(matched, _)| matched.is_some()).map(|(_, route)| &route.to);
    let first = specific.next();
    if specific.any(|to| Some(to) != first) {
        found.sort_by_key(|(matched, _)| std::cmp::Reverse(matched.map(RouteMatch::precedence)));
    } else {
        found.sort_by_key(|(matched, _)| matched.is_none());
    }
    found.into_iter().map(|(_, route)| route).collect()
}

fn parents(draft: &mut Draft, spec: &HttpRoute) {
    for (at, parent) in spec.parent_refs.iter().enumerate() {
        let path = format!("spec.parentRefs[{at}]");
        match parent.kind.as_deref() {
            Some("Service") => draft.carried(&path, "becomes service and ports"),
            _ => {
                let text = format!(
                    "routes of the Gateway API are not written yet; write routing.gateways with an Istio gateway instead of `{}`, and routing.hosts",
                    parent.name
                );
                draft.by_hand(&path, text);
            }
        }
        draft.rest(&path, &parent.rest, &[("group", None), ("namespace", None)]);
    }
    if !spec.hostnames.is_empty() {
        draft.by_hand("spec.hostnames", format!("write them into routing.hosts: {}", spec.hostnames.join(", ")));
    }
    draft.rest("spec", &spec.rest, &[]);
}

/// Filters and timeouts as settings of a VirtualService.
fn settings(draft: &mut Draft, spec: &HttpRoute) {
    let mut all: Vec<(String, Rest)> = Vec::new();
    for (at, rule) in spec.rules.iter().enumerate() {
        let path = format!("spec.rules[{at}]");
        let mut settings = Rest::new();
        for (name, value) in &rule.timeouts {
            match name.as_str() {
                "request" => settings.insert("timeout".to_owned(), value.clone()),
                _ => {
                    draft.lost(format!("{path}.timeouts.{name}"), "has no counterpart in a VirtualService");
                    None
                }
            };
        }
        for (number, filter) in rule.filters.iter().enumerate() {
            let (field, side) = match filter.kind.as_str() {
                "RequestHeaderModifier" => ("requestHeaderModifier", "request"),
                "ResponseHeaderModifier" => ("responseHeaderModifier", "response"),
                _ => ("", ""),
            };
            let headers = filter.rest.get(field).map(|own| (side, own));
            let others: Rest = filter
                .rest
                .iter()
                .filter(|(name, _)| *name != field)
                .map(|(name, own)| (name.clone(), own.clone()))
                .collect();
            if headers.is_some() {
                draft.rest(&format!("{path}.filters[{number}]"), &others, &[]);
            }
            match headers {
                Some((side, own)) => {
                    let headers = settings.entry("headers").or_insert_with(|| json!({}));
                    if let Value::Object(headers) = headers {
                        headers.insert(side.to_owned(), modifier(own));
                    }
                }
                None => draft.lost(
                    format!("{path}.filters[{number}]"),
                    format!("`{}` is not carried over; see routing.http", filter.kind),
                ),
            }
        }
        if rule.session_persistence.is_some() {
            draft
                .lost(format!("{path}.sessionPersistence"), "keeps people on a pod; add `sticky` to keep them on a version");
        }
        if rule.name.is_some() {
            draft.carried(format!("{path}.name"), "rules have names of their own");
        }
        if rule.backend_refs.iter().any(|backend| backend.port.is_some()) {
            draft.carried(format!("{path}.backendRefs"), "ports are those of the one Service");
        }
        draft.rest(&path, &rule.rest, &[]);
        all.push((path, settings));
    }
    let all: Vec<(String, &Rest)> = all.iter().map(|(path, settings)| (path.clone(), settings)).collect();
    draft.settings(&all);
}

/// Headers as lists of names and values become fields.
fn modifier(own: &Value) -> Value {
    let mut changed = own.clone();
    for list in ["set", "add"] {
        if let Some(Value::Array(items)) = own.get(list) {
            let text = |item: &Value, name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let fields: Rest = items.iter().map(|item| (text(item, "name"), text(item, "value").into())).collect();
            if let Value::Object(changed) = &mut changed {
                changed.insert(list.to_owned(), Value::Object(fields));
            }
        }
    }
    changed
}
