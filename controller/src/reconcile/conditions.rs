//! The conditions of a release: their types and reasons, one constructor each.

use std::collections::BTreeMap;

use super::check::Refusal;
use crate::api::v1alpha1::StatusCondition;

/// The spec is valid and may be routed.
pub const ACCEPTED: &str = "Accepted";
/// Each version that shall get requests has endpoints that are ready.
pub const READY: &str = "Ready";
/// The mesh is told.
pub const PROGRAMMED: &str = "Programmed";
/// A canary gets everything.
pub const TAKEN_OVER: &str = "TakenOver";

/// A condition without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    kind: &'static str,
    holds: bool,
    /// Why, in one word.
    pub reason: &'static str,
    message: String,
}

impl Condition {
    const fn new(kind: &'static str, holds: bool, reason: &'static str, message: String) -> Self {
        Self { kind, holds, reason, message }
    }

    /// The spec was checked.
    #[must_use]
    pub fn accepted(refusal: Option<&Refusal>) -> Self {
        match refusal {
            None => Self::new(ACCEPTED, true, "Accepted", "the spec is valid and the host is free".into()),
            Some(refusal) => Self::new(ACCEPTED, false, refusal.reason(), refusal.to_string()),
        }
    }

    /// The endpoints were counted. `wanted` are the versions that shall get requests, stable first.
    #[must_use]
    pub fn ready(
        stable: &str,
        wanted: &[&str],
        ready: &BTreeMap<String, u32>,
        waiting_for: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let has = |version: &str| ready.get(version).copied().unwrap_or(0);
        let missing: Vec<&str> = wanted.iter().copied().filter(|version| has(version) == 0).collect();
        let told: Vec<String> = missing.iter().filter_map(|version| waiting_for(version)).collect();
        let told = if told.is_empty() { String::new() } else { format!(" ({})", told.join(", ")) };
        if missing.is_empty() {
            return Self::new(READY, true, "AllReady", format!("endpoints are ready for {}", wanted.join(", ")));
        }
        if missing.contains(&stable) {
            let message = format!(
                "stable {stable} has no ready endpoint{told}; no canary takes its place by itself, set spec.takeover for that"
            );
            return Self::new(READY, false, "StableNotReady", message);
        }
        let message =
            format!("{} has no ready endpoint{told}; stable gets its requests until it has one", missing.join(" and "));
        Self::new(READY, false, "CanaryNotReady", message)
    }

    /// All is written.
    #[must_use]
    pub fn programmed() -> Self {
        Self::new(PROGRAMMED, true, "Programmed", "routes and filter are told".into())
    }

    /// Something is still to be written, or somebody else has to do it.
    #[must_use]
    pub const fn not_programmed(reason: &'static str, message: String) -> Self {
        Self::new(PROGRAMMED, false, reason, message)
    }

    /// Who gets everything, if somebody does.
    #[must_use]
    pub fn taken_over(takeover: Option<&str>, stable: &str, acts: bool) -> Self {
        let answer = |holds, reason, message| Self::new(TAKEN_OVER, holds, reason, message);
        match takeover {
            None => answer(false, "NotAsked", "rules and weights decide".into()),
            Some(version) if version == stable => answer(false, "RolledBack", format!("stable {stable} gets every request")),
            Some(version) if acts => answer(true, "TakenOver", format!("{version} gets every request")),
            Some(version) => answer(
                false,
                "CanaryNotReady",
                format!("{version} cannot take requests yet; stable {stable} gets every request until it can"),
            ),
        }
    }

    /// With its time: that of the condition before, unless the status changed.
    #[must_use]
    pub fn at(&self, before: &[StatusCondition], generation: i64, now: &str) -> StatusCondition {
        let status = if self.holds { "True" } else { "False" };
        let unchanged = before.iter().find(|condition| condition.kind == self.kind && condition.status == status);
        StatusCondition {
            kind: self.kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason.to_owned(),
            message: self.message.clone(),
            last_transition_time: unchanged
                .map_or_else(|| now.to_owned(), |condition| condition.last_transition_time.clone()),
            observed_generation: Some(generation),
        }
    }

    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.holds
    }
}
