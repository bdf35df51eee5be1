//! From releases to one checked document, in pure steps.
//!
//! ```text
//! CanaryRelease ─ validate ─ weights ─► Allocation ─ entry ─► SplitDocument ─ Split::compile ─► Checked
//! ```

use std::collections::BTreeMap;

use jiff::Timestamp;
use serin_config::{Split, SplitDocument};

use crate::api::v1alpha1::{CanaryRelease, Spec};
use crate::entry::{self, Previous};
use crate::lifecycle::baseline::{self, Measured};
use crate::lifecycle::live::{live, weights};
use crate::lifecycle::plan::{Planned, Progress, Signals};
use crate::lifecycle::run::{Happened, Run};
use crate::lifecycle::verdict::status::AnalysisStatus;
use crate::lifecycle::verdict::watch::Verdicts;
use crate::problem::{Problem, Problems};
use crate::served::Limits;
use crate::state::{Kept, State};
use crate::target::Target;
use crate::validate::validate;

/// A document that the engine compiled: nothing else may be published.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The document, with the automata of its patterns.
    pub document: SplitDocument,
    /// The engine that it compiles to.
    pub split: Split,
    /// What to keep for the next document.
    pub state: State,
    /// What happened to releases since the last document, by their ids.
    pub happened: Vec<(String, Happened)>,
    /// When steps ask for another document, if nothing else changes.
    pub look_at: Option<Timestamp>,
}

/// What is known of a release beside its text and what was kept of it.
#[derive(Clone, Debug)]
pub struct Analysed {
    /// What is thought of its canaries, at the step that was kept.
    pub verdicts: Verdicts,
    /// The analysis, to be kept.
    pub status: AnalysisStatus,
    /// What baselines had, while they have people.
    pub measured: Vec<Measured>,
}

/// The time, and what came of canaries until then.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// Steps go on until then; without it they stay where they were looked at last.
    pub now: Option<Timestamp>,
    /// Analyses, by the ids of their releases.
    pub analysed: BTreeMap<String, Analysed>,
}

/// Turns releases with their targets into a checked document.
///
/// `settings` is a document without splits, whose other fields are kept.
///
/// # Errors
/// What is wrong with each release, else the first thing that the engine refuses, with the path in the release's own text.
pub fn compile(
    releases: &[(CanaryRelease, Target)],
    previous: &State,
    settings: SplitDocument,
    moment: &Moment,
) -> Result<Checked, Problems> {
    let mut document = settings;
    let mut state = State::default();
    let (mut happened, mut look_at, mut problems) = (Vec::new(), None, Vec::new());
    for (release, target) in releases {
        if let Err(Problems(found)) = validate(release, &document.routing_header) {
            problems.extend(found);
            continue;
        }
        let id = release.id();
        let kept = previous.0.get(&id);
        let status = release.status.as_ref().map(|status| &status.allocation);
        let previous = Previous { allocation: kept.map(|kept| &kept.allocation).or(status), kept };
        let acting = match acting(release, previous, moment) {
            Ok(acting) => acting,
            Err(cause) => {
                problems.push(Problem::of_sentence("spec.schedule.timeZone", &cause).in_object(id));
                continue;
            }
        };
        let Acting { release: acting, run, happened: new, look_at: due } = acting;
        happened.extend(new.into_iter().map(|happened| (id.clone(), happened)));
        look_at = look_at.into_iter().chain(due).min();
        let analysed = moment.analysed.get(&id).map(|analysed| analysed.status.clone());
        let analysis = analysed.or_else(|| previous.kept.and_then(|kept| kept.analysis.clone()));
        let kept = Kept { run, analysis, ..entry::of(&acting, target, previous) };
        // Who is rolled back keeps the buckets, and stable serves them.
        let limits = Limits { waiting: acting.banned, ..Limits::default() };
        document.splits.push(limits.serve(&kept.split));
        state.0.insert(id, kept);
    }
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let split = document.embed_automata().map_err(|error| entry::in_release(releases, &error))?;
    Ok(Checked { document, split, state, happened, look_at })
}

/// Whether a run says something that the spec does not.
#[must_use]
pub fn is_kept(spec: &Spec, run: &Run) -> bool {
    !spec.steps.is_empty() || spec.analysis.is_some() || !run.failed.is_empty()
}

/// A release as it acts.
struct Acting {
    release: CanaryRelease,
    run: Option<Run>,
    happened: Vec<Happened>,
    look_at: Option<Timestamp>,
}

/// The release as its steps and a person's word leave it. A file names addresses, and each of its versions is taken for ready.
fn acting(release: &CanaryRelease, previous: Previous<'_>, moment: &Moment) -> Result<Acting, String> {
    let spec = &release.spec;
    if release.word.is_none() && spec.steps.is_empty() && spec.analysis.is_none() {
        return Ok(Acting { release: release.clone(), run: None, happened: Vec::new(), look_at: None });
    }
    let word = release.word.clone().unwrap_or_default();
    let status = release.status.as_ref().and_then(|status| status.run.clone());
    let run = previous.kept.map_or(status, |kept| kept.run.clone());
    // Who only reads lets no step go on.
    let now = moment.now;
    let frozen = (now.is_none() && run.is_some()).then(|| (None, String::new()));
    let now = now.or(run.as_ref().map(|run| run.seen)).unwrap_or(Timestamp::UNIX_EPOCH);
    let weights = previous.allocation.map(|allocation| weights(&allocation.base)).unwrap_or_default();
    // What a person says is told by who sees it come and go.
    let progress = Progress { run, weights, control: Some(word.clone()) };
    let ready =
        spec.canaries.iter().flat_map(|canary| [canary.version.clone(), baseline::version(&canary.version)]).collect();
    let analysed = moment.analysed.get(&release.id());
    let verdicts = analysed.map(|analysed| analysed.verdicts.clone()).unwrap_or_default();
    let judged = analysed.map(|analysed| (analysed.status.run.clone(), analysed.status.step));
    let measured = analysed.map(|analysed| analysed.measured.clone()).unwrap_or_default();
    let signals = Signals { ready, frozen, verdicts, judged, measured, ..Signals::default() };
    let lived = live(release, &word, &progress, &signals, now)?;
    let Planned { progress, happened, look_at, .. } = lived.planned;
    let run = progress.run.filter(|run| is_kept(spec, run));
    Ok(Acting { release: lived.release, run, happened, look_at })
}
