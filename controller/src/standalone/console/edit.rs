//! Releases in FILE as their owners write them: read, tried, written. All else in FILE stays as it is.

use std::path::PathBuf;
use std::sync::Arc;

use serin_config::ReleaseSplit;
use serin_console::pages::edit::{Tried, Wrong};
use serin_console::requests::{People, seen};
use serin_console::snapshot::Snapshot;
use serin_release::difference::Difference;
use serin_release::file::documents::{place, rewritten};
use serin_release::file::{self, File, display_name};
use serin_release::{Moment, Problem, Problems};

use crate::console::home::{Change, Refusal};
use crate::keeper::files::{bytes_of, replace};
use crate::standalone::message;
use crate::standalone::resolve::Served;
use crate::standalone::state::kept;
use crate::standalone::text::{Source, Text, parse};

/// The kind of the documents that are written.
const KIND: &str = "CanaryRelease";

/// FILE, and what is kept of its releases.
#[derive(Clone)]
pub(super) struct Editor {
    pub(super) source: Source,
    pub(super) state_dir: PathBuf,
}

impl Editor {
    fn read(&self) -> Result<String, Refusal> {
        let bytes = bytes_of(&self.source.file).map_err(|failure| Refusal::Failed(message(failure)))?;
        String::from_utf8(bytes.unwrap_or_default()).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::fmt::Display) -> Refusal {
        Refusal::Failed(format!("{}: {error}", self.source.file.display()))
    }

    /// A release as its owner wrote it.
    pub(super) fn text(&self, release: &str) -> Result<String, Refusal> {
        let file = self.read()?;
        let own = place(&file, (KIND, release)).and_then(|place| file.get(place)).map(str::to_owned);
        own.ok_or_else(|| {
            let name = display_name(&self.source.file);
            Refusal::Failed(format!("{name}: {release} is no document of its own there, so it can only be changed by hand"))
        })
    }

    /// What a text would come to.
    pub(super) fn attempt(
        &self,
        release: Option<&str>,
        text: &str,
        now: &Arc<Snapshot>,
        people: &People,
    ) -> Result<Tried, Refusal> {
        let id = match self.id_of(release, text) {
            Ok(id) => id,
            Err(problems) => return Ok(wrong(problems, 0, u32::MAX)),
        };
        let file = self.read()?;
        if release.is_none() && place(&file, (KIND, &id)).is_some() {
            let sentence = format!("there is a release {id} already; edit it, or use another name");
            return Ok(Tried { problems: vec![Wrong { line: None, sentence }], ..Tried::default() });
        }
        let written = rewritten(&file, (KIND, &id), Some(text)).map_err(|problem| Refusal::Invalid(problem.to_string()))?;
        // Lines of the text are counted from where it stands.
        let above = place(&written, (KIND, &id)).and_then(|place| written.get(..place.start)).unwrap_or_default();
        let (above, lines) = (above.matches('\n').count(), text.matches('\n').count());
        let (above, lines) = (u32::try_from(above).unwrap_or(u32::MAX), u32::try_from(lines).unwrap_or(u32::MAX));
        match self.resolved(written) {
            Ok(served) => {
                let known = now.releases.get(&id);
                let before = known.and_then(|known| known.entry.as_ref());
                let both = before.zip(entry(&served, &id));
                let spec = served.releases.iter().find(|release| release.id() == id).map(|release| &release.spec);
                Ok(Tried {
                    problems: Vec::new(),
                    difference: both.map(|(before, after)| Difference::of(before, after)),
                    people: both.map(|(before, after)| seen(people, before, after)).unwrap_or_default(),
                    same: spec.is_some() && spec == known.map(|known| &known.release.spec),
                    warnings: served.warnings.clone(),
                })
            }
            Err(problems) => Ok(wrong(problems, above, lines)),
        }
    }

    fn resolved(&self, written: String) -> Result<Served, Problems> {
        let state = kept(&self.source.file, Some(&self.state_dir)).map_err(|failure| {
            let problem: Problems = Problem::new("", message(failure), "").into();
            problem
        })?;
        parse(&self.source, &Text::imagined(&self.source, written.into_bytes()), &state, &Moment::default()).1
    }

    /// The release that a text is; the one that it has to be.
    fn id_of(&self, release: Option<&str>, text: &str) -> Result<String, Problems> {
        let parsed = file::parse(&self.source.file, text.as_bytes())?;
        let releases = match &parsed {
            File::Manifest(manifest) if manifest.standalones.is_empty() => manifest.releases.as_slice(),
            _ => &[],
        };
        let [only] = releases else {
            let problem = "this is not one CanaryRelease";
            return Err(Problem::new("", problem, "write one document of `kind: CanaryRelease`").into());
        };
        match release.filter(|release| *release != only.id()) {
            Some(release) => {
                let problem = format!("this is {}, and no longer {release}", only.id());
                let fix =
                    "keep name and namespace, since people's buckets hang on them; make another release for another name";
                Err(Problem::new("metadata", problem, fix).into())
            }
            None => Ok(only.id()),
        }
    }

    /// Writes a change.
    pub(super) fn change(&self, change: &Change) -> Result<String, Refusal> {
        let id = match (&change.release, &change.text) {
            (Some(release), _) => release.clone(),
            (None, Some(text)) => self.id_of(None, text).map_err(|problems| Refusal::Invalid(problems.to_string()))?,
            (None, None) => return Err(Refusal::Invalid("there is nothing to write".to_owned())),
        };
        let file = self.read()?;
        let own = place(&file, (KIND, &id)).and_then(|place| file.get(place));
        let conflict =
            || Refusal::Conflict(format!("{id} was changed meanwhile, and nothing was written; look at it again"));
        if own != change.release.as_ref().map(|_| change.before.as_str()) {
            return Err(conflict());
        }
        let written = rewritten(&file, (KIND, &id), change.text.as_deref());
        let written = written.map_err(|problem| Refusal::Invalid(problem.to_string()))?;
        match replace(&self.source.file, Some(file.as_bytes()), &written) {
            Ok(true) => Ok(id),
            Ok(false) => Err(conflict()),
            Err(failure) => Err(Refusal::Failed(message(failure))),
        }
    }
}

fn entry<'s>(served: &'s Served, id: &str) -> Option<&'s ReleaseSplit> {
    served.checked.document.splits.iter().find(|split| split.release == id)
}

/// Problems by the lines of a text with so many lines that stands below so many others.
fn wrong(Problems(problems): Problems, above: u32, lines: u32) -> Tried {
    let problems = problems.into_iter().map(|problem| {
        let line = problem.line.and_then(|line| line.checked_sub(above)).filter(|line| (1..=lines).contains(line));
        let object = problem.object.as_ref().filter(|_| line.is_none());
        let sentence = object.map(|object| format!("{object}: ")).unwrap_or_default() + &problem.in_its_object();
        Wrong { line, sentence }
    });
    Tried { problems: problems.collect(), ..Tried::default() }
}
