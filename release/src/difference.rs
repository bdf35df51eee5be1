//! Who moves when one entry of a release replaces another: exactly, since a bucket is a bucket. No client required.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serin_config::{BUCKETS, ReleaseSplit, Rule, Sticky};

/// What is different between two entries of a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Difference {
    /// Why everybody may be another version's: the way from a key to a bucket is another one. Then nobody is counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reshuffled: Option<String>,
    /// Who moves, of those whom no rule takes, the largest part first.
    pub moves: Vec<Move>,
    /// Buckets that stay, of 100 000.
    pub stay: u32,
    /// Rules that are other ones.
    pub rules: Rules,
}

/// Buckets that go from one version to another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The version that had them.
    pub from: String,
    /// The version that gets them.
    pub to: String,
    /// How many, of 100 000.
    pub buckets: u32,
}

/// Rules that are other ones, by their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// New ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Those whose conditions, version or shares are others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<String>,
    /// Those that are gone: weights decide their requests now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    /// Whether those that stay come in another order, where the first that matches decides.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reordered: bool,
}

impl Difference {
    /// The difference between two entries of one release.
    #[must_use]
    pub fn of(before: &ReleaseSplit, after: &ReleaseSplit) -> Self {
        let rules = Rules::of(&before.rules, &after.rules);
        let why = reshuffled(&before.release, before.sticky.as_ref(), after.sticky.as_ref());
        // Where nobody is in a bucket it is all the same which one that would be.
        let splits = |split: &ReleaseSplit| split.takeover.is_none() && !split.buckets.is_empty();
        if let Some(why) = why.filter(|_| splits(before) || splits(after)) {
            return Self { reshuffled: Some(why), moves: Vec::new(), stay: 0, rules };
        }
        let moves = moves(before, after);
        let moved: u32 = moves.iter().map(|one| one.buckets).sum();
        Self { reshuffled: None, moves, stay: BUCKETS.saturating_sub(moved), rules }
    }

    /// Whether nobody moves and nothing else is different.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.reshuffled.is_none() && self.moves.is_empty() && self.rules == Rules::default()
    }
}

/// All buckets of an entry by the version that gets them, from bucket 0 on.
fn runs(split: &ReleaseSplit) -> Vec<(&str, u32)> {
    if let Some(takeover) = &split.takeover {
        return vec![(takeover, BUCKETS)];
    }
    let mut room = BUCKETS;
    let mut runs: Vec<(&str, u32)> = Vec::with_capacity(split.buckets.len() + 1);
    for (version, buckets) in &split.buckets {
        let buckets = (*buckets).min(room);
        room -= buckets;
        runs.push((version, buckets));
    }
    runs.push((&split.stable, room));
    runs
}

fn moves(before: &ReleaseSplit, after: &ReleaseSplit) -> Vec<Move> {
    let (mut before, mut after) = (runs(before).into_iter(), runs(after).into_iter());
    let (mut old, mut new) = (before.next(), after.next());
    let mut moved: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    while let (Some((from, left)), Some((to, right))) = (old, new) {
        let both = left.min(right);
        if from != to && both > 0 {
            *moved.entry((from, to)).or_default() += both;
        }
        old = if left == both { before.next() } else { Some((from, left - both)) };
        new = if right == both { after.next() } else { Some((to, right - both)) };
    }
    let one = |((from, to), buckets): ((&str, &str), u32)| Move { from: from.to_owned(), to: to.to_owned(), buckets };
    let mut moves: Vec<Move> = moved.into_iter().map(one).collect();
    moves.sort_by_key(|one| std::cmp::Reverse(one.buckets));
    moves
}

/// Why the way from a key to a bucket is another one.
fn reshuffled(release: &str, before: Option<&Sticky>, after: Option<&Sticky>) -> Option<String> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some("`sticky` is new: each request was decided by itself before".to_owned()),
        (Some(_), None) => Some("`sticky` is gone: each request is decided by itself".to_owned()),
        (Some(before), Some(after)) => {
            let salt = |sticky: &Sticky| {
                sticky.cohort.clone().or_else(|| sticky.salt.clone()).unwrap_or_else(|| release.to_owned())
            };
            if salt(before) != salt(after) {
                return Some(format!("the salt is `{}` and was `{}`", salt(after), salt(before)));
            }
            if before.algorithm != after.algorithm {
                return Some("the algorithm is another one".to_owned());
            }
            (before.by != after.by).then(|| "the keys in `by` are other ones".to_owned())
        }
    }
}

impl Rules {
    fn of(before: &[Rule], after: &[Rule]) -> Self {
        let names = |rules: &[Rule]| -> Vec<String> { rules.iter().map(|rule| rule.name.clone()).collect() };
        let known: BTreeMap<&str, &Rule> = before.iter().map(|rule| (rule.name.as_str(), rule)).collect();
        let left: BTreeSet<&str> = after.iter().map(|rule| rule.name.as_str()).collect();
        let (mut added, mut changed) = (Vec::new(), Vec::new());
        for rule in after {
            match known.get(rule.name.as_str()) {
                None => added.push(rule.name.clone()),
                Some(before) if *before != rule => changed.push(rule.name.clone()),
                Some(_) => {}
            }
        }
        let removed =
            before.iter().filter(|rule| !left.contains(rule.name.as_str())).map(|rule| rule.name.clone()).collect();
        let stays = |name: &String| known.contains_key(name.as_str()) && left.contains(name.as_str());
        let order = |rules: &[Rule]| -> Vec<String> { names(rules).into_iter().filter(stays).collect() };
        Self { added, changed, removed, reordered: order(before) != order(after) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn split(more: Value) -> ReleaseSplit {
        let mut split = json!({"release": "bookinfo/reviews", "hosts": ["h"], "stable": "v1"});
        for (name, value) in more.as_object().unwrap() {
            split[name] = value.clone();
        }
        serde_json::from_value(split).unwrap()
    }

    fn moved(before: Value, after: Value) -> (Value, u32) {
        let difference = Difference::of(&split(before), &split(after));
        let moves = difference.moves.iter().map(|one| json!([one.from, one.to, one.buckets])).collect();
        (Value::Array(moves), difference.stay)
    }

    #[test]
    fn who_moves_is_counted_by_the_bucket() {
        let shared = || json!({"buckets": [["v2", 20_000], ["v3", 10_000]]});
        assert_eq!(moved(shared(), shared()), (json!([]), 100_000));
        // v2 takes what v3 gives up, then what is stable's.
        let after = json!({"buckets": [["v2", 20_000], ["v3", 5000], ["v2", 5000], ["v2", 15_000]]});
        assert_eq!(moved(shared(), after), (json!([["v1", "v2", 15_000], ["v3", "v2", 5000]]), 80_000));
        // Who has taken over has everybody, whatever the map says.
        let takeover = || json!({"buckets": [["v2", 20_000], ["v3", 10_000]], "takeover": "v3"});
        assert_eq!(moved(shared(), takeover()), (json!([["v1", "v3", 70_000], ["v2", "v3", 20_000]]), 10_000));
        assert_eq!(moved(takeover(), json!({"takeover": "v1"})), (json!([["v3", "v1", 100_000]]), 0));
        // Another stable moves those who had it.
        assert_eq!(
            moved(shared(), json!({"stable": "v4", "buckets": [["v2", 20_000], ["v3", 10_000]]})).0,
            json!([["v1", "v4", 70_000]])
        );
        // A map that says too much is cut where the buckets end.
        assert_eq!(
            moved(json!({}), json!({"buckets": [["v2", 90_000], ["v3", 90_000]]})).0,
            json!([["v1", "v2", 90_000], ["v1", "v3", 10_000]])
        );
    }

    #[test]
    fn another_way_to_a_bucket_is_told_before_all() {
        let of = |before: Value, after: Value| {
            let with = |sticky| split(json!({"sticky": sticky, "buckets": [["v2", 5000]]}));
            Difference::of(&with(before), &with(after)).reshuffled
        };
        let by = || json!({"by": [{"cookie": "user"}]});
        let with = |name: &str, value: &str| json!({"by": [{"cookie": "user"}], name: value});
        assert_eq!(of(by(), by()), None);
        // The salt is the release's name by default.
        assert_eq!(of(by(), with("salt", "bookinfo/reviews")), None);
        assert_eq!(of(by(), with("salt", "x")).unwrap(), "the salt is `x` and was `bookinfo/reviews`");
        assert_eq!(of(with("cohort", "train"), by()).unwrap(), "the salt is `bookinfo/reviews` and was `train`");
        assert_eq!(of(by(), with("algorithm", "flagd")).unwrap(), "the algorithm is another one");
        assert_eq!(of(by(), json!({"by": [{"header": "x-user"}]})).unwrap(), "the keys in `by` are other ones");
        assert!(of(by(), Value::Null).unwrap().starts_with("`sticky` is gone"));
        assert!(of(Value::Null, by()).unwrap().starts_with("`sticky` is new"));
        // Without a share of anybody's nobody moves.
        assert!(Difference::of(&split(json!({"sticky": by()})), &split(json!({}))).is_nothing());
    }

    #[test]
    fn rules_that_are_others_are_named() {
        let rule = |name: &str, team: &str| json!({"name": name, "when": [{"header": {"name": "x-team", "exact": team}}], "version": "v2"});
        let of = |before: Value, after: Value| {
            Difference::of(&split(json!({"rules": before})), &split(json!({"rules": after}))).rules
        };
        let before = || json!([rule("testers", "qa"), rule("preview", "web"), rule("ops", "ops")]);
        assert_eq!(of(before(), before()), Rules::default());
        let after = of(before(), json!([rule("ops", "ops"), rule("testers", "dev"), rule("new", "x")]));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let expected =
            Rules { added: names(&["new"]), changed: names(&["testers"]), removed: names(&["preview"]), reordered: true };
        assert_eq!(after, expected);
    }
}
