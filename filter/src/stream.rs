//! One request and its response.

use std::cell::OnceCell;
use std::net::IpAddr;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;
use serin_config::{Destination, RequestView};

use crate::pairs::Pairs;
use crate::{destination, host, state};

/// The filter state that tells why a request went where it went: `wasm.serin_reason` in access logs.
const REASON: &str = "serin_reason";

/// What the response needs of the request.
#[derive(Default)]
pub(crate) struct Stream {
    set_cookie: Option<String>,
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
        let Some(split) = state::split() else {
            host::remove_request_header(state::ROUTING_HEADER);
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
        state::count(&decision);
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
