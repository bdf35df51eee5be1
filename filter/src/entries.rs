//! Where the host calls in: Proxy-Wasm ABI 0.2.1 (github.com/proxy-wasm/spec), no more of it than a decision needs.
//!
//! The dispatcher of the crate proxy-wasm keeps each stream in a map, with a boxed context, and needs four more entries for a
//! stream's life: creation, done, log and deletion. Here a stream is a number, and what its response needs waits with the host.
//! Where no release issues cookies responses need nothing, and a module without an entry for them spares each stream a call.
//! `module/exports.rs` gives these functions their final names.
#![expect(unsafe_code, reason = "a function that the host finds by its name")]

use proxy_wasm::types::{Action, LogLevel};
use serin_config::DOCUMENT_VERSION;

use crate::buffer::Entry;
use crate::plugin::Responses;
use crate::{buffer, host, plugin, stream};

/// How often counts go to the host.
const FLUSH_MILLISECONDS: u32 = 1000;

/// How soon reading goes on in a large document.
const READ_ON_MILLISECONDS: u32 = 1;

/// The host is about to hand over so many bytes.
#[unsafe(no_mangle)]
extern "C" fn serin_on_memory_allocate(size: usize) -> *mut u8 {
    buffer::lend(size)
}

/// A VM begins.
#[unsafe(no_mangle)]
extern "C" fn serin_on_vm_start(_root: u32, _size: usize) -> bool {
    let version = env!("CARGO_PKG_VERSION");
    host::log(LogLevel::Info, &format!("serin {version} reads split documents of version {DOCUMENT_VERSION}"));
    true
}

/// A plugin has a new document. Always true: false would give 500 to every request until a good document comes.
#[unsafe(no_mangle)]
extern "C" fn serin_on_configure(root: u32, _size: usize) -> bool {
    configure(root, Responses::Entered)
}

/// The same in the module that has no entry for responses.
#[unsafe(no_mangle)]
extern "C" fn serin_on_configure_requests(root: u32, _size: usize) -> bool {
    configure(root, Responses::PassedBy)
}

fn configure(root: u32, responses: Responses) -> bool {
    let entry = Entry::begin();
    let document = host::configuration(&entry).unwrap_or_default();
    let done = plugin::of_configuration(&entry, root).configure(document, responses);
    host::set_tick_period(if done { FLUSH_MILLISECONDS } else { READ_ON_MILLISECONDS });
    true
}

/// Time has passed for a plugin.
#[unsafe(no_mangle)]
extern "C" fn serin_on_tick(root: u32) {
    let Some(plugin) = plugin::of_root(root) else {
        return;
    };
    if !plugin.is_reading() {
        plugin.flush();
    } else if plugin.read_on() {
        host::set_tick_period(FLUSH_MILLISECONDS);
    }
}

/// The headers of a request are there.
#[unsafe(no_mangle)]
extern "C" fn serin_on_request_headers(stream: u32, _count: usize, _end: bool) -> Action {
    stream::request(&Entry::begin(), stream);
    Action::Continue
}

/// The headers of a response are there.
#[unsafe(no_mangle)]
extern "C" fn serin_on_response_headers(stream: u32, _count: usize, _end: bool) -> Action {
    stream::response(stream);
    Action::Continue
}
