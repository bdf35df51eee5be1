//! A decision with its steps, for people and tools.

use std::fmt;

use serde::Serialize;

use crate::decide::{Decision, Observer, Step};
use crate::request::{Destination, RequestView};
use crate::split::Split;

/// What was decided and how it came to be. Its text is for people; [`Explanation::steps`] are the lines of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation<'s> {
    /// The decision; the same that [`Split::decide`] gives.
    pub decision: Decision<'s>,
    /// The steps in words, in order.
    pub steps: Vec<String>,
}

impl Split {
    /// Decides a request and says how.
    #[must_use]
    pub fn explain<'s>(&'s self, destination: &Destination<'_>, request: &impl RequestView) -> Explanation<'s> {
        let mut words = Words(Vec::new());
        let decision = self.walk(destination, request, &mut words);
        Explanation { decision, steps: words.0 }
    }
}

struct Words(Vec<String>);

impl Observer for Words {
    fn step<'a>(&mut self, step: impl FnOnce() -> Step<'a>) {
        self.0.push(match step() {
            Step::Release(Some(name)) => format!("release {name} routes this destination"),
            Step::Release(None) => "no release routes this destination".to_owned(),
            Step::Takeover(version) => format!("{version} has taken over: rules and weights do not count"),
            Step::Rule(name, None) => format!("rule {name} matches"),
            Step::Rule(name, Some(at)) => format!("rule {name} does not match: when[{at}] does not hold"),
            Step::NoKey(asked) if asked.is_empty() => "there is no key, so stable".to_owned(),
            Step::NoKey(asked) => format!("none of {} holds a key, so stable", asked.join(", ")),
            Step::Key(label, value, issued) => {
                let value = value.escape_ascii();
                match issued {
                    false => format!("the key is `{value}`, from {label}"),
                    true => format!("the key is `{value}`, a new identity that the response sets as {label}"),
                }
            }
            Step::Bucket(salt, bucket, version) => {
                format!("with the salt `{salt}` it is in bucket {bucket}, which is {version}'s")
            }
        });
    }
}

impl fmt::Display for Explanation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Decision { release, version, .. } = &self.decision;
        writeln!(f, "{}", version.unwrap_or("no version"))?;
        writeln!(f, "  release  {}", release.unwrap_or("-"))?;
        writeln!(f, "  reason   {}", self.decision.summary())?;
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:>2}. {step}", index + 1)?;
        }
        Ok(())
    }
}

/// The answer of `serin explain -o json`, one line each.
impl Serialize for Decision<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Answer<'a> {
            release: Option<&'a str>,
            version: Option<&'a str>,
            reason: &'static str,
            rule: Option<&'a str>,
            key: Option<&'a str>,
            bucket: Option<u32>,
        }
        let Self { release, version, reason, rule, key, bucket, .. } = *self;
        Answer { release, version, reason: reason.as_str(), rule, key, bucket }.serialize(serializer)
    }
}
