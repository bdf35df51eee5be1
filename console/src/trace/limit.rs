//! What is kept at most: whoever reports spans decides how many there are and how long their texts are.

/// Traces.
pub(super) const TRACES: usize = 1_000;
/// Spans of one trace.
pub(super) const SPANS: usize = 200;
/// Tags of a span.
pub(super) const TAGS: usize = 64;
/// Bytes of a text.
pub(super) const TEXT: usize = 1_024;
/// Bytes of all texts: about what 1 000 traces of a few services need ten times over.
pub(super) const BYTES: usize = 32 << 20;
