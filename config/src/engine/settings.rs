//! The members of a document other than its releases.

use crate::document::version::DOCUMENT_VERSION;
use crate::error::{Cause, CompileError, DocumentError};
use crate::json::lexer::{member, whole};
use crate::json::value::Json;
use crate::name::header;

/// All members that a document can have, in the order in which they are written.
const MEMBERS: [&str; 5] = ["version", "routingHeader", "reportReason", "automata", "splits"];

const VERSION: usize = 0;
const ROUTING_HEADER: usize = 1;
const REPORT_REASON: usize = 2;
const AUTOMATA: usize = 3;
const SPLITS: usize = 4;

/// What a document says beside its releases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    seen: [bool; MEMBERS.len()],
    /// Empty where the document does not say it.
    pub(crate) routing_header: String,
    pub(crate) report_reason: bool,
}

impl Settings {
    /// Takes up a member; says whether it is `automata`, whose content is the caller's.
    pub(crate) fn take(&mut self, name: &str, json: &Json<'_>) -> bool {
        match self.once(name, json) {
            VERSION => match json.number(u64::MAX) {
                version if version == u64::from(DOCUMENT_VERSION) => {}
                // `other_version` finds this out before any other error counts.
                version => json.fault(Cause::Shape(format!("{version} is not {DOCUMENT_VERSION}"))),
            },
            ROUTING_HEADER => self.routing_header = header(json),
            REPORT_REASON => self.report_reason = json.boolean(),
            AUTOMATA => return true,
            // A list is gone over release by release.
            SPLITS => json.misfit("a list"),
            _ => json.unknown("field", name, &MEMBERS),
        }
        false
    }

    /// Notes that a member is there, and says which.
    #[inline(never)]
    pub(crate) fn once(&mut self, name: &str, json: &Json<'_>) -> usize {
        let at = MEMBERS.iter().position(|known| *known == name).unwrap_or(MEMBERS.len());
        if self.seen.get_mut(at).is_some_and(|seen| std::mem::replace(seen, true)) {
            json.duplicate(name);
        }
        at
    }

    /// Whether there were automata.
    pub(crate) fn has_automata(&self) -> bool {
        self.seen[AUTOMATA]
    }

    /// Checks that all is there that must be.
    pub(crate) fn complete(&self) -> Result<(), CompileError> {
        let missing = if !self.seen[VERSION] {
            "version"
        } else if !self.seen[SPLITS] {
            "splits"
        } else {
            return Ok(());
        };
        Err(Cause::shape(&["missing field `", missing, "`"], &["add it"]).at(String::new()))
    }
}

/// The error for a document of another version, which rightly has fields that this one does not know.
pub(crate) fn other_version(text: &[u8]) -> Option<DocumentError> {
    let version = whole(member(text, "version")?)?;
    (version != u64::from(DOCUMENT_VERSION)).then_some(DocumentError::Version(version))
}
