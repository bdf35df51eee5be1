//! What a person or FILE has changed of a release, as a history tells it. Steps tell of themselves.

use std::collections::BTreeMap;

use serin_config::Weight;
use serin_console::snapshot::Subject;
use serin_release::lifecycle::control::HoldKind;
use serin_release::lifecycle::run::{Happened, What};

/// What changed from one look to the next; `None` where nobody did anything that moves people or holds them.
pub(super) fn told(before: &Subject, now: &Subject) -> Option<Happened> {
    let (from, to) = (shown(before), shown(now));
    let (earlier, control) = (&before.control, &now.control);
    let what = match control.hold.as_ref().map(|hold| hold.kind) {
        kind if control.hold != earlier.hold => match kind {
            Some(HoldKind::Rollback) => What::RolledBack,
            Some(HoldKind::Takeover) => What::TakenOver,
            Some(HoldKind::Weights) => What::WeightsSet,
            None => What::Resumed,
        },
        _ if control.paused != earlier.paused => {
            if control.paused {
                What::Paused
            } else {
                What::Resumed
            }
        }
        _ => return by_spec(before, now, from, to),
    };
    let by = if control.by.is_empty() { "control".to_owned() } else { format!("control {}", control.by) };
    Some(Happened { what, from, to, by, because: control.because.clone() })
}

/// What FILE says otherwise, where that moves people.
fn by_spec(before: &Subject, now: &Subject, from: String, to: String) -> Option<Happened> {
    let (earlier, spec) = (&before.release.spec, &now.release.spec);
    if earlier == spec || from == to {
        return None;
    }
    let what = match (&earlier.takeover, &spec.takeover) {
        (earlier, Some(version)) if earlier.as_ref() != Some(version) => What::TakenOver,
        (Some(_), None) => What::Resumed,
        _ => What::WeightsSet,
    };
    Some(Happened { what, from, to, by: "spec".to_owned(), because: String::new() })
}

/// The canaries that somebody gets, with their shares.
fn shown(subject: &Subject) -> String {
    let shares: BTreeMap<String, Weight> = subject.intended();
    let stable = &subject.release.spec.stable.version;
    let canaries = shares.iter().filter(|(version, share)| *version != stable && **share != Weight::NONE);
    canaries.map(|(version, share)| format!("{version}={share}")).collect::<Vec<_>>().join(", ")
}
