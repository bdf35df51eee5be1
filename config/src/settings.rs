//! The members of a document other than its releases.

use crate::document::DOCUMENT_VERSION;
use crate::error::{Cause, CompileError, DocumentError};
use crate::json::Json;
use crate::lexer::{member, whole};
use crate::name::header;

/// All members that a document can have, in the order in which they are written.
const MEMBERS: [&str; 5] = ["version", "routingHeader", "reportReason", "automata", "splits"];

/// What a document says beside its releases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    seen: [bool; MEMBERS.len()],
    /// Empty unless told.
    pub(crate) routing_header: String,
    pub(crate) report_reason: bool,
}

impl Settings {
    /// Takes up a member; what `automata` say is the caller's.
    pub(crate) fn take(&mut self, name: &str, json: &Json<'_>) {
        self.once(name, json);
        match name {
            "version" => match json.number(u64::MAX) {
                version if version == u64::from(DOCUMENT_VERSION) => {}
                // Other versions are told before any other error.
                version => json.fault(Cause::Shape(format!("{version} is not {DOCUMENT_VERSION}"))),
            },
            "routingHeader" => self.routing_header = header(json),
            "reportReason" => self.report_reason = json.boolean(),
            "automata" => {}
            // A list is gone over release by release.
            "splits" => json.misfit("a list"),
            _ => json.unknown("field", name, &MEMBERS),
        }
    }

    /// Notes that a member is there.
    pub(crate) fn once(&mut self, name: &str, json: &Json<'_>) {
        if let Some((seen, _)) = self.seen.iter_mut().zip(MEMBERS).find(|(_, known)| *known == name)
            && std::mem::replace(seen, true)
        {
            json.duplicate(name);
        }
    }

    /// Whether a member was there.
    pub(crate) fn seen(&self, name: &str) -> bool {
        self.seen.iter().zip(MEMBERS).any(|(seen, known)| *seen && known == name)
    }

    /// Checks that all is there that must be.
    pub(crate) fn complete(&self) -> Result<(), CompileError> {
        match ["version", "splits"].into_iter().find(|name| !self.seen(name)) {
            Some(name) => Err(Cause::Shape(["missing field `", name, "`"].concat()).at("")),
            None => Ok(()),
        }
    }
}

/// The error for a document of another version, which rightly has fields that this one does not know.
pub(crate) fn other_version(text: &[u8]) -> Option<DocumentError> {
    let version = whole(member(text, "version")?)?;
    (version != u64::from(DOCUMENT_VERSION)).then_some(DocumentError::Version(version))
}
