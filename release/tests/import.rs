//! Imports of other tools' objects: each case of `import-cases.yaml` gives its release and its report, and nothing else.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test that panics has failed")]

use serde::Deserialize;
use serin_release::api::v1alpha1::CanaryRelease;
use serin_release::import::{Imported, Kind, Line, import};
use serin_release::validate;
use serin_release::yaml::{documents, from_node};

/// A case: objects of another tool, the releases that they become, and what is said of the rest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    /// Where objects of this form are seen.
    #[expect(dead_code, reason = "for people")]
    seen: String,
    input: String,
    /// Nothing where nothing can be imported.
    #[serde(default)]
    expected: String,
    report: Vec<Said>,
}

/// A line of the report by its kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Said {
    changed: Option<String>,
    lost: Option<String>,
    by_hand: Option<String>,
    text: String,
}

impl Said {
    fn line(&self) -> String {
        let kinds = [("changed", &self.changed), ("lost", &self.lost), ("by-hand", &self.by_hand)];
        let (kind, path) = kinds.iter().find_map(|(kind, path)| Some((kind, path.as_ref()?))).unwrap();
        format!("{kind} {path}: {}", self.text)
    }
}

fn cases() -> Vec<Case> {
    let nodes = documents(include_str!("import-cases.yaml")).unwrap();
    from_node(&nodes[0], "").unwrap()
}

fn imported(input: &str) -> Imported {
    import(&documents(input).unwrap()).unwrap()
}

fn lines(imported: &Imported) -> Vec<String> {
    let said = imported.report.iter().filter(|line| line.kind != Kind::Carried);
    said.map(ToString::to_string).collect()
}

#[test]
fn each_case_gives_its_releases_and_its_report() {
    let mut different = String::new();
    for case in cases() {
        let imported = imported(&case.input);
        let expected: Vec<CanaryRelease> =
            documents(&case.expected).unwrap().iter().map(|node| from_node(node, "").unwrap()).collect();
        let json = |releases: &[CanaryRelease]| serde_json::to_string_pretty(releases).unwrap();
        if imported.releases != expected {
            let (found, wanted) = (json(&imported.releases), json(&expected));
            different.push_str(&format!("{}: it is\n{found}\nand not\n{wanted}\n", case.name));
        }
        let (mut found, mut wanted) = (lines(&imported), case.report.iter().map(Said::line).collect::<Vec<_>>());
        found.sort();
        wanted.sort();
        for line in found.iter().filter(|line| !wanted.contains(line)) {
            different.push_str(&format!("{}: says too `{line}`\n", case.name));
        }
        for line in wanted.iter().filter(|line| !found.contains(line)) {
            different.push_str(&format!("{}: does not say `{line}`\n", case.name));
        }
    }
    assert!(different.is_empty(), "{different}");
}

#[test]
fn each_release_is_valid() {
    for case in cases() {
        for release in imported(&case.input).releases {
            validate(&release, "x-serin-version").unwrap_or_else(|problems| panic!("{}: {problems}", case.name));
        }
    }
}

/// Places below which fields are others' business: pods, and settings that are copied as they stand.
const OTHERS: [&str; 6] = [".metadata", "template.spec.containers", "job", "timeout", "retries", "requestHeaderModifier"];

/// Adds a field that nobody knows to each object below a spec, one at a time, with its path.
fn with_unknown_fields(value: &serde_json::Value, path: &str, found: &mut Vec<(String, serde_json::Value)>) {
    let mut each = |inner: &serde_json::Value, path: String, put: &dyn Fn(&mut serde_json::Value, serde_json::Value)| {
        let mut below = Vec::new();
        with_unknown_fields(inner, &path, &mut below);
        found.extend(below.into_iter().map(|(path, inner)| {
            let mut whole = value.clone();
            put(&mut whole, inner);
            (path, whole)
        }));
    };
    match value {
        serde_json::Value::Object(fields) => {
            for (name, inner) in fields {
                each(inner, format!("{path}.{name}"), &|whole, inner| whole[name.as_str()] = inner);
            }
            let mut more = value.clone();
            more["unheardOf"] = 1.into();
            found.push((path.to_owned(), more));
        }
        serde_json::Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                each(inner, format!("{path}[{at}]"), &|whole, inner| whole[at] = inner);
            }
        }
        _ => {}
    }
}

/// Whether a line speaks of all that a field holds: it is lost or left to a person, or there is nothing to do about it.
fn covers(line: &Line, path: &str) -> bool {
    let whole = matches!(line.kind, Kind::Lost | Kind::ByHand) || line.text == "nothing to do";
    whole && line.path.rsplit(' ').next().is_some_and(|own| path.contains(own))
}

#[test]
fn a_field_that_is_not_understood_is_reported_wherever_it_stands() {
    let mut silent = std::collections::BTreeSet::new();
    let mut tried = 0;
    for case in cases() {
        let objects: Vec<serde_json::Value> =
            documents(&case.input).unwrap().iter().map(|node| from_node(node, "").unwrap()).collect();
        // What belongs to a source is read for what is needed alone.
        let kinds = ["Strategy", "Canary", "Rollout", "HTTPRoute", "VirtualService"];
        let is_source = |object: &serde_json::Value| kinds.contains(&object["kind"].as_str().unwrap());
        for (at, object) in objects.iter().enumerate().filter(|(_, object)| is_source(object)) {
            let before = imported(&case.input);
            // Where no release comes of an object, all of it is lost.
            if before.releases.is_empty() {
                continue;
            }
            let mut found = Vec::new();
            with_unknown_fields(&object["spec"], "spec", &mut found);
            for (path, spec) in found.into_iter().filter(|(path, _)| !OTHERS.iter().any(|other| path.contains(other))) {
                let mut objects = objects.clone();
                objects[at]["spec"] = spec;
                let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
                tried += 1;
                // A text where a number stands now is refused, which is no silence either.
                let Ok(imported) = import(&documents(&text.join("\n---\n")).unwrap()) else { continue };
                if imported == before && !before.report.iter().any(|line| covers(line, &path)) {
                    silent.insert(format!("{}: {} {path}", case.name, object["kind"]));
                }
            }
        }
    }
    assert!(tried > 300, "{tried}");
    assert!(silent.is_empty(), "{silent:#?}");
}

/// Each value below another one replaced or taken away, one at a time.
fn mutated(value: &serde_json::Value, found: &mut Vec<serde_json::Value>) {
    use serde_json::{Value, json};
    let others =
        [Value::Null, json!(""), json!("Ab_/*%"), json!(0), json!(1_000_000), json!(-1), json!([]), json!({}), json!([{}])];
    let mut each = |inner: &Value, put: &dyn Fn(&mut Value, Value)| {
        let mut below = others.to_vec();
        mutated(inner, &mut below);
        found.extend(below.into_iter().map(|inner| {
            let mut whole = value.clone();
            put(&mut whole, inner);
            whole
        }));
    };
    match value {
        Value::Object(fields) => {
            for (name, inner) in fields {
                each(inner, &|whole, inner| whole[name.as_str()] = inner);
            }
        }
        Value::Array(items) => {
            for (at, inner) in items.iter().enumerate() {
                each(inner, &|whole, inner| whole[at] = inner);
            }
        }
        _ => {}
    }
}

#[test]
fn whatever_stands_there_each_release_is_valid() {
    let mut releases = 0;
    for case in cases() {
        let objects: Vec<serde_json::Value> =
            documents(&case.input).unwrap().iter().map(|node| from_node(node, "").unwrap()).collect();
        for (at, object) in objects.iter().enumerate() {
            let mut found = Vec::new();
            mutated(object, &mut found);
            // All of them take long; neighbours are much alike.
            for object in found.into_iter().step_by(7) {
                let mut objects = objects.clone();
                objects[at] = object;
                let text: Vec<String> = objects.iter().map(ToString::to_string).collect();
                let Ok(imported) = import(&documents(&text.join("\n---\n")).unwrap()) else { continue };
                for release in imported.releases {
                    validate(&release, "x-serin-version").unwrap_or_else(|problems| panic!("{problems}\n{}", text[at]));
                    releases += 1;
                }
            }
        }
    }
    assert!(releases > 500, "{releases}");
}

/// Random routes, and who gets how much of a canary by them.
mod shares {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use serin_config::{Condition, Source};
    use serin_release::api::v1alpha1::{CanaryRelease, Rule};

    /// A request as far as the routes look at it.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Request {
        header: Option<&'static str>,
        path: &'static str,
        caller: &'static str,
    }

    pub(super) fn requests() -> impl Iterator<Item = Request> {
        let paths = ["/", "/a", "/ab"];
        [None, Some("1"), Some("2")].into_iter().flat_map(move |header| {
            paths.into_iter().flat_map(move |path| ["x", "y"].map(|caller| Request { header, path, caller }))
        })
    }

    /// One condition of a match: its form in a VirtualService, and whether a request meets it.
    #[derive(Clone, Copy, Debug)]
    pub(super) enum Part {
        Header(&'static str),
        WithoutHeader,
        Prefix(&'static str),
        Caller(&'static str),
    }

    impl Part {
        fn write(self, into: &mut Value) {
            match self {
                Self::Header(value) => into["headers"] = json!({"h": {"exact": value}}),
                Self::WithoutHeader => into["withoutHeaders"] = json!({"h": {}}),
                Self::Prefix(prefix) => into["uri"] = json!({"prefix": prefix}),
                Self::Caller(app) => into["sourceLabels"] = json!({"app": app}),
            }
        }

        fn holds(self, request: Request) -> bool {
            match self {
                Self::Header(value) => request.header == Some(value),
                Self::WithoutHeader => request.header.is_none(),
                Self::Prefix(prefix) => request.path.starts_with(prefix),
                Self::Caller(app) => request.caller == app,
            }
        }
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            3 => prop_oneof![Just("1"), Just("2")].prop_map(Part::Header),
            1 => Just(Part::WithoutHeader),
            3 => prop_oneof![Just("/a"), Just("a"), Just("/")].prop_map(Part::Prefix),
            2 => prop_oneof![Just("x"), Just("y")].prop_map(Part::Caller),
        ]
    }

    /// A route: one of its matches has to hold, of which all parts do; its weights of v1, v2 and v3, or none for a redirect.
    #[derive(Clone, Debug)]
    pub(super) struct Route {
        matches: Vec<Vec<Part>>,
        weights: Option<[u64; 3]>,
    }

    pub(super) fn routes() -> impl Strategy<Value = Vec<Route>> {
        let weights = prop_oneof![Just([1, 0, 0]), Just([0, 1, 0]), Just([0, 0, 1]), [0_u64..5, 0_u64..5, 0_u64..5],];
        // A field stands once in a match.
        let matched = prop::collection::vec(part(), 1..3).prop_map(|mut parts| {
            parts.dedup_by_key(|part| std::mem::discriminant(part));
            parts
        });
        let route = (prop::collection::vec(matched, 0..3), prop::option::weighted(0.85, weights));
        prop::collection::vec(route.prop_map(|(matches, weights)| Route { matches, weights }), 1..7)
    }

    const VERSIONS: [&str; 3] = ["v1", "v2", "v3"];

    pub(super) fn virtual_service(routes: &[Route]) -> String {
        let route = |route: &Route| {
            let mut written = json!({});
            if !route.matches.is_empty() {
                let matched = |parts: &Vec<Part>| {
                    let mut matched = json!({});
                    parts.iter().for_each(|part| part.write(&mut matched));
                    matched
                };
                written["match"] = route.matches.iter().map(matched).collect();
            }
            match route.weights {
                None => written["redirect"] = json!({"uri": "/new"}),
                Some(weights) => {
                    let some = VERSIONS.iter().zip(weights).filter(|(_, weight)| *weight > 0);
                    let to =
                        |(version, weight)| json!({"destination": {"host": "cart", "subset": version}, "weight": weight});
                    written["route"] = some.map(to).collect();
                }
            }
            written
        };
        let http: Vec<Value> = routes.iter().map(route).collect();
        json!({
            "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "cart", "namespace": "shop"},
            "spec": {"hosts": ["cart"], "http": http},
        })
        .to_string()
    }

    /// The part of a request's chances that a canary has by the routes.
    pub(super) fn before(routes: &[Route], stable: &str, request: Request) -> f64 {
        let meets = |parts: &Vec<Part>| parts.iter().all(|part| part.holds(request));
        let takes = |route: &&Route| route.matches.is_empty() || route.matches.iter().any(meets);
        let Some(weights) = routes.iter().find(takes).and_then(|route| route.weights) else { return 0.0 };
        let total: u64 = weights.iter().sum();
        let canaries: u64 =
            VERSIONS.iter().zip(weights).filter(|(version, _)| **version != stable).map(|(_, weight)| weight).sum();
        if total == 0 { 0.0 } else { canaries as f64 / total as f64 }
    }

    /// The same by the release.
    pub(super) fn after(release: &CanaryRelease, request: Request) -> f64 {
        let sum = |weights: Vec<u32>| f64::from(weights.into_iter().sum::<u32>()) / 100_000.0;
        let takes = |rule: &&Rule| rule.when.iter().all(|condition| holds(condition, request));
        match release.spec.rules.iter().find(takes) {
            Some(Rule { version: Some(version), .. }) => f64::from(*version != release.spec.stable.version),
            Some(Rule { split, .. }) => sum(split.iter().flatten().map(|share| share.weight.buckets()).collect()),
            None => sum(release.spec.canaries.iter().map(|canary| canary.weight.buckets()).collect()),
        }
    }

    fn holds(condition: &Condition, request: Request) -> bool {
        match condition {
            Condition::Header(named) => request.header.is_some() && request.header == named.exact.as_deref(),
            Condition::Not(Source::Header(_)) => request.header.is_none(),
            Condition::Path(path) => path.prefix.as_ref().is_some_and(|prefix| request.path.starts_with(prefix)),
            other => panic!("{other:?}"),
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(512))]

    #[test]
    fn nobody_gets_more_of_a_canary_than_before(routes in shares::routes()) {
        let text = shares::virtual_service(&routes);
        let imported = imported(&text);
        for release in &imported.releases {
            for request in shares::requests() {
                let before = shares::before(&routes, &release.spec.stable.version, request);
                let after = shares::after(release, request);
                proptest::prop_assert!(after <= before + 1e-9, "{request:?}: {before} before, {after} after\n{text}\n{release:#?}");
            }
        }
    }
}
