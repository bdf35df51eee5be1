//! The engine: from the text of a document to a split, and from a request to a decision.

pub(crate) mod automaton;
pub(crate) mod decide;
mod directory;
pub(crate) mod envelope;
mod inflate;
mod issue;
pub(crate) mod keying;
pub(crate) mod matcher;
mod patterns;
pub(crate) mod release;
pub(crate) mod rules;
mod settings;
pub(crate) mod shares;
pub(crate) mod split;
mod table;
pub(crate) mod update;
