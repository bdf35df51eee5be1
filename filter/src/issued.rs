//! Which streams wait for a cookie in their response.

use std::cell::Cell;

const SLOTS: usize = 1024;

/// A mark for each stream whose request issued a cookie, in a fixed place: the host never tells of streams that end without a
/// response, so nothing may grow with them.
///
/// Streams share marks: a mark that was left behind costs another stream one question to the host, which knows, and is then
/// gone.
pub(crate) struct Issued([Cell<bool>; SLOTS]);

impl Issued {
    pub(crate) const fn new() -> Self {
        Self([const { Cell::new(false) }; SLOTS])
    }

    fn slot(&self, stream: u32) -> Option<&Cell<bool>> {
        self.0.get(usize::try_from(stream).ok()? % SLOTS)
    }

    /// Marks a stream.
    pub(crate) fn mark(&self, stream: u32) {
        if let Some(slot) = self.slot(stream) {
            slot.set(true);
        }
    }

    /// Whether a stream may wait for a cookie; asked once.
    pub(crate) fn take(&self, stream: u32) -> bool {
        self.slot(stream).is_some_and(Cell::take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_taken_once_and_shared_by_few() {
        let issued = Issued::new();
        issued.mark(7);
        assert!(!issued.take(8));
        assert!(issued.take(7 + 1024));
        assert!(!issued.take(7));
    }
}
