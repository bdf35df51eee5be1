//! What outlives a configuration: the host makes a new root context for each one, in the same VM.
//!
//! Plugins of one module share a VM and so this memory, whatever scope they were configured for: each has its state under its
//! own name. Nearly always there is one, and then no stream needs to ask whose it is.

use std::cell::{Cell, RefCell};
use std::fmt::Display;
use std::rc::Rc;
use std::sync::Arc;

use proxy_wasm::types::LogLevel;
use serin_config::{Decision, Split, Update};

use crate::buffer::Entry;
use crate::counts::{Counts, documents_metric};
use crate::host;

/// The header that is removed while there is no document that could name another one.
pub(crate) const ROUTING_HEADER: &str = "x-serin-version";

/// How much of a document is read at once while requests wait: less than a millisecond's work.
const PIECE_BYTES: usize = 32 * 1024;

/// The metric that tells which document decides.
const CHECKSUM_METRIC: &str = "serin.document_checksum";

/// What the module does with responses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Responses {
    /// They get the cookies that their requests issued.
    #[default]
    Entered,
    /// The host does not show them, so no request may issue a cookie.
    PassedBy,
}

/// The state of one plugin.
#[derive(Default)]
pub(crate) struct Plugin {
    name: Vec<u8>,
    /// The root context of its last configuration.
    root: Cell<u32>,
    /// The filter state in which the cookie of a response waits; two plugins of one stream have two.
    cookie_state: Vec<u8>,
    split: RefCell<Option<Arc<Split>>>,
    /// A document that is being read.
    update: RefCell<Option<Update>>,
    counts: RefCell<Counts>,
    responses: Cell<Responses>,
}

thread_local! {
    static PLUGINS: RefCell<Vec<Rc<Plugin>>> = const { RefCell::new(Vec::new()) };
}

/// The plugin whose configuration has this root context. Nothing here calls back, so no state is ever borrowed twice; if it
/// were, there would be nothing to see.
pub(crate) fn of_root(root: u32) -> Option<Rc<Plugin>> {
    PLUGINS.with(|plugins| plugins.try_borrow().ok()?.iter().find(|plugin| plugin.root.get() == root).cloned())
}

/// The plugin that is being configured, with a new root context.
pub(crate) fn of_configuration(entry: &Entry, root: u32) -> Rc<Plugin> {
    let name = host::plugin_name(entry).unwrap_or_default();
    PLUGINS.with(|plugins| {
        let Ok(mut plugins) = plugins.try_borrow_mut() else {
            return Rc::default();
        };
        let known = plugins.iter().find(|plugin| plugin.name == name).cloned();
        let plugin = known.unwrap_or_else(|| {
            let cookie_state = [b"serin_set_cookie.", name].concat();
            let plugin = Rc::new(Plugin { name: name.to_vec(), cookie_state, ..Plugin::default() });
            plugins.push(Rc::clone(&plugin));
            plugin
        });
        plugin.root.set(root);
        plugin
    })
}

/// Shows the plugin of the stream that the host is calling for.
pub(crate) fn with_current(entry: &Entry, see: impl FnOnce(&Plugin)) {
    PLUGINS.with(|plugins| {
        let Ok(plugins) = plugins.try_borrow() else {
            return;
        };
        let plugin = match plugins.as_slice() {
            [only] => Some(&**only),
            several => named(several, entry),
        };
        if let Some(plugin) = plugin {
            see(plugin);
        }
    });
}

#[inline(never)]
fn named<'p>(plugins: &'p [Rc<Plugin>], entry: &Entry) -> Option<&'p Plugin> {
    if plugins.is_empty() {
        return None;
    }
    let name = host::plugin_name(entry).unwrap_or_default();
    plugins.iter().find(|plugin| plugin.name == name).map(|plugin| &**plugin)
}

impl Plugin {
    /// The last good document.
    fn split(&self) -> Option<Arc<Split>> {
        self.split.try_borrow().ok()?.clone()
    }

    /// Shows the last good document; `None` when there is none.
    pub(crate) fn with_split<T>(&self, see: impl FnOnce(&Split) -> T) -> Option<T> {
        self.split.try_borrow().ok()?.as_deref().map(see)
    }

    /// The filter state for the cookie of a response.
    pub(crate) fn cookie_state(&self) -> &[u8] {
        &self.cookie_state
    }

    /// Takes up a document; a bad one is told and counted, and changes nothing. Says whether it is done with it: while another
    /// document decides, a large change is read in pieces.
    pub(crate) fn configure(&self, text: Vec<u8>, responses: Responses) -> bool {
        self.responses.set(responses);
        let previous = self.split();
        // Nothing decides yet, and a request that comes before the document would take the default route.
        let piece = if previous.is_some() { PIECE_BYTES } else { usize::MAX };
        self.go_on(Update::new(text, previous), piece)
    }

    /// Whether a document is being read.
    pub(crate) fn is_reading(&self) -> bool {
        self.update.try_borrow().is_ok_and(|update| update.is_some())
    }

    /// Reads on in a document that is being read; says whether it is done with it.
    pub(crate) fn read_on(&self) -> bool {
        match self.update.try_borrow_mut().ok().and_then(|mut update| update.take()) {
            Some(update) => self.go_on(update, PIECE_BYTES),
            None => true,
        }
    }

    fn go_on(&self, mut update: Update, piece: usize) -> bool {
        let step = update.step(piece);
        let (bytes, checksum) = (update.bytes(), update.checksum());
        let unfinished = matches!(step, Ok(None));
        if let Ok(mut pending) = self.update.try_borrow_mut() {
            // A document that was still being read is out of date.
            *pending = unfinished.then_some(update);
        }
        match step {
            Ok(None) => {}
            Ok(Some(split)) if split.issues_cookies() && self.responses.get() == Responses::PassedBy => {
                self.refuse(&"a release issues a cookie, and this module sees no responses; use serin_filter.wasm", bytes);
            }
            Ok(Some(split)) => self.adopt(split, bytes, checksum),
            Err(error) => self.refuse(&error, bytes),
        }
        !unfinished
    }

    fn refuse(&self, error: &dyn Display, bytes: usize) {
        let meanwhile = match self.split() {
            Some(_) => "the last good one keeps deciding",
            None => "there is none yet, so requests take the default route",
        };
        host::log(LogLevel::Error, &format!("refused a split document of {bytes} bytes: {error}; {meanwhile}"));
        host::count(&documents_metric(false), 1);
    }

    fn adopt(&self, split: Split, bytes: usize, checksum: Option<u32>) {
        let releases = split.len();
        host::log(LogLevel::Info, &format!("adopted a split document of {releases} releases, {bytes} bytes"));
        self.flush();
        host::count(&documents_metric(true), 1);
        host::show(CHECKSUM_METRIC, u64::from(checksum.unwrap_or_default()));
        if let (Ok(mut current), Ok(mut counts)) = (self.split.try_borrow_mut(), self.counts.try_borrow_mut()) {
            counts.clear();
            *current = Some(Arc::new(split));
        }
    }

    /// Counts a decision.
    pub(crate) fn count(&self, decision: &Decision<'_>) {
        if let Ok(mut counts) = self.counts.try_borrow_mut() {
            counts.add(decision);
        }
    }

    /// Hands all counts to the host.
    pub(crate) fn flush(&self) {
        if let Ok(mut counts) = self.counts.try_borrow_mut() {
            counts.take(host::count);
        }
    }
}
