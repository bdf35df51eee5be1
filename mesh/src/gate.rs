//! The publish gate for one release, so that it cannot spoil the document of all. No client required.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use serin_config::{ReleaseSplit, SplitDocument};
use serin_release::api::v1alpha1::{Allocation, CanaryRelease};
use serin_release::entry::{self, Previous};
use serin_release::{Kept, Target};

use crate::entry::Entry;
use crate::refusal::Refusal;
use crate::resource::Resource;

/// An entry that went through the gate on its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Compiled {
    /// What the spec asks for.
    pub wanted: ReleaseSplit,
    /// The automata of its patterns.
    pub automata: BTreeMap<String, String>,
}

/// What the gate said last of a release: patterns are compiled once for each generation.
#[derive(Clone, Debug, Default)]
pub struct Gate(Option<Answer>);

/// An entry that it let through, or one that it refused and why.
pub type Answer = Result<Arc<Compiled>, Box<(ReleaseSplit, Refusal)>>;

impl Gate {
    /// The bucket maps and the entry that a spec asks for. `before` is what is or will be published of the release.
    ///
    /// # Errors
    /// The gate refuses the entry.
    pub fn compile(
        &mut self,
        release: &CanaryRelease,
        resource: &Resource,
        before: Option<&Entry>,
    ) -> Result<(Allocation, Arc<Compiled>), Refusal> {
        let work = Work::new(release, resource, before);
        let allocation = work.allocation.clone();
        let answer = self.0.take().filter(|answer| work.is_of(answer)).unwrap_or_else(|| work.run());
        self.0 = Some(answer.clone());
        answer.map(|compiled| (allocation, compiled)).map_err(|refused| refused.1)
    }

    /// The compilation that a pass would have to wait for, since the release has patterns that were not there before. Whoever does it
    /// elsewhere gives [`Self::learn`] the answer.
    #[must_use]
    pub fn long_work(&self, resource: &Resource, before: Option<&Entry>) -> Option<Work> {
        let release = resource.parsed.as_ref().ok().filter(|_| !resource.leaves())?;
        let work = Work::new(release, resource, before);
        let is_known = self.0.as_ref().is_some_and(|answer| work.is_of(answer));
        let same_rules = before.is_some_and(|before| before.wanted.rules == work.wanted.rules);
        (!is_known && !same_rules && has_patterns(&work.wanted)).then_some(work)
    }

    /// Takes in what [`Work::run`] came to.
    pub fn learn(&mut self, answer: Answer) {
        self.0 = Some(answer);
    }
}

/// Whether a rule has a pattern: only these take long.
fn has_patterns(split: &ReleaseSplit) -> bool {
    fn within(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.contains_key("regex") || fields.values().any(within),
            Value::Array(values) => values.iter().any(within),
            _ => false,
        }
    }
    split.rules.iter().any(|rule| serde_json::to_value(&rule.when).is_ok_and(|when| within(&when)))
}

/// An entry before the gate, with all that is needed to go through it on any thread.
#[derive(Clone, Debug)]
pub struct Work {
    release: CanaryRelease,
    target: Target,
    allocation: Allocation,
    wanted: ReleaseSplit,
    /// Automata of patterns that were there before.
    automata: BTreeMap<String, String>,
}

impl Work {
    fn new(release: &CanaryRelease, resource: &Resource, before: Option<&Entry>) -> Self {
        let target = Target::in_mesh(release);
        let kept = before.map(|entry| Kept {
            allocation: entry.allocation.clone(),
            split: entry.wanted.clone(),
            run: None,
            analysis: None,
        });
        let previous = Previous { allocation: Some(&resource.status.allocation), kept: kept.as_ref() };
        let Kept { allocation, split: wanted, .. } = entry::of(release, &target, previous);
        let automata = before.map(|entry| entry.automata.clone()).unwrap_or_default();
        Self { release: release.clone(), target, allocation, wanted, automata }
    }

    fn is_of(&self, answer: &Answer) -> bool {
        match answer {
            Ok(compiled) => compiled.wanted == self.wanted,
            Err(refused) => refused.0 == self.wanted,
        }
    }

    /// Compiles the entry.
    ///
    /// # Errors
    /// The entry, and why it is refused.
    pub fn run(self) -> Answer {
        let mut alone = SplitDocument::new(vec![self.wanted.clone()]);
        alone.automata = self.automata;
        match alone.embed_missing_automata() {
            Ok(_) => Ok(Arc::new(Compiled { wanted: self.wanted, automata: alone.automata })),
            Err(error) => {
                let problem = entry::in_release(&[(self.release, self.target)], &error);
                Err(Box::new((self.wanted, problem.into())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Object;

    fn resource(generation: i64, spec: &Value) -> Resource {
        let metadata = json!({"namespace": "shop", "name": "reviews", "generation": generation});
        Resource::read(&Object::from_json(json!({"metadata": metadata, "spec": spec})))
    }

    fn spec(pattern: &str, weight: &str) -> Value {
        let rule = json!({"name": "testers", "when": [{"path": {"regex": pattern}}], "version": "v2"});
        json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2", "weight": weight}], "rules": [rule]})
    }

    #[test]
    fn an_entry_goes_through_the_gate_once_for_a_generation() {
        let mut gate = Gate::default();
        let mut pass = |resource: &Resource| {
            gate.compile(resource.parsed.as_ref().unwrap(), resource, None).map(|(_, compiled)| compiled)
        };
        let (first, second) = (resource(1, &spec("/a+", "10%")), resource(2, &spec("/b+", "10%")));
        let compiled = pass(&first).unwrap();
        assert_eq!(compiled.automata.keys().collect::<Vec<_>>(), ["/a+"]);
        assert!(Arc::ptr_eq(&compiled, &pass(&first).unwrap()));
        let other = pass(&second).unwrap();
        assert_eq!(other.automata.keys().collect::<Vec<_>>(), ["/b+"]);
        assert!(Arc::ptr_eq(&other, &pass(&second).unwrap()));
        // Whoever compiles elsewhere gives it the answer.
        let mut other = Gate::default();
        let work = other.long_work(&first, None).unwrap();
        other.learn(work.run());
        assert!(other.long_work(&first, None).is_none());
        let plain = resource(4, &json!({"service": "reviews", "stable": {"version": "v1"}, "canaries": []}));
        assert!(other.long_work(&plain, None).is_none(), "nothing in it takes long");
        // What it refuses it need not read again either.
        let bad = resource(3, &spec("/(", "10%"));
        let refusal = pass(&bad).unwrap_err();
        assert!(refusal.to_string().starts_with("spec.rules[0].when[0].path.regex: "), "{refusal}");
        assert_eq!(pass(&bad).unwrap_err(), refusal);
    }
}
