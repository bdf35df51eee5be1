//! JSON as a document is read: where values end, what they hold, and where in the text a fault lies.

pub(crate) mod bytes;
pub(crate) mod lexer;
pub(crate) mod value;
pub(crate) mod walk;
