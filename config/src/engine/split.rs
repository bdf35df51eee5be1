//! The compiled document: everything that can fail has failed here.

use crate::engine::directory::Directory;
use crate::engine::patterns::Patterns;
use crate::engine::release::Release;
use crate::request::Destination;

/// A document that can decide.
#[derive(Clone, Debug)]
pub struct Split {
    pub(crate) routing_header: String,
    pub(crate) report_reason: bool,
    /// The releases' numbers in the directory, in the document's order.
    pub(crate) order: Vec<u32>,
    pub(crate) directory: Directory,
    pub(crate) patterns: Patterns,
}

impl Split {
    /// The name of the header that carries the version, in lower case.
    #[must_use]
    pub fn routing_header(&self) -> &str {
        &self.routing_header
    }

    /// Whether the filter state shall hold the reason of a decision.
    #[must_use]
    pub fn report_reason(&self) -> bool {
        self.report_reason
    }

    /// How many releases there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether a release may issue a cookie, so that responses have to be entered too.
    #[must_use]
    pub fn issues_cookies(&self) -> bool {
        self.directory.issues_cookies()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// All releases, in the document's order.
    pub fn releases(&self) -> impl Iterator<Item = &Release> {
        (0..self.len()).filter_map(|index| self.release_at(index))
    }

    pub(crate) fn release_at(&self, index: usize) -> Option<&Release> {
        self.directory.get(*self.order.get(index)?).map(|release| &**release)
    }

    /// The release that routes a destination; its cost does not grow with the number of releases.
    #[must_use]
    pub fn release(&self, destination: &Destination<'_>) -> Option<&Release> {
        self.directory.routing(destination)
    }
}
