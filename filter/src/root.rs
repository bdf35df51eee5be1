//! The plugin's life: a document comes in, counts go out.

use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};
use serin_config::{DOCUMENT_VERSION, Split};

use crate::host;
use crate::plugin::{self, Plugin};
use crate::stream::Stream;

/// How often counts go to the host.
const FLUSH_MILLISECONDS: u32 = 1000;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// A configuration's context; its plugin is known once it is configured.
#[derive(Default)]
struct Root {
    plugin: Rc<Plugin>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_vm_start(&mut self, _: usize) -> bool {
        log::info!("serin {} reads split documents of version {DOCUMENT_VERSION}", env!("CARGO_PKG_VERSION"));
        true
    }

    /// Always true: false would give 500 to every request until a good document comes.
    fn on_configure(&mut self, _: usize) -> bool {
        self.plugin = plugin::current();
        host::set_tick_period(FLUSH_MILLISECONDS);
        let text = host::configuration().unwrap_or_default();
        match Split::parse(&text) {
            Ok(split) => {
                log::info!("adopted a split document of {} releases, {} bytes", split.releases().len(), text.len());
                self.plugin.adopt(split);
            }
            Err(error) => {
                let meanwhile = match self.plugin.split() {
                    Some(_) => "the last good one keeps deciding",
                    None => "there is none yet, so requests take the default route",
                };
                log::error!("refused a split document of {} bytes: {error}; {meanwhile}", text.len());
                self.plugin.refuse();
            }
        }
        true
    }

    fn on_tick(&mut self) {
        self.plugin.flush();
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(Rc::clone(&self.plugin))))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
