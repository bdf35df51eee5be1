//! What a new file changes, in words. No IO.

use std::collections::BTreeMap;

use serin_config::{Condition, ReleaseSplit, Sticky, Weight};
use serin_release::api::standalone::{Service, StandaloneSpec};
use serin_release::api::v1alpha1::{CanaryRelease, Rule, Share, Spec};
use serin_release::lifecycle::live::said;
use serin_release::lifecycle::run::{Happened, What};

use super::resolve::Served;

/// One line for each service that differs.
pub(super) fn services(old: &[Service], new: &[Service]) -> Vec<String> {
    let name = |service: &Service| format!("{}:{}", service.host, service.port);
    let find = |all: &[Service], one: &Service| {
        all.iter().find(|other| (&other.host, other.port) == (&one.host, one.port)).cloned()
    };
    let mut lines = Vec::new();
    for service in new {
        let words: Vec<_> = match find(old, service) {
            None => service.versions.iter().map(|(version, at)| format!("{version} at {}", at.join(" "))).collect(),
            Some(before) if before == *service => continue,
            Some(before) => {
                let changed = service.versions.iter().filter(|(version, at)| before.versions.get(*version) != Some(*at));
                let gone = before.versions.keys().filter(|version| !service.versions.contains_key(*version));
                let changed = changed.map(|(version, at)| format!("{version} at {}", at.join(" ")));
                let words: Vec<_> = changed.chain(gone.map(|version| format!("{version} gone"))).collect();
                if words.is_empty() { vec!["other settings".to_owned()] } else { words }
            }
        };
        lines.push(format!("{}: {}", name(service), words.join(", ")));
    }
    let gone = old.iter().filter(|service| find(new, service).is_none());
    lines.extend(gone.map(|service| format!("{}: removed", name(service))));
    lines
}

/// One line for each of the other settings that differs.
pub(super) fn settings(old: &StandaloneSpec, new: &StandaloneSpec) -> Vec<String> {
    let header = |spec: &StandaloneSpec| super::envoy::routing_header(spec).to_owned();
    let all = [
        ("listen", old.listen.to_string(), new.listen.to_string()),
        ("accessLog", old.access_log.clone(), new.access_log.clone()),
        ("idleTimeout", old.idle_timeout.envoy(), new.idle_timeout.envoy()),
        ("streamIdleTimeout", old.stream_idle_timeout.envoy(), new.stream_idle_timeout.envoy()),
        ("drainTimeout", format!("{:?}", old.drain_timeout.0), format!("{:?}", new.drain_timeout.0)),
        ("routingHeader", header(old), header(new)),
        ("tracing", traced(old), traced(new)),
    ];
    let changed = all.into_iter().filter(|(_, old, new)| old != new);
    changed.map(|(name, old, new)| format!("{name}: `{old}` -> `{new}`")).collect()
}

/// Which requests are traced, and where their spans go.
fn traced(spec: &StandaloneSpec) -> String {
    let Some(tracing) = &spec.tracing else { return "off".to_owned() };
    let to = tracing.endpoint.iter().map(|endpoint| format!(" to {endpoint}")).collect::<String>();
    format!("{}{to}", tracing.sampling)
}

/// One line for each release.
pub(super) fn all_releases(served: &Served) -> Vec<String> {
    by_id(served).iter().map(|(id, life)| format!("{id}: {}{}", description(life), waiting(life))).collect()
}

/// One line for each release that differs: what acts from now on, and what waits for the end of a pause.
pub(super) fn releases(old: &Served, new: &Served) -> Vec<String> {
    let (old, new) = (by_id(old), by_id(new));
    let mut lines = Vec::new();
    for (id, now) in &new {
        let words = match old.get(id) {
            Some(before) if before.spec == now.spec && before.said == now.said => continue,
            Some(before) => differences(before, now),
            None => format!("new, {}", description(now)),
        };
        lines.push(format!("{id}: {words}{}", waiting(now)));
    }
    lines.extend(old.keys().filter(|id| !new.contains_key(*id)).map(|id| format!("{id}: removed")));
    lines
}

/// One line for each thing that steps did; where they wait for a person, with what approves.
pub(super) fn steps(served: &Served) -> Vec<String> {
    let approves = |id: &String| {
        let run = served.checked.state.0.get(id)?.run.as_ref()?;
        Some(format!("; a CanaryControl approves it: `approved: [{{run: {}, step: {}}}]`", run.id, run.step))
    };
    let line = |(id, happened): &(String, Happened)| {
        let Happened { what, from, to, because, .. } = happened;
        let nobody = |shares: &str| if shares.is_empty() { "nobody".to_owned() } else { shares.to_owned() };
        let because = if because.is_empty() { String::new() } else { format!(", {because}") };
        let approves = Some(id).filter(|_| *what == What::ApprovalNeeded).and_then(approves).unwrap_or_default();
        format!("{id}: {what:?}: {} -> {}{because}{approves}", nobody(from), nobody(to))
    };
    served.checked.happened.iter().map(line).collect()
}

/// A release as it is written, and as it acts: a pause holds the split as it was, and a person's word acts instead.
struct Life<'s> {
    spec: &'s Spec,
    acting: Acting<'s>,
    /// What a person has done, where that acts.
    said: Option<String>,
}

/// What decides a release's requests.
struct Acting<'s> {
    stable: &'s str,
    weights: Vec<(&'s str, Weight)>,
    rules: Vec<Ruling<'s>>,
    sticky: &'s Option<Sticky>,
    takeover: &'s Option<String>,
}

/// A rule, by its name, conditions and version, with shares in place of buckets, and its stickiness.
type Ruling<'s> = (&'s str, &'s [Condition], &'s Option<String>, Option<Vec<(&'s str, Weight)>>, &'s Option<Sticky>);

fn by_id<'s>(served: &'s Served) -> BTreeMap<String, Life<'s>> {
    let splits = served.checked.document.splits.iter().map(|split| (split.release.as_str(), split));
    let splits: BTreeMap<&str, &ReleaseSplit> = splits.collect();
    let one = |release: &'s CanaryRelease| {
        let id = release.id();
        let spec = &release.spec;
        let said = said(release);
        let mut acting = match splits.get(id.as_str()) {
            Some(split) if spec.paused || said.is_some() || !spec.steps.is_empty() => acting(split),
            _ => written(spec),
        };
        if said.is_some() {
            let listed = |version: &str| acting.weights.iter().any(|(known, _)| *known == version);
            let nobody = spec.canaries.iter().filter(|canary| !listed(&canary.version));
            let nobody: Vec<_> = nobody.map(|canary| (canary.version.as_str(), Weight::NONE)).collect();
            acting.weights.extend(nobody);
        }
        (id, Life { spec, acting, said })
    };
    served.releases.iter().map(one).collect()
}

/// What a spec asks for.
fn written<'s>(spec: &'s Spec) -> Acting<'s> {
    let share = |share: &'s Share| (share.version.as_str(), share.weight);
    let rule = |rule: &'s Rule| {
        let shares = rule.split.as_ref().map(|split| split.iter().map(share).collect());
        (rule.name.as_str(), rule.when.as_slice(), &rule.version, shares, &rule.sticky)
    };
    Acting {
        stable: &spec.stable.version,
        weights: spec.canaries.iter().map(|canary| (canary.version.as_str(), canary.weight)).collect(),
        rules: spec.rules.iter().map(rule).collect(),
        sticky: &spec.sticky,
        takeover: &spec.takeover,
    }
}

/// What a split does.
fn acting<'s>(split: &'s ReleaseSplit) -> Acting<'s> {
    let rule = |rule: &'s serin_config::Rule| {
        let shares = rule.buckets.as_ref().map(|runs| weights_of(runs, &split.stable));
        (rule.name.as_str(), rule.when.as_slice(), &rule.version, shares, &rule.sticky)
    };
    Acting {
        stable: &split.stable,
        weights: weights_of(&split.buckets, &split.stable),
        rules: split.rules.iter().map(rule).collect(),
        sticky: &split.sticky,
        takeover: &split.takeover,
    }
}

/// The shares of all versions but stable, in the order in which they lie.
fn weights_of<'s>(runs: &'s [(String, u32)], stable: &str) -> Vec<(&'s str, Weight)> {
    let mut sums: Vec<(&str, u32)> = Vec::new();
    for (version, buckets) in runs.iter().filter(|(version, _)| version != stable) {
        match sums.iter_mut().find(|(known, _)| known == version) {
            Some((_, sum)) => *sum += buckets,
            None => sums.push((version, *buckets)),
        }
    }
    sums.into_iter().filter_map(|(version, sum)| Some((version, Weight::from_buckets(sum)?))).collect()
}

fn description(life: &Life<'_>) -> String {
    let canaries: Vec<_> = life.acting.weights.iter().map(|(version, weight)| format!("{version} {weight}")).collect();
    let canaries = if canaries.is_empty() { "no canary".into() } else { canaries.join(", ") };
    let said = life.said.iter().map(|said| format!(": {said}")).collect::<String>();
    format!("stable {}, {canaries}{}{said}", life.acting.stable, if life.spec.paused { ", paused" } else { "" })
}

fn differences(old: &Life<'_>, new: &Life<'_>) -> String {
    let mut words = changes(&old.acting, &new.acting);
    match (old.spec.paused, new.spec.paused) {
        (false, true) => words.push("paused".into()),
        (true, false) => words.push("resumed".into()),
        (true, true) => words.push("still paused".into()),
        (false, false) => {}
    }
    if old.said.is_some() && new.said.is_none() {
        words.push("the spec acts again".into());
    }
    match &new.said {
        Some(said) if words.is_empty() => said.clone(),
        Some(said) => format!("{}: {said}", words.join(", ")),
        None if words.is_empty() => "other settings".to_owned(),
        None => words.join(", "),
    }
}

/// What is written and does not act yet.
fn waiting(now: &Life<'_>) -> String {
    let mut then = written(now.spec);
    if !now.spec.steps.is_empty() {
        // Where steps lead is a matter of time.
        then.weights.clone_from(&now.acting.weights);
    }
    let later = changes(&now.acting, &then);
    match &now.said {
        _ if later.is_empty() => String::new(),
        Some(_) => format!("; without that: {}", later.join(", ")),
        None => format!("; waiting for `paused: false`: {}", later.join(", ")),
    }
}

fn changes(old: &Acting<'_>, new: &Acting<'_>) -> Vec<String> {
    let mut words = Vec::new();
    if old.stable != new.stable {
        words.push(format!("stable {} -> {}", old.stable, new.stable));
    }
    for (version, weight) in &new.weights {
        match old.weights.iter().find(|(before, _)| before == version) {
            Some((_, before)) if before == weight => {}
            Some((_, before)) => words.push(format!("{version} {before} -> {weight}")),
            None => words.push(format!("{version} {weight}")),
        }
    }
    let gone = old.weights.iter().filter(|(before, _)| !new.weights.iter().any(|(version, _)| version == before));
    words.extend(gone.map(|(version, _)| format!("{version} gone")));
    match (old.takeover, new.takeover) {
        (before, after) if before == after => {}
        (_, Some(version)) if version == new.stable => words.push(format!("rolled back to {version}")),
        (_, Some(version)) => words.push(format!("{version} takes over")),
        (_, None) => words.push("takeover ended".into()),
    }
    if old.rules != new.rules {
        let count = new.rules.len();
        words.push(format!("{count} rule{}", if count == 1 { "" } else { "s" }));
    }
    if old.sticky != new.sticky {
        words.push("stickiness".into());
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn service(versions: Value, timeout: Option<&str>) -> Service {
        serde_json::from_value(json!({"host": "a", "port": 80, "versions": versions, "timeout": timeout})).unwrap()
    }

    /// What is served of a release after a history of its specs; none of it once it is gone.
    fn served(specs: &[Option<&Value>]) -> Vec<Served> {
        let gone = json!({"apiVersion": "v1", "kind": "X"});
        served_of(specs.iter().map(|spec| vec![spec.map_or_else(|| gone.clone(), release)]))
    }

    /// The same of specs with a person's word.
    fn served_with(history: &[(&Value, Option<&Value>)]) -> Vec<Served> {
        served_of(history.iter().map(|(spec, word)| [release(spec)].into_iter().chain(word.cloned()).collect()))
    }

    fn release(spec: &Value) -> Value {
        let metadata = json!({"name": "a", "namespace": "b"});
        json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease", "metadata": metadata, "spec": spec})
    }

    fn served_of(history: impl Iterator<Item = Vec<Value>>) -> Vec<Served> {
        let versions = json!({"v1": ["x:1"], "v2": ["x:2"], "v3": ["x:3"]});
        let standalone = json!({"apiVersion": "serin.dev/v1alpha1", "kind": "Standalone", "spec":
            {"listen": "127.0.0.1:1", "admin": "127.0.0.1:2", "services": [{"host": "a", "port": 80, "versions": versions}]}});
        let mut state = serin_release::State::default();
        let one = |objects: Vec<Value>| {
            let all: Vec<String> = std::iter::once(&standalone).chain(&objects).map(Value::to_string).collect();
            let text = all.join("\n---\n");
            let path = std::path::Path::new("serin.yaml");
            let manifest = crate::standalone::text::manifest(path, text.as_bytes()).unwrap();
            let served =
                crate::standalone::resolve::resolve(path, manifest, &state, &serin_release::Moment::default()).unwrap();
            state = served.checked.state.clone();
            served
        };
        history.map(one).collect()
    }

    /// What the last step of a history changes.
    fn last(specs: &[Option<&Value>]) -> Vec<String> {
        let all = served(specs);
        releases(&all[all.len() - 2], &all[all.len() - 1])
    }

    #[test]
    fn services_are_told_by_what_differs() {
        let old = [service(json!({"v1": ["x:1"], "v2": ["x:2"]}), None)];
        let new = [service(json!({"v1": ["x:1"], "v3": ["x:3", "x:4"]}), None)];
        assert_eq!(services(&old, &old), [""; 0]);
        assert_eq!(services(&[], &old), ["a:80: v1 at x:1, v2 at x:2"]);
        assert_eq!(services(&old, &new), ["a:80: v3 at x:3 x:4, v2 gone"]);
        assert_eq!(services(&old, &[service(json!({"v1": ["x:1"], "v2": ["x:2"]}), Some("1s"))]), ["a:80: other settings"]);
        assert_eq!(services(&old, &[]), ["a:80: removed"]);
    }

    fn with(changes: &[(&str, Value)]) -> Value {
        let mut spec = json!({"service": "a", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": "5%"}]});
        for (key, value) in changes {
            spec[*key] = value.clone();
        }
        spec
    }

    #[test]
    fn releases_are_told_by_what_differs() {
        let base = with(&[]);
        let cases = [
            (with(&[("canaries", json!([{"version": "v2", "weight": "25%"}]))]), "b/a: v2 5% -> 25%"),
            (with(&[("canaries", json!([{"version": "v3", "weight": "1%"}]))]), "b/a: v3 1%, v2 gone"),
            (with(&[("takeover", json!("v2"))]), "b/a: v2 takes over"),
            (with(&[("takeover", json!("v1"))]), "b/a: rolled back to v1"),
            (
                with(&[("rules", json!([{"name": "r", "when": [{"method": {"exact": "GET"}}], "version": "v2"}]))]),
                "b/a: 1 rule",
            ),
            (with(&[("paused", json!(true))]), "b/a: paused"),
            (with(&[("ports", json!([80]))]), "b/a: other settings"),
        ];
        for (new, line) in cases {
            assert_eq!(last(&[Some(&base), Some(&new)]), [line]);
        }
        assert_eq!(last(&[Some(&base), Some(&base)]), [""; 0]);
        assert_eq!(last(&[None, Some(&base)]), ["b/a: new, stable v1, v2 5%"]);
        assert_eq!(last(&[Some(&base), None]), ["b/a: removed"]);
    }

    #[test]
    fn a_paused_release_is_told_by_what_acts_and_what_waits() {
        let base = with(&[]);
        let more = ("canaries", json!([{"version": "v2", "weight": "50%"}]));
        let paused = |change: (&str, Value)| with(&[("paused", json!(true)), change]);
        let (more, waiting) = (with(std::slice::from_ref(&more)), paused(more));
        assert_eq!(last(&[Some(&base), Some(&waiting)]), ["b/a: paused; waiting for `paused: false`: v2 5% -> 50%"]);
        assert_eq!(last(&[Some(&base), Some(&waiting), Some(&more)]), ["b/a: v2 5% -> 50%, resumed"]);
        let quiet = with(&[("paused", json!(true))]);
        assert_eq!(
            last(&[Some(&base), Some(&quiet), Some(&waiting)]),
            ["b/a: still paused; waiting for `paused: false`: v2 5% -> 50%"]
        );
        assert_eq!(last(&[Some(&base), Some(&waiting), Some(&quiet)]), ["b/a: still paused"]);
        assert_eq!(last(&[Some(&base), Some(&quiet), Some(&base)]), ["b/a: resumed"]);
        // A rollback acts also while a release is paused, and nothing else does.
        let rule =
            json!({"name": "r", "when": [{"method": {"exact": "GET"}}], "split": [{"version": "v2", "weight": "1%"}]});
        let back = with(&[
            ("paused", json!(true)),
            ("takeover", json!("v1")),
            ("stable", json!({"version": "v3"})),
            ("canaries", json!([{"version": "v1", "weight": "50%"}, {"version": "v2", "weight": "5%"}])),
            ("rules", json!([rule])),
        ]);
        assert_eq!(
            last(&[Some(&base), Some(&quiet), Some(&back)]),
            ["b/a: rolled back to v1, still paused; waiting for `paused: false`: stable v1 -> v3, v1 50%, 1 rule"]
        );
        // One that comes paused acts as it is written, for there is nothing yet that it could hold.
        assert_eq!(last(&[None, Some(&waiting)]), ["b/a: new, stable v1, v2 50%, paused"]);
    }

    #[test]
    fn a_persons_word_is_told_by_what_acts_and_who_said_it() {
        let metadata = json!({"name": "a", "namespace": "b"});
        let word = |spec: Value| json!({"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl", "metadata": metadata, "spec": spec});
        let base = with(&[]);
        let back = word(json!({"hold": {"kind": "Rollback", "version": "v2"}, "by": "bob", "because": "5xx"}));
        let void = word(json!({"hold": {"kind": "Rollback", "version": "v9"}, "by": "bob"}));
        let paused = word(json!({"paused": true}));
        let more = with(&[("canaries", json!([{"version": "v2", "weight": "25%"}]))]);
        let cases = [
            (
                (&base, None),
                (&base, Some(&back)),
                "b/a: v2 5% -> 0%: bob has rolled v2 back (5xx); without that: v2 0% -> 5%",
            ),
            ((&base, Some(&back)), (&base, None), "b/a: v2 0% -> 5%, the spec acts again"),
            ((&base, Some(&paused)), (&more, Some(&paused)), "b/a: somebody has paused it; without that: v2 5% -> 25%"),
            ((&base, None), (&more, Some(&void)), "b/a: v2 5% -> 25%"),
        ];
        for (before, after, line) in cases {
            let [before, after] = <[Served; 2]>::try_from(served_with(&[before, after])).unwrap();
            assert_eq!(releases(&before, &after), [line]);
        }
    }
}
