//! A VirtualService, and the routes that other kinds have in its form.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use super::draft::Draft;
use super::naming;
use super::objects::{Object, Rest, service, version_of_subset};
use super::routes::{self, Match, Route};
use super::when::{StringMatch, Wanted, When};
use crate::problem::Problem;

/// The spec of a VirtualService.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct VirtualService {
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    #[serde(default)]
    pub(super) gateways: Vec<String>,
    #[serde(default)]
    pub(super) http: Vec<HttpRoute>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// A route of it.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct HttpRoute {
    pub(super) name: Option<String>,
    #[serde(default, rename = "match")]
    pub(super) matches: Vec<HttpMatch>,
    #[serde(default)]
    pub(super) route: Vec<Destination>,
    /// Settings, and where it leads if not to a Service.
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// A match of a route.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpMatch {
    #[serde(default)]
    name: Option<Value>,
    uri: Option<StringMatch>,
    method: Option<StringMatch>,
    authority: Option<StringMatch>,
    #[serde(default)]
    headers: BTreeMap<String, Option<StringMatch>>,
    #[serde(default)]
    without_headers: BTreeMap<String, Option<StringMatch>>,
    #[serde(default)]
    query_params: BTreeMap<String, Option<StringMatch>>,
    #[serde(default)]
    ignore_uri_case: bool,
    stat_prefix: Option<Value>,
    #[serde(flatten)]
    rest: Rest,
}

/// A destination with its weight.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Destination {
    #[serde(default)]
    pub(super) destination: Place,
    pub(super) weight: Option<u64>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

/// Where a destination is.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Place {
    #[serde(default)]
    pub(super) host: String,
    pub(super) subset: Option<String>,
    #[serde(flatten)]
    pub(super) rest: Rest,
}

impl HttpMatch {
    /// Its conditions. `systems` reads the pattern of KubeSphere's console for operating systems as such.
    pub(super) fn when(&self, path: &str, systems: bool) -> When {
        let mut when = When::default();
        let wanted = |matched: &Option<StringMatch>| matched.clone().unwrap_or_default().wanted();
        for (name, matched) in &self.headers {
            let path = format!("{path}.headers.{name}");
            let is_system = systems && name.eq_ignore_ascii_case("user-agent");
            match wanted(matched) {
                Some(Wanted::Regex(pattern)) if is_system && when.os(&path, &pattern) => {}
                wanted => when.header(&path, name, wanted),
            }
        }
        for (name, matched) in &self.without_headers {
            when.without_header(&format!("{path}.withoutHeaders.{name}"), name, wanted(matched));
        }
        for (name, matched) in &self.query_params {
            when.query(&format!("{path}.queryParams.{name}"), name, wanted(matched));
        }
        if let Some(uri) = &self.uri {
            let field = match (&uri.prefix, &uri.exact) {
                (Some(_), None) => ".prefix",
                (None, Some(_)) => ".exact",
                _ => "",
            };
            when.path(&format!("{path}.uri{field}"), uri.wanted(), self.ignore_uri_case);
        }
        if let Some(method) = &self.method {
            when.method(&format!("{path}.method"), method.wanted());
        }
        if let Some(authority) = &self.authority {
            when.authority(&format!("{path}.authority"), authority.wanted());
        }
        when.rest(path, &self.rest);
        when
    }

    /// Whether it takes every path and asks for nothing else.
    pub(super) fn takes_everything(&self) -> bool {
        let when = self.when("", false);
        when.conditions.is_empty() && when.notes.is_empty()
    }

    /// Reports what has nothing to do with who matches.
    pub(super) fn report(&self, path: &str, draft: &mut Draft) {
        if self.stat_prefix.is_some() {
            draft.lost(format!("{path}.statPrefix"), "metrics name the release and the version");
        }
        if self.name.is_some() {
            draft.carried(format!("{path}.name"), "the rule has a name of its own");
        }
    }
}

impl HttpRoute {
    /// Whether it leads to a redirect, an answer or another VirtualService.
    pub(super) fn is_elsewhere(&self) -> bool {
        self.route.is_empty() || ["redirect", "directResponse", "delegate"].iter().any(|name| self.rest.contains_key(*name))
    }

    /// Its settings, if it leads to a Service.
    pub(super) fn settings(&self) -> Rest {
        match self.is_elsewhere() {
            true => Rest::new(),
            false => self.rest.clone(),
        }
    }
}

/// What a place of routes is called: itself in messages, and the rules that come of it.
pub(super) struct Names {
    /// The path of a route by its number.
    pub(super) path: fn(usize) -> String,
    /// The path of a match by the numbers of its route and its own.
    pub(super) at: fn(usize, usize) -> String,
    /// The name of a rule by the number of its route, its own, and that among all.
    pub(super) rule: fn(usize, usize, usize) -> String,
}

/// The routes in the form that all kinds share; `version` names the version of a destination. Of KubeSphere `stable` is known, and its
/// patterns for operating systems are read where they lead to canaries alone: `os` takes fewer requests.
pub(super) fn routes(
    draft: &mut Draft,
    http: &[HttpRoute],
    names: &Names,
    stable: Option<&str>,
    mut version: impl FnMut(&mut Draft, &str, &Place) -> Option<String>,
) -> Vec<Route> {
    let (mut routes, mut rules) = (Vec::new(), 0);
    for (at, route) in http.iter().enumerate() {
        let path = (names.path)(at);
        let mut to = Vec::new();
        let several = route.route.len() > 1;
        for (number, destination) in route.route.iter().enumerate().filter(|_| !route.is_elsewhere()) {
            let path = format!("{path}.route[{number}]");
            draft.rest(&path, &destination.rest, &[]);
            draft.rest(&format!("{path}.destination"), &destination.destination.rest, &[("port", None)]);
            let weight = destination.weight.unwrap_or(if several { 0 } else { 1 });
            // A single destination has everything, whatever its weight is.
            let weight = if several { weight } else { weight.max(1) };
            match version(draft, &path, &destination.destination) {
                Some(version) => to.push((version, weight)),
                None if weight == 0 => {}
                None => {
                    to.clear();
                    break;
                }
            }
        }
        let systems = stable.is_some_and(|stable| to.iter().all(|(version, _)| version != stable));
        let matches = route.matches.iter().enumerate().map(|(number, matched)| {
            rules += 1;
            let path = (names.at)(at, number);
            matched.report(&path, draft);
            Match { name: (names.rule)(at, number, rules), when: matched.when(&path, systems), path }
        });
        routes.push(Route { matches: matches.collect(), path, to });
    }
    routes
}

/// The names of a VirtualService's own routes.
const OWN: Names = Names {
    path: |at| format!("spec.http[{at}]"),
    at: |at, number| format!("spec.http[{at}].match[{number}]"),
    rule: |at, number, _| format!("http-{}-match-{}", at + 1, number + 1),
};

/// The Service that a VirtualService speaks of: that of its route for everything else.
fn main_host(spec: &VirtualService) -> Option<&str> {
    let leads = |route: &&HttpRoute| !route.is_elsewhere();
    let usual = |route: &&HttpRoute| {
        leads(route) && (route.matches.is_empty() || route.matches.iter().any(HttpMatch::takes_everything))
    };
    let route = spec.http.iter().find(usual).or_else(|| spec.http.iter().rev().find(leads))?;
    let most = route.route.iter().max_by_key(|destination| destination.weight.unwrap_or_default())?;
    Some(&most.destination.host)
}

/// A release of a VirtualService that has weights or matches for several versions.
pub(super) fn virtual_service(object: &Object<'_>, objects: &[Object<'_>]) -> Result<Draft, Problem> {
    let spec: VirtualService = object.spec()?;
    let namespace = &object.meta.namespace;
    let Some(main) = main_host(&spec).map(|host| service(host, namespace)) else {
        return Ok(Draft::refused(&object.meta, "spec.http", "no route leads to a Service"));
    };
    let places = || spec.http.iter().flat_map(|route| &route.route).map(|route| &route.destination);
    let stem = naming::stem(&main).0;
    let is_family = |host: &str| naming::stem(host).0 == stem;
    let family: BTreeSet<String> =
        places().map(|place| service(&place.host, namespace)).filter(|host| is_family(host)).collect();
    let several = family.len() > 1;
    let own = if several { stem.to_owned() } else { main.clone() };
    let mut draft = Draft::new(&object.meta, own.clone(), "");
    let found = routes(&mut draft, &spec.http, &OWN, None, |draft, path, place| {
        let host = service(&place.host, namespace);
        if !family.contains(&host) {
            draft.lost(format!("{path}.destination"), format!("`{host}` is another Service than `{own}`"));
            return None;
        }
        Some(version_of_place(draft, objects, (path, place), several))
    });
    let versions = routes::versions(&found);
    if versions.len() < 2 {
        draft.refuse("spec.http", "leads to one version only: there is no canary in it");
        return Ok(draft);
    }
    if several {
        let names: Vec<&str> = family.iter().map(String::as_str).collect();
        draft.by_hand(
            names.join(", "),
            "one Service over both versions is needed; versions are taken from the names' endings",
        );
    }
    routes::fill(&mut draft, found, None);
    frame(&mut draft, &spec, |host| family.contains(host) || host == own);
    draft.by_hand("metadata.name", "delete this VirtualService, or keep it and use routing.mode: delegate");
    Ok(draft)
}

/// Hosts, gateways and settings of a VirtualService. `is_own` says whether a host in the mesh is that of the release.
pub(super) fn frame(draft: &mut Draft, spec: &VirtualService, is_own: impl Fn(&str) -> bool) {
    let namespace = draft.namespace().to_owned();
    let hosts: Vec<String> = spec.hosts.iter().filter(|host| !is_own(&service(host, &namespace))).cloned().collect();
    if !spec.gateways.is_empty() && !spec.gateways.iter().any(|gateway| gateway == "mesh") {
        draft.changed("spec.gateways", "the release applies in the mesh too, not at gateways alone");
    }
    draft.gateways("spec.hosts", spec.gateways.clone(), hosts);
    draft.rest("spec", &spec.rest, &[]);
    let settings: Vec<(String, Rest)> = (spec.http.iter().enumerate())
        .filter(|(_, route)| !route.is_elsewhere())
        .map(|(at, route)| (format!("spec.http[{at}]"), route.settings()))
        .collect();
    let settings: Vec<(String, &Rest)> = settings.iter().map(|(path, rest)| (path.clone(), rest)).collect();
    draft.settings(&settings);
}

/// The version of a destination: the label of its subset, or that of its Service where each version has one.
fn version_of_place(draft: &mut Draft, objects: &[Object<'_>], (path, place): (&str, &Place), several: bool) -> String {
    let namespace = draft.namespace().to_owned();
    let Some(subset) = &place.subset else {
        let host = service(&place.host, &namespace);
        if !several {
            let text = "has no subset, so it leads to all pods; write the label `version` of stable's into stable.version";
            draft.by_hand(format!("{path}.destination"), text);
        }
        return naming::version(objects, &namespace, &host);
    };
    match version_of_subset(objects, &namespace, &place.host, subset) {
        Some(Some(version)) => version,
        Some(None) => {
            let text = format!("the subset `{subset}` selects no label `version`; label its pods `version: {subset}`");
            draft.by_hand(format!("{path}.destination.subset"), text);
            subset.clone()
        }
        None => subset.clone(),
    }
}
