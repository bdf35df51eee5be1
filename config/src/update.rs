//! From the text of a document to a split, release by release, so that it can be done in pieces and without those that are as
//! before.

use std::sync::Arc;

use crate::directory::Directory;
use crate::document::{Automata, ReleaseSplit, Settings, other_version};
use crate::error::{Cause, CompileError, DocumentError};
use crate::json::read;
use crate::lexer::member;
use crate::matcher::Patterns;
use crate::name::check_header_name;
use crate::split::{Release, Split};
use crate::walk::{Part, Walk};

/// How far to look for the release that comes next, where some are gone from between.
const GONE: usize = 256;

/// What a release that is as before costs, against one byte that is read anew.
const KNOWN_COST: usize = 8;

/// A document on its way to a split.
///
/// Comparing texts is much cheaper than reading them: a release whose text is the same as in the previous split is shared with
/// it. A large change can be read in pieces, with requests between them. The result and the errors are those of
/// [`Split::parse`].
#[derive(Debug)]
pub struct Update {
    text: Vec<u8>,
    previous: Option<Arc<Split>>,
    /// The release of the previous split that is expected next.
    expected: usize,
    walk: Walk,
    settings: Settings,
    patterns: Arc<Patterns>,
    /// Whether automata are those of the previous split.
    same_automata: bool,
    releases: Vec<Next>,
    directory: Directory,
}

#[derive(Debug)]
enum Next {
    /// By its number, here and in the previous split.
    Kept(u32),
    New(Arc<Release>),
    /// New, and in the directory already.
    Entered(u32),
}

impl Update {
    /// Begins with a text and what decided before it.
    #[must_use]
    pub fn new(text: Vec<u8>, previous: Option<Arc<Split>>) -> Self {
        Self {
            text,
            previous,
            expected: 0,
            walk: Walk::default(),
            settings: Settings::default(),
            patterns: Arc::default(),
            same_automata: false,
            releases: Vec::new(),
            directory: Directory::default(),
        }
    }

    /// The size of the document in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// Goes on for about so many bytes of releases that are read anew; `None` when there is more to do.
    ///
    /// # Errors
    /// What is wrong with the text or with what it says, and where.
    pub fn step(&mut self, bytes: usize) -> Result<Option<Split>, DocumentError> {
        match self.advance(bytes) {
            // With a previous split the first error found need not be the first in the document.
            Err(_) if self.previous.is_some() => {
                *self = Self::new(std::mem::take(&mut self.text), None);
                self.step(usize::MAX)
            }
            Err(error) => Err(other_version(&self.text).unwrap_or(error)),
            done => done,
        }
    }

    fn advance(&mut self, mut bytes: usize) -> Result<Option<Split>, DocumentError> {
        while bytes > 0 {
            let (previous, at, same) = (self.previous.as_deref(), &mut self.expected, self.same_automata);
            let known = |name: Option<&str>, rest: &[u8]| match name {
                None => same_release(previous?, at, same, rest),
                Some("automata") => same_automata(previous?, rest),
                Some(_) => None,
            };
            let spent = match self.walk.next(&self.text, known)? {
                Part::KnownField(name) => {
                    self.settings.once(&name)?;
                    self.same_automata = true;
                    self.patterns = previous.map(|previous| Arc::clone(&previous.patterns)).unwrap_or_default();
                    KNOWN_COST
                }
                Part::Field(name, value) => {
                    self.settings.take(&name, value)?;
                    if name == "automata" {
                        let automata = std::mem::take(&mut self.settings.automata);
                        self.patterns = Arc::new(Patterns::new(value.to_vec(), automata));
                    }
                    value.len()
                }
                Part::Splits => {
                    self.settings.once("splits")?;
                    0
                }
                Part::Known => {
                    let number = previous.and_then(|previous| previous.order.get(self.expected - 1));
                    self.releases.extend(number.map(|&number| Next::Kept(number)));
                    KNOWN_COST
                }
                Part::Release(index, text) => {
                    let (spent, text) = (text.len(), text.to_vec());
                    let place = |error: CompileError| error.within(&format!("splits[{index}]"));
                    let entry = read::<ReleaseSplit>(&text).map_err(place)?;
                    self.add(&entry, text).map_err(place)?;
                    spent
                }
                Part::End => return self.finish().map(Some).map_err(DocumentError::from),
            };
            bytes = bytes.saturating_sub(spent);
        }
        Ok(None)
    }

    fn add(&mut self, entry: &ReleaseSplit, text: Vec<u8>) -> Result<(), CompileError> {
        if self.directory.named(&entry.release).is_some() {
            return Err(Cause::Release(entry.release.clone()).at("release"));
        }
        let mut release = Release::compile(entry, Arc::make_mut(&mut self.patterns));
        if matches!(&release, Err(error) if matches!(error.cause(), Cause::NoAutomaton(_)))
            && !self.settings.seen("automata")
            // They stand behind the releases, where Serin itself never writes them.
            && let Some(json) = member(&self.text, "automata")
            && let Ok(Automata(found)) = read(json)
        {
            self.patterns = Arc::new(Patterns::new(Vec::new(), found));
            release = Release::compile(entry, Arc::make_mut(&mut self.patterns));
        }
        let mut release = release?;
        release.text = text.into_boxed_slice();
        let release = Arc::new(release);
        let expected = self.previous.as_deref().map(|previous| previous.release_at(self.expected));
        if expected.flatten().is_some_and(|expected| expected.name == release.name) {
            self.expected += 1;
        }
        self.releases.push(match self.previous {
            Some(_) => Next::New(release),
            None => Next::Entered(self.directory.enter(release, &entry.hosts)?),
        });
        Ok(())
    }

    fn finish(&mut self) -> Result<Split, CompileError> {
        self.settings.complete()?;
        let routing_header = check_header_name(&self.settings.routing_header).map_err(|cause| cause.at("routingHeader"))?;
        let mut directory = std::mem::take(&mut self.directory);
        if let Some(previous) = &self.previous {
            directory = previous.directory.clone();
            let mut kept = vec![false; directory.len()];
            for next in &self.releases {
                if let Next::Kept(number) = next
                    && let Some(kept) = usize::try_from(*number).ok().and_then(|number| kept.get_mut(number))
                {
                    *kept = true;
                }
            }
            (0..).zip(kept).filter(|(_, kept)| !kept).for_each(|(number, _)| directory.leave(number));
        }
        let mut order = Vec::with_capacity(self.releases.len());
        for next in std::mem::take(&mut self.releases) {
            order.push(match next {
                Next::Kept(number) | Next::Entered(number) => number,
                Next::New(release) => directory.enter(Arc::clone(&release), &release.hosts)?,
            });
        }
        let patterns = std::mem::take(&mut self.patterns);
        Ok(Split { routing_header, report_reason: self.settings.report_reason, order, directory, patterns })
    }
}

/// How many bytes of a text are the release that is expected next, or one of the next few.
fn same_release(previous: &Split, expected: &mut usize, same_automata: bool, rest: &[u8]) -> Option<usize> {
    for ahead in 0..GONE {
        let release = previous.release_at(*expected + ahead)?;
        if !release.text.is_empty() && (same_automata || !release.patterns) && rest.starts_with(&release.text) {
            *expected += ahead + 1;
            return Some(release.text.len());
        }
    }
    None
}

/// How many bytes of a text are the automata of the previous document.
fn same_automata(previous: &Split, rest: &[u8]) -> Option<usize> {
    let text = &previous.patterns.text;
    (!text.is_empty() && rest.starts_with(text)).then_some(text.len())
}
