//! What outlives a configuration: the host makes a new root context for each one, in the same VM.

use std::cell::RefCell;
use std::rc::Rc;

use serin_config::{Decision, Split};

use crate::counts::{Counts, documents_metric};
use crate::host;

/// The header that is removed while there is no document that could name another one.
pub(crate) const ROUTING_HEADER: &str = "x-serin-version";

#[derive(Default)]
struct State {
    split: Option<Rc<Split>>,
    counts: Counts,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Nothing here calls back, so the state is never borrowed twice; if it were, the answer would be the default.
fn with<T: Default>(run: impl FnOnce(&mut State) -> T) -> T {
    STATE.with(|state| state.try_borrow_mut().map(|mut state| run(&mut state)).unwrap_or_default())
}

/// The last good document.
pub(crate) fn split() -> Option<Rc<Split>> {
    with(|state| state.split.clone())
}

/// Makes a document the one that decides.
pub(crate) fn adopt(split: Split) {
    flush();
    host::count(&documents_metric(true), 1);
    with(|state| {
        state.counts.clear();
        state.split = Some(Rc::new(split));
    });
}

/// Counts a document that was refused; the last good one keeps deciding.
pub(crate) fn refuse() {
    host::count(&documents_metric(false), 1);
}

/// Counts a decision.
pub(crate) fn count(decision: &Decision<'_>) {
    with(|state| state.counts.add(decision));
}

/// Hands all counts to the host.
pub(crate) fn flush() {
    for (metric, by) in with(|state| state.counts.take()) {
        host::count(&metric, by);
    }
}
