//! From the text of a document to a split, release by release, so that it can be done in pieces and without those that are as
//! before.

use std::sync::Arc;

use crate::document::{SplitDocument, routing_header as default_routing_header};
use crate::engine::directory::{Clash, Directory};
use crate::engine::envelope::Envelope;
use crate::engine::patterns::Patterns;
use crate::engine::release::Release;
use crate::engine::settings::{Settings, other_version};
use crate::engine::split::Split;
use crate::error::{Cause, CompileError, DocumentError};
use crate::json::bytes::begins;
use crate::json::lexer::member;
use crate::json::value::{Faults, Json};
use crate::json::walk::{Part, Walk};

/// How far to look for the release that comes next, where some are gone from between.
const GONE: usize = 256;

/// What a release that is as before costs, against one byte that is read anew.
const KNOWN_COST: usize = 8;

/// Bytes of a packed document that are inflated in the time in which one is read anew.
const INFLATED_PER_READ: usize = 4;

/// A document on its way to a split.
///
/// Comparing texts is much cheaper than reading them: a release whose text is the same as in the previous split is shared with
/// it. A large change can be read in pieces, with requests between them. The result and the errors are those of
/// [`Split::parse`].
#[derive(Debug)]
pub struct Update {
    text: Vec<u8>,
    /// The size of what it came in.
    given: usize,
    envelope: Envelope,
    previous: Option<Arc<Split>>,
    /// The release of the previous split that is expected next.
    expected: usize,
    walk: Walk,
    settings: Settings,
    patterns: Patterns,
    /// Whether automata are those of the previous split.
    same_automata: bool,
    releases: Vec<Next>,
}

#[derive(Debug)]
enum Next {
    /// By its number, here and in the previous split.
    Kept(u32),
    New(Arc<Release>),
}

impl Split {
    /// Reads and compiles a document; [`Update`] does it in pieces.
    ///
    /// # Errors
    /// What is wrong with the text or with what it says, and where.
    pub fn parse(text: &[u8]) -> Result<Self, DocumentError> {
        let mut update = Update::new(text.to_vec(), None);
        loop {
            if let Some(split) = update.step(usize::MAX)? {
                return Ok(split);
            }
        }
    }

    /// Compiles a document that is there as data, by way of its text: what compiles here is what a filter reads.
    ///
    /// # Errors
    /// The first thing that is wrong, with its path.
    pub fn compile(document: &SplitDocument) -> Result<Self, CompileError> {
        Update::new(document.to_json().into_bytes(), None).finished()
    }
}

impl Update {
    /// Begins with a text and what decided before it.
    #[must_use]
    pub fn new(text: Vec<u8>, previous: Option<Arc<Split>>) -> Self {
        Self {
            given: text.len(),
            text,
            envelope: Envelope::default(),
            previous,
            expected: 0,
            walk: Walk::default(),
            settings: Settings::default(),
            patterns: Patterns::default(),
            same_automata: false,
            releases: Vec::new(),
        }
    }

    /// The size of the document in bytes; of what it travels in where it could not be read.
    #[must_use]
    pub fn bytes(&self) -> usize {
        if self.text.is_empty() { self.given } else { self.text.len() }
    }

    /// The checksum of the document, as [`checksum`](crate::checksum) says; known from the first step on.
    #[must_use]
    pub const fn checksum(&self) -> Option<u32> {
        self.envelope.checksum
    }

    /// Goes on for about so many bytes of releases that are read anew; `None` when there is more to do.
    ///
    /// # Errors
    /// What is wrong with the text or with what it says, and where.
    pub fn step(&mut self, bytes: usize) -> Result<Option<Split>, DocumentError> {
        if !self.envelope.open(&mut self.text, bytes.saturating_mul(INFLATED_PER_READ))? {
            return Ok(None);
        }
        let mut done = self.advance(bytes);
        // With a previous split the first error found need not be the first in the document.
        if done.is_err() && self.previous.is_some() {
            let (text, envelope) = (std::mem::take(&mut self.text), std::mem::take(&mut self.envelope));
            *self = Self { envelope, ..Self::new(text, None) };
            done = self.advance(usize::MAX);
        }
        done.map_err(|error| other_version(&self.text).unwrap_or(error.into()))
    }

    /// Goes on to the end.
    pub(crate) fn finished(mut self) -> Result<Split, CompileError> {
        loop {
            if let Some(split) = self.advance(usize::MAX)? {
                return Ok(split);
            }
        }
    }

    #[inline(never)]
    fn advance(&mut self, mut bytes: usize) -> Result<Option<Split>, CompileError> {
        while bytes > 0 {
            let (previous, expected) = (self.previous.as_deref(), &mut self.expected);
            let same = self.same_automata;
            let known = |name: Option<&str>, rest: &[u8]| match name {
                None => same_release(previous?, expected, same, rest),
                Some("automata") => same_automata(previous?, rest),
                Some(_) => None,
            };
            let faults = Faults::default();
            let spent = match self.walk.next(&self.text, known)? {
                Part::KnownField(name) => {
                    self.settings.once(&name, &Json::top(&name, b"", &faults));
                    self.same_automata = true;
                    self.patterns = previous.map(|previous| previous.patterns.clone()).unwrap_or_default();
                    KNOWN_COST
                }
                Part::Field(name, value) => {
                    let json = Json::top(&name, value, &faults);
                    if self.settings.take(&name, &json) {
                        self.patterns = Patterns::read(&json);
                    }
                    value.len()
                }
                Part::Splits => {
                    self.settings.once("splits", &Json::top("splits", b"", &faults));
                    0
                }
                Part::Known => {
                    let number = previous.and_then(|previous| previous.order.get(self.expected - 1));
                    self.releases.extend(number.map(|&number| Next::Kept(number)));
                    KNOWN_COST
                }
                Part::Release(index, text) => {
                    let (spent, text) = (text.len(), text.into());
                    self.add(index, text)?;
                    spent
                }
                Part::End => return self.finish().map(Some),
            };
            if let Some(error) = faults.first() {
                return Err(error);
            }
            bytes = bytes.saturating_sub(spent);
        }
        Ok(None)
    }

    fn add(&mut self, index: usize, text: Box<[u8]>) -> Result<(), CompileError> {
        let mut release = compile(index, &text, &mut self.patterns);
        if matches!(&release, Err(error) if matches!(error.cause(), Cause::NoAutomaton(_)))
            && !self.settings.has_automata()
            // They stand behind the releases, where Serin itself never writes them.
            && let Some(automata) = member(&self.text, "automata")
        {
            self.patterns = Patterns::read(&Json::top("", automata, &Faults::default()));
            release = compile(index, &text, &mut self.patterns);
        }
        let mut release = release?;
        release.text = text;
        let release = Arc::new(release);
        let expected = self.previous.as_deref().map(|previous| previous.release_at(self.expected));
        if expected.flatten().is_some_and(|expected| expected.name == release.name) {
            self.expected += 1;
        }
        self.releases.push(Next::New(release));
        Ok(())
    }

    #[inline(never)]
    fn finish(&mut self) -> Result<Split, CompileError> {
        self.settings.complete()?;
        let mut directory = match &self.previous {
            Some(previous) => previous.directory.clone(),
            None => Directory::default(),
        };
        let mut kept = vec![false; directory.len()];
        for next in &self.releases {
            if let Next::Kept(number) = next
                && let Some(kept) = usize::try_from(*number).ok().and_then(|number| kept.get_mut(number))
            {
                *kept = true;
            }
        }
        (0..).zip(&kept).filter(|(_, kept)| !**kept).for_each(|(number, _)| directory.leave(number));
        let mut order = Vec::with_capacity(self.releases.len());
        for (index, next) in self.releases.iter().enumerate() {
            order.push(match next {
                Next::Kept(number) => *number,
                Next::New(release) => match directory.enter(Arc::clone(release)) {
                    Ok(number) => number,
                    Err(clash) => return Err(refused(index, release, clash)),
                },
            });
        }
        let mut routing_header = std::mem::take(&mut self.settings.routing_header);
        if routing_header.is_empty() {
            routing_header = default_routing_header();
        }
        let patterns = std::mem::take(&mut self.patterns);
        directory.arrange(&order);
        Ok(Split { routing_header, report_reason: self.settings.report_reason, order, directory, patterns })
    }
}

#[inline(never)]
fn compile(index: usize, text: &[u8], patterns: &mut Patterns) -> Result<Release, CompileError> {
    let faults = Faults::default();
    let release = Release::compile(&Json::top("splits", b"", &faults).index(index, text), patterns);
    faults.first().map_or(Ok(release), Err)
}

/// The error for a release that meets another one.
#[cold]
#[inline(never)]
fn refused(index: usize, release: &Release, clash: Clash) -> CompileError {
    let faults = Faults::default();
    let splits = Json::top("splits", b"", &faults);
    let json = splits.index(index, &release.text);
    let (name, hosts) = (json.member("release"), json.member("hosts"));
    match clash.host.and_then(|at| hosts.items().nth(at)) {
        Some(host) => host.fault(Cause::Taken { host: host.text().into_owned(), other: clash.other }),
        None => name.fault(Cause::Release(clash.other)),
    }
    faults.first().unwrap_or_else(|| Cause::Empty.at(String::new()))
}

/// How many bytes of a text are the release that is expected next, or one of the next few.
fn same_release(previous: &Split, expected: &mut usize, same_automata: bool, rest: &[u8]) -> Option<usize> {
    for ahead in 0..GONE {
        let release = previous.release_at(*expected + ahead)?;
        if !release.text.is_empty() && (same_automata || !release.patterns) && begins(rest, &release.text) {
            *expected += ahead + 1;
            return Some(release.text.len());
        }
    }
    None
}

/// How many bytes of a text are the automata of the previous document.
fn same_automata(previous: &Split, rest: &[u8]) -> Option<usize> {
    let text = &previous.patterns.text;
    (!text.is_empty() && begins(rest, text)).then_some(text.len())
}
