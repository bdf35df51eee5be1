//! What outlives a configuration: the host makes a new root context for each one, in the same VM.
//!
//! Plugins of one module share a VM and so this memory, whatever scope they were configured for: each has its state under its
//! own name.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use serin_config::{Decision, Split};

use crate::counts::{Counts, documents_metric};
use crate::host;

/// The header that is removed while there is no document that could name another one.
pub(crate) const ROUTING_HEADER: &str = "x-serin-version";

/// The state of one plugin.
#[derive(Default)]
pub(crate) struct Plugin {
    split: RefCell<Option<Rc<Split>>>,
    counts: RefCell<Counts>,
}

thread_local! {
    static PLUGINS: RefCell<BTreeMap<Vec<u8>, Rc<Plugin>>> = const { RefCell::new(BTreeMap::new()) };
}

/// The state of the plugin that the host is calling. Nothing here calls back, so no state is ever borrowed twice; if it were,
/// the answer would be a fresh one.
pub(crate) fn current() -> Rc<Plugin> {
    let name = host::plugin_name().unwrap_or_default();
    PLUGINS.with(|plugins| match plugins.try_borrow_mut() {
        Ok(mut plugins) => Rc::clone(plugins.entry(name).or_default()),
        Err(_) => Rc::default(),
    })
}

impl Plugin {
    /// The last good document.
    pub(crate) fn split(&self) -> Option<Rc<Split>> {
        self.split.try_borrow().ok()?.clone()
    }

    /// Makes a document the one that decides.
    pub(crate) fn adopt(&self, split: Split) {
        self.flush();
        host::count(&documents_metric(true), 1);
        if let (Ok(mut current), Ok(mut counts)) = (self.split.try_borrow_mut(), self.counts.try_borrow_mut()) {
            counts.clear();
            *current = Some(Rc::new(split));
        }
    }

    /// Counts a document that was refused; the last good one keeps deciding.
    pub(crate) fn refuse(&self) {
        host::count(&documents_metric(false), 1);
    }

    /// Counts a decision.
    pub(crate) fn count(&self, decision: &Decision<'_>) {
        if let Ok(mut counts) = self.counts.try_borrow_mut() {
            counts.add(decision);
        }
    }

    /// Hands all counts to the host.
    pub(crate) fn flush(&self) {
        let taken = self.counts.try_borrow_mut().map(|mut counts| counts.take()).unwrap_or_default();
        for (metric, by) in taken {
            host::count(&metric, by);
        }
    }
}
