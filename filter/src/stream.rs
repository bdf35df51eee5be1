//! One request and its response.

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use serin_config::{Destination, RequestView};

use crate::pairs::Pairs;
use crate::plugin::{Plugin, ROUTING_HEADER};
use crate::{destination, host};

/// The filter state that tells why a request went where it went: `wasm.serin_reason` in access logs.
const REASON: &str = "serin_reason";

/// The plugin, and what the response needs of the request.
pub(crate) struct Stream {
    plugin: Rc<Plugin>,
    set_cookie: Option<String>,
}

impl Stream {
    pub(crate) fn new(plugin: Rc<Plugin>) -> Self {
        Self { plugin, set_cookie: None }
    }
}

/// The request as the engine sees it: headers are read once, the address only where it is asked for.
struct HostRequest {
    headers: Pairs,
    source: OnceCell<Option<IpAddr>>,
}

impl RequestView for HostRequest {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.values(name)
    }

    fn source(&self) -> Option<IpAddr> {
        *self.source.get_or_init(host::source_address)
    }
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let request = HostRequest { headers: host::request_headers(), source: OnceCell::new() };
        let Some(split) = self.plugin.split() else {
            host::remove_request_header(ROUTING_HEADER);
            return Action::Continue;
        };
        let cluster = host::cluster_name().unwrap_or_default();
        let authority = request.values(":authority").next().and_then(|value| std::str::from_utf8(value).ok());
        let destination = destination::of_cluster(&cluster).or_else(|| authority.map(Destination::parse));
        let decision = split.decide(&destination.unwrap_or_default(), &request);
        match decision.version {
            // Overwriting or removing comes first of all: nobody picks a version that a rule does not grant.
            Some(version) => host::set_request_header(split.routing_header(), version),
            None if request.values(split.routing_header()).next().is_some() => {
                host::remove_request_header(split.routing_header());
            }
            None => {}
        }
        if split.report_reason() {
            host::set_filter_state(REASON, &decision.summary());
        }
        self.plugin.count(&decision);
        self.set_cookie = decision.set_cookie.map(|cookie| cookie.header_value());
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        if let Some(cookie) = self.set_cookie.take() {
            host::add_response_header("set-cookie", &cookie);
        }
        Action::Continue
    }
}
