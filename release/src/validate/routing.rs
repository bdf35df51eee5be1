//! Where and how the mesh routes a release, as far as its own text shows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Check, is_object_name};
use crate::api::v1alpha1::{Routing, RoutingMode};
use crate::route::ROUTE_SETTINGS;

impl Check<'_> {
    pub(super) fn routing(&mut self, routing: &Routing) {
        let managed = routing.mode == RoutingMode::Managed;
        if managed && routing.gateways.is_empty() != routing.hosts.is_empty() {
            if routing.hosts.is_empty() {
                self.refuse(
                    "spec.routing.hosts",
                    "there are gateways without hosts",
                    "list the hosts that these gateways serve",
                );
            } else {
                self.refuse(
                    "spec.routing.gateways",
                    "there are hosts without gateways",
                    "list the gateways that serve them",
                );
            }
        }
        self.hosts(&routing.hosts);
        self.gateways(&routing.gateways);
        match &routing.http {
            None => {}
            Some(Value::Object(settings)) => {
                for name in settings.keys().filter(|name| !ROUTE_SETTINGS.contains(&name.as_str())) {
                    let fix = format!("use {}", ROUTE_SETTINGS.join(", "));
                    self.refuse(format!("spec.routing.http.{name}"), format!("`{name}` cannot be carried over"), fix);
                }
            }
            Some(_) => self.refuse(
                "spec.routing.http",
                "this is not an object with fields",
                "write settings such as `{timeout: 5s}`",
            ),
        }
    }

    fn hosts(&mut self, hosts: &[String]) {
        let mut seen = BTreeSet::new();
        for (index, host) in hosts.iter().enumerate() {
            let path = format!("spec.routing.hosts[{index}]");
            let lower = host.to_ascii_lowercase();
            if host.contains('*') {
                self.refuse(path, format!("`{host}` would take other hosts along"), "list the hosts one by one");
            } else if !is_object_name(&lower) {
                self.refuse(path, format!("`{host}` is not a host name"), "write it without scheme, port and path");
            } else if !seen.insert(lower) {
                self.refuse(path, format!("`{host}` is listed already"), "list each host once");
            }
        }
    }

    fn gateways(&mut self, gateways: &[String]) {
        for (index, gateway) in gateways.iter().enumerate() {
            let path = format!("spec.routing.gateways[{index}]");
            let (namespace, name) = gateway.split_once('/').unwrap_or(("default", gateway));
            if gateway == "mesh" {
                self.refuse(path, "`mesh` is always routed", "leave it out");
            } else if !is_object_name(name) || !is_object_name(namespace) {
                let fix = "write `NAME`, or `NAMESPACE/NAME` for one of another namespace";
                self.refuse(path, format!("`{gateway}` is not a gateway"), fix);
            }
        }
    }
}
