//! The version of the document's form.

/// The version of the document that this engine reads and writes.
pub const DOCUMENT_VERSION: u32 = 1;
