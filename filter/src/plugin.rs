//! What outlives a configuration: the host makes a new root context for each one, in the same VM.
//!
//! Plugins of one module share a VM and so this memory, whatever scope they were configured for: each has its state under its
//! own name. Nearly always there is one, and then no stream needs to ask whose it is.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::types::LogLevel;
use serin_config::{Decision, Split};

use crate::counts::{Counts, documents_metric};
use crate::host;

/// The header that is removed while there is no document that could name another one.
pub(crate) const ROUTING_HEADER: &str = "x-serin-version";

/// The state of one plugin.
#[derive(Default)]
pub(crate) struct Plugin {
    name: Vec<u8>,
    /// The filter state in which the cookie of a response waits; two plugins of one stream have two.
    cookie_state: String,
    split: RefCell<Option<Rc<Split>>>,
    counts: RefCell<Counts>,
}

thread_local! {
    static PLUGINS: RefCell<Vec<Rc<Plugin>>> = const { RefCell::new(Vec::new()) };
}

/// All plugins of this VM.
pub(crate) fn all() -> Vec<Rc<Plugin>> {
    // Nothing here calls back, so no state is ever borrowed twice; if it were, there would be nothing to see.
    PLUGINS.with(|plugins| plugins.try_borrow().map(|plugins| plugins.clone()).unwrap_or_default())
}

/// The plugin that is being configured.
pub(crate) fn of_configuration() -> Rc<Plugin> {
    let name = host::plugin_name().unwrap_or_default();
    PLUGINS.with(|plugins| {
        let Ok(mut plugins) = plugins.try_borrow_mut() else {
            return Rc::default();
        };
        if let Some(known) = plugins.iter().find(|plugin| *plugin.name == *name) {
            return Rc::clone(known);
        }
        let cookie_state = format!("serin_set_cookie.{}", name.escape_ascii());
        let plugin = Rc::new(Plugin { name: name.to_vec(), cookie_state, ..Plugin::default() });
        plugins.push(Rc::clone(&plugin));
        plugin
    })
}

/// Shows the plugin of the stream that the host is calling for.
pub(crate) fn with_current(see: impl FnOnce(&Plugin)) {
    PLUGINS.with(|plugins| {
        let Ok(plugins) = plugins.try_borrow() else {
            return;
        };
        match plugins.as_slice() {
            [] => {}
            [only] => see(only),
            several => {
                let name = host::plugin_name().unwrap_or_default();
                if let Some(plugin) = several.iter().find(|plugin| *plugin.name == *name) {
                    see(plugin);
                }
            }
        }
    });
}

impl Plugin {
    /// The last good document.
    pub(crate) fn split(&self) -> Option<Rc<Split>> {
        self.split.try_borrow().ok()?.clone()
    }

    /// The filter state for the cookie of a response.
    pub(crate) fn cookie_state(&self) -> &str {
        &self.cookie_state
    }

    /// Takes up a document; a bad one is told and counted, and changes nothing.
    pub(crate) fn configure(&self, text: Vec<u8>) {
        match Split::parse(&text) {
            Ok(split) => {
                let releases = split.releases().len();
                host::log(LogLevel::Info, &format!("adopted a split document of {releases} releases, {} bytes", text.len()));
                self.adopt(split);
            }
            Err(error) => {
                let meanwhile = match self.split() {
                    Some(_) => "the last good one keeps deciding",
                    None => "there is none yet, so requests take the default route",
                };
                let size = text.len();
                host::log(LogLevel::Error, &format!("refused a split document of {size} bytes: {error}; {meanwhile}"));
                host::count(&documents_metric(false), 1);
            }
        }
    }

    fn adopt(&self, split: Split) {
        self.flush();
        host::count(&documents_metric(true), 1);
        if let (Ok(mut current), Ok(mut counts)) = (self.split.try_borrow_mut(), self.counts.try_borrow_mut()) {
            counts.clear();
            *current = Some(Rc::new(split));
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
        let taken = self.counts.try_borrow_mut().map(|mut counts| counts.take()).unwrap_or_default();
        for (metric, by) in taken {
            host::count(&metric, by);
        }
    }
}
