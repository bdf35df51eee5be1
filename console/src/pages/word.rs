//! A person's word before it is said: who moves, what to think of first, and the command that says the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serin_config::Weight;
use serin_release::difference::Difference;
use serin_release::lifecycle::control::Control;
use serin_release::lifecycle::verb::{Said, Verb, entries};

use crate::requests::{People, seen};
use crate::snapshot::Subject;

/// The fields of a form, by name.
pub type Fields = BTreeMap<String, String>;

/// Before the version in the name of a field with its weight.
const WEIGHT: &str = "weight.";

/// What a word comes to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preview {
    /// The release, as `NAMESPACE/NAME`.
    pub release: String,
    /// The path of the action: `weight`.
    pub action: String,
    /// What is done, for people: `Set weights`.
    pub title: &'static str,
    /// The fields of the form that does it.
    pub fields: Fields,
    /// Why.
    pub because: String,
    /// What the release was like when this was said.
    pub revision: String,
    /// Who moves, largest part first.
    pub moves: Vec<Moved>,
    /// How many of the people that were seen lately move, in words; empty where nobody was seen.
    pub people: String,
    /// What to think of first; empty where nothing is.
    pub question: String,
    /// What it comes to, where that is not who moves.
    pub answer: String,
    /// The command that does the same.
    pub command: String,
    /// The CanaryControl that it writes, as YAML.
    pub control: String,
    /// Why it cannot be done; empty where it can.
    pub problem: String,
}

/// People who move.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// How many of all.
    pub share: String,
    /// From this version.
    pub from: String,
    /// To this one.
    pub to: String,
}

/// Reads a form.
///
/// # Errors
/// A sentence that names the field.
pub fn verb(action: &str, fields: &Fields) -> Result<Verb, String> {
    let field = |name: &str| fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty());
    let is_set = |name: &str| field(name).is_some();
    Ok(match action {
        "rollback" => Verb::Rollback { version: field("version").map(str::to_owned) },
        "takeover" => {
            let version = field("version").ok_or("which version takes over? Choose one")?.to_owned();
            Verb::Takeover { version, anyway: is_set("anyway") }
        }
        "weight" => Verb::Weight { weights: weights(fields)? },
        "pause" => Verb::Pause,
        "resume" => Verb::Resume { retry: is_set("retry") },
        "approve" => {
            let step = field("step").map(|step| step.parse().map_err(|_| format!("`{step}` is not the number of a step")));
            Verb::Approve { step: step.transpose()? }
        }
        other => return Err(format!("there is no action `{other}`")),
    })
}

/// The weights in a form. A number without a unit is one of per cents.
fn weights(fields: &Fields) -> Result<BTreeMap<String, Weight>, String> {
    let own = fields.iter().filter_map(|(name, value)| Some((name.strip_prefix(WEIGHT)?, value.trim())));
    let weights = own.map(|(version, value)| {
        let text = if value.ends_with('%') { value.to_owned() } else { format!("{value}%") };
        let weight: Weight = text.parse().map_err(|error: serin_config::WeightError| format!("{version}: {error}"))?;
        Ok((version.to_owned(), weight))
    });
    let weights: BTreeMap<_, _> = weights.collect::<Result<_, String>>()?;
    if weights.is_empty() { Err("there is no weight in the form".to_owned()) } else { Ok(weights) }
}

impl Preview {
    /// What a form comes to, for the people that were seen lately. `now` counts where the release was not looked at yet.
    #[must_use]
    pub fn new(subject: &Subject, action: &str, fields: &Fields, people: &People, now: Timestamp) -> Self {
        let id = subject.id();
        let because = fields.get("because").cloned().unwrap_or_default();
        let own = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "because" | "action" | "revision"));
        let mut preview = Self {
            release: id.clone(),
            action: action.to_owned(),
            title: title(action),
            fields: own.map(|(name, value)| (name.clone(), value.clone())).collect(),
            because: because.clone(),
            revision: subject.revision(),
            moves: Vec::new(),
            people: String::new(),
            question: String::new(),
            answer: String::new(),
            command: String::new(),
            control: String::new(),
            problem: String::new(),
        };
        let told = verb(action, fields).and_then(|verb| {
            let said = verb.said(&subject.release, &subject.control)?;
            let control = Control { because: because.clone(), ..said.control.clone() };
            let entries = entries(&subject.release, &subject.control, &control, now)?;
            Ok((verb, said, control, entries))
        });
        match told {
            Ok((verb, Said { question, answer, .. }, control, (before, after))) => {
                let share = |buckets| Weight::from_buckets(buckets).unwrap_or(Weight::ALL).to_string();
                let moved =
                    |one: serin_release::difference::Move| Moved { share: share(one.buckets), from: one.from, to: one.to };
                preview.moves = Difference::of(&before, &after).moves.into_iter().map(moved).collect();
                preview.people = seen(people, &before, &after);
                preview.question = question.unwrap_or_default();
                preview.answer = answer.unwrap_or_default();
                preview.command = command(&verb, &id, &because);
                preview.control = serde_json::to_string_pretty(&control).unwrap_or_default();
            }
            Err(problem) => preview.problem = problem,
        }
        preview
    }
}

/// The command with its reason, quoted for a shell.
fn command(verb: &Verb, id: &str, because: &str) -> String {
    let quoted = because.replace('\'', r"'\''");
    let reason = if because.is_empty() { String::new() } else { format!(" --because '{quoted}'") };
    format!("{}{reason}", verb.command(id))
}

fn title(action: &str) -> &'static str {
    match action {
        "rollback" => "Roll back",
        "takeover" => "Take over",
        "weight" => "Set weights",
        "pause" => "Pause",
        "resume" => "Resume",
        "approve" => "Approve",
        _ => "Unknown",
    }
}
