//! All host calls of the filter.
//!
//! The functions of `proxy_wasm::hostcalls` panic on a status that they do not expect, and a panic traps the VM. So the few
//! that a request needs are called here, each with an answer for every status: `None` or nothing done. `unsafe` ends here.
#![expect(unsafe_code, reason = "host calls hand over memory by address and length")]

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::ptr::null_mut;

use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};

use crate::buffer::Entry;
use crate::pairs::Pairs;

const OK: u32 = Status::Ok as u32;
const REQUEST_HEADERS: u32 = MapType::HttpRequestHeaders as u32;
const RESPONSE_HEADERS: u32 = MapType::HttpResponseHeaders as u32;
const PLUGIN_CONFIGURATION: u32 = BufferType::PluginConfiguration as u32;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_log(level: u32, message: *const u8, size: usize) -> u32;
    fn proxy_get_buffer_bytes(kind: u32, start: usize, most: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_value(map: u32, key: *const u8, key_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_get_header_map_pairs(map: u32, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_replace_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, value_size: usize)
    -> u32;
    fn proxy_add_header_map_value(map: u32, key: *const u8, key_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_remove_header_map_value(map: u32, key: *const u8, key_size: usize) -> u32;
    fn proxy_get_property(path: *const u8, path_size: usize, data: *mut *mut u8, size: *mut usize) -> u32;
    fn proxy_set_property(path: *const u8, path_size: usize, value: *const u8, value_size: usize) -> u32;
    fn proxy_define_metric(kind: u32, name: *const u8, name_size: usize, id: *mut u32) -> u32;
    fn proxy_increment_metric(id: u32, offset: i64) -> u32;
    fn proxy_record_metric(id: u32, value: u64) -> u32;
    fn proxy_set_tick_period_milliseconds(period: u32) -> u32;
}

/// The address and the size of what a host call hands out, in memory that it got from `buffer`.
fn handed_out(call: impl FnOnce(*mut *mut u8, *mut usize) -> u32) -> Option<(*const u8, usize)> {
    let mut data: *mut u8 = null_mut();
    let mut size = 0;
    (call(&raw mut data, &raw mut size) == OK).then_some((data.cast_const(), size))
}

/// Writes a line to the host's log.
pub(crate) fn log(level: LogLevel, message: &str) {
    // SAFETY: the host only reads the text.
    unsafe {
        proxy_log(level as u32, message.as_ptr(), message.len());
    }
}

/// The document as it was configured.
pub(crate) fn configuration(entry: &Entry) -> Option<Vec<u8>> {
    let (data, size) =
        // SAFETY: the host writes an address and a size to the two places, which live until it returns.
        handed_out(|data, size| unsafe { proxy_get_buffer_bytes(PLUGIN_CONFIGURATION, 0, usize::MAX, data, size) })?;
    entry.receive_vec(data, size)
}

/// All headers of the request.
pub(crate) fn request_headers(entry: &Entry) -> Pairs<'_> {
    headers(entry, REQUEST_HEADERS)
}

/// All headers of the response; only in the response phase.
pub(crate) fn response_headers(entry: &Entry) -> Pairs<'_> {
    headers(entry, RESPONSE_HEADERS)
}

#[inline(always)]
fn headers(entry: &Entry, map: u32) -> Pairs<'_> {
    // SAFETY: as in `configuration`.
    handed_out(|data, size| unsafe { proxy_get_header_map_pairs(map, data, size) })
        .and_then(|(data, size)| entry.receive(data, size))
        .map(Pairs::new)
        .unwrap_or_default()
}

/// The first value of a header of the request.
pub(crate) fn request_header<'e>(entry: &'e Entry, name: &str) -> Option<&'e [u8]> {
    let (data, size) =
        // SAFETY: the host reads the name, and writes an address and a size to the two places.
        handed_out(|data, size| unsafe {
            proxy_get_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), data, size)
        })?;
    entry.receive(data, size)
}

/// Sets a header of the request to one value; the proxy then selects the route again.
pub(crate) fn set_request_header(name: &str, value: &[u8]) {
    // SAFETY: the host only reads the two texts.
    unsafe {
        proxy_replace_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len(), value.as_ptr(), value.len());
    }
}

/// Removes all values of a header of the request; the proxy then selects the route again.
pub(crate) fn remove_request_header(name: &str) {
    // SAFETY: the host only reads the text.
    unsafe {
        proxy_remove_header_map_value(REQUEST_HEADERS, name.as_ptr(), name.len());
    }
}

/// Adds a value to a header of the response; only in the response phase.
pub(crate) fn add_response_header(name: &str, value: &[u8]) {
    // SAFETY: the host only reads the two texts.
    unsafe {
        proxy_add_header_map_value(RESPONSE_HEADERS, name.as_ptr(), name.len(), value.as_ptr(), value.len());
    }
}

/// The name of the cluster of the route that the proxy selected first.
pub(crate) fn cluster_name(entry: &Entry) -> Option<&[u8]> {
    property(entry, b"xds\0cluster_name")
}

/// The name under which this plugin was configured.
pub(crate) fn plugin_name(entry: &Entry) -> Option<&[u8]> {
    property(entry, b"plugin_name")
}

/// The client's address.
#[inline(never)]
pub(crate) fn source_address(entry: &Entry) -> Option<IpAddr> {
    let text = property(entry, b"source\0address")?;
    std::str::from_utf8(text).ok()?.parse::<SocketAddr>().map(|address| address.ip()).ok()
}

/// The filter state `wasm.NAME` of this stream.
pub(crate) fn filter_state<'e>(entry: &'e Entry, name: &[u8]) -> Option<&'e [u8]> {
    property(entry, name)
}

fn property<'e>(entry: &'e Entry, path: &[u8]) -> Option<&'e [u8]> {
    // SAFETY: the host reads the path, and writes an address and a size to the two places.
    let (data, size) = handed_out(|data, size| unsafe { proxy_get_property(path.as_ptr(), path.len(), data, size) })?;
    entry.receive(data, size)
}

/// Sets the filter state `wasm.NAME` of this stream, which access logs can read.
pub(crate) fn set_filter_state(name: &[u8], value: &str) {
    // SAFETY: the host only reads the two texts.
    unsafe {
        proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len());
    }
}

thread_local! {
    /// Metrics and their ids, in the order of their names; Envoy makes and keeps a new id each time that a name is defined.
    static METRICS: RefCell<Vec<(String, u32)>> = const { RefCell::new(Vec::new()) };
}

/// Adds to a counter, which comes into being with its first use.
pub(crate) fn count(metric: &str, by: u64) {
    if let (Some(id), Ok(by)) = (self::metric(MetricType::Counter, metric), i64::try_from(by)) {
        // SAFETY: two numbers.
        unsafe {
            proxy_increment_metric(id, by);
        }
    }
}

/// Sets a gauge, which comes into being with its first use.
pub(crate) fn show(metric: &str, value: u64) {
    if let Some(id) = self::metric(MetricType::Gauge, metric) {
        // SAFETY: two numbers.
        unsafe {
            proxy_record_metric(id, value);
        }
    }
}

fn metric(kind: MetricType, metric: &str) -> Option<u32> {
    METRICS.with(|metrics| {
        let mut metrics = metrics.try_borrow_mut().ok()?;
        match metrics.binary_search_by(|(name, _)| name.as_str().cmp(metric)) {
            Ok(at) => metrics.get(at).map(|(_, id)| *id),
            Err(at) => {
                let mut id = 0;
                // SAFETY: the host reads the name and writes the id to the place, which lives until it returns.
                let status = unsafe { proxy_define_metric(kind as u32, metric.as_ptr(), metric.len(), &raw mut id) };
                (status == OK).then(|| {
                    metrics.insert(at, (metric.to_owned(), id));
                    id
                })
            }
        }
    })
}

/// Asks for a tick each so many milliseconds.
pub(crate) fn set_tick_period(milliseconds: u32) {
    // SAFETY: a number.
    unsafe {
        proxy_set_tick_period_milliseconds(milliseconds);
    }
}
