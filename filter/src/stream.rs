//! One request and its response.

use std::cell::OnceCell;
use std::net::IpAddr;

use serin_config::{Destination, Reason, Release, RequestView, Split};

use crate::buffer::Entry;
use crate::issued::Issued;
use crate::pairs::Pairs;
use crate::plugin::{self, Plugin, ROUTING_HEADER};
use crate::{destination, host, identity};

/// The filter state that tells why a request went where it went: `wasm.serin_reason` in access logs.
const REASON: &[u8] = b"serin_reason";

thread_local! {
    static ISSUED: Issued = const { Issued::new() };
}

/// The request as the engine sees it. What nobody asks for is not read: one header costs less than all, and all cost less than
/// two.
struct HostRequest<'e> {
    entry: &'e Entry,
    cookie: OnceCell<Option<&'e [u8]>>,
    all: OnceCell<Pairs<'e>>,
    source: OnceCell<Option<IpAddr>>,
}

impl<'e> HostRequest<'e> {
    fn new(entry: &'e Entry) -> Self {
        Self { entry, cookie: OnceCell::new(), all: OnceCell::new(), source: OnceCell::new() }
    }
}

impl RequestView for HostRequest<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.all.get_or_init(|| host::request_headers(self.entry)).values(name)
    }

    fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        match self.all.get() {
            Some(all) => all.values(name).next(),
            // More than one key may come from cookies.
            None if name == "cookie" => *self.cookie.get_or_init(|| host::request_header(self.entry, name)),
            None => host::request_header(self.entry, name),
        }
    }

    fn source(&self) -> Option<IpAddr> {
        *self.source.get_or_init(|| host::source_address(self.entry))
    }
}

/// Decides a request: three host calls where a release routes it by what its headers say.
pub(crate) fn request(entry: &Entry, stream: u32) {
    plugin::with_current(entry, |plugin| {
        let decided = plugin.with_split(|split| decide(entry, stream, plugin, split));
        if decided.is_none() {
            host::remove_request_header(ROUTING_HEADER);
        }
    });
}

fn decide(entry: &Entry, stream: u32, plugin: &Plugin, split: &Split) {
    let request = HostRequest::new(entry);
    let cluster = destination::of_cluster(host::cluster_name(entry).unwrap_or_default());
    let release = cluster.as_ref().and_then(|cluster| split.release(cluster));
    let Some(release) = release.or_else(|| elsewhere(cluster.as_ref(), &request, split)) else {
        return leave_alone(&request, split);
    };
    let decision = release.decide(&request);
    // Overwriting comes first of all: nobody picks a version that a rule does not grant.
    if let Some(version) = decision.version {
        let value = if release.routing_key().is_empty() { version.as_bytes() } else { keyed(entry, version, release) };
        host::set_request_header(split.routing_header(), value);
    }
    if split.report_reason() {
        host::set_filter_state(REASON, &decision.summary());
    }
    plugin.count(&decision);
    if let Some(cookie) = &decision.set_cookie {
        host::set_filter_state(plugin.cookie_state(), &cookie.header_value());
        ISSUED.with(|issued| issued.mark(stream));
    }
}

/// The value that the routes of a release ask for.
#[inline(never)]
fn keyed<'e>(entry: &'e Entry, version: &str, release: &Release) -> &'e [u8] {
    entry.join(&[version.as_bytes(), b".", release.routing_key().as_bytes()])
}

/// Does for a request that no release routes what has to be done: it names no version.
#[inline(never)]
fn leave_alone(request: &HostRequest<'_>, split: &Split) {
    if request.first(split.routing_header()).is_some() {
        host::remove_request_header(split.routing_header());
    }
    if split.report_reason() {
        host::set_filter_state(REASON, Reason::NoRelease.as_str());
    }
}

/// The release by what the request says itself, where the cluster is not a service's.
#[inline(never)]
fn elsewhere<'s>(cluster: Option<&Destination<'_>>, request: &HostRequest<'_>, split: &'s Split) -> Option<&'s Release> {
    if cluster.is_some_and(|cluster| destination::is_host(&cluster.host)) {
        return None;
    }
    split.release(&Destination::parse(request.values(":authority").next()?))
}

/// Gives a response the cookie that its request issued, where nobody else may keep it.
pub(crate) fn response(stream: u32) {
    if ISSUED.with(|issued| issued.take(stream)) {
        add_cookie(&Entry::begin());
    }
}

#[inline(never)]
fn add_cookie(entry: &Entry) {
    plugin::with_current(entry, |plugin| {
        if let Some(cookie) = host::filter_state(entry, plugin.cookie_state())
            && identity::may_be_set(&host::response_headers(entry))
        {
            host::add_response_header("set-cookie", cookie);
        }
    });
}
