//! A filter on the Rust SDK: one that does nothing, or with the feature `decide` one that decides for a request as most authors
//! would write it, with the getters of the SDK and a map of releases.

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{ContextType, LogLevel};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Warn);
    proxy_wasm::set_root_context(|_| Box::<Root>::default());
}}

/// The plugin.
#[derive(Default)]
struct Root {
    #[cfg(feature = "decide")]
    releases: std::rc::Rc<decide::Releases>,
}

impl Context for Root {}

impl RootContext for Root {
    #[cfg(feature = "decide")]
    fn on_configure(&mut self, _: usize) -> bool {
        self.releases = std::rc::Rc::new(decide::releases());
        true
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        #[cfg(feature = "decide")]
        return Some(Box::new(decide::Stream { releases: self.releases.clone() }));
        #[cfg(not(feature = "decide"))]
        Some(Box::new(Stream))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

/// A request of which nothing is asked.
#[cfg(not(feature = "decide"))]
struct Stream;

#[cfg(not(feature = "decide"))]
impl Context for Stream {}

#[cfg(not(feature = "decide"))]
impl HttpContext for Stream {}

#[cfg(feature = "decide")]
mod decide {
    use std::collections::HashMap;
    use std::io::Cursor;
    use std::rc::Rc;

    use proxy_wasm::traits::{Context, HttpContext};
    use proxy_wasm::types::Action;

    /// The salt and the number of v2's buckets, by host.
    pub(crate) type Releases = HashMap<String, (String, u32)>;

    pub(crate) fn releases() -> Releases {
        HashMap::from([("reviews.bookinfo.svc.cluster.local".to_owned(), ("bookinfo/reviews".to_owned(), 50_000))])
    }

    pub(crate) struct Stream {
        pub(crate) releases: Rc<Releases>,
    }

    impl Context for Stream {}

    impl HttpContext for Stream {
        fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
            if let Some(version) = self.version() {
                self.set_http_request_header("x-serin-version", Some(version));
            }
            Action::Continue
        }
    }

    impl Stream {
        fn version(&self) -> Option<&'static str> {
            let cluster = String::from_utf8(self.get_property(vec!["xds", "cluster_name"])?).ok()?;
            let (salt, canary) = self.releases.get(cluster.split('|').nth(3)?)?;
            let cookies = self.get_http_request_header_bytes("cookie").unwrap_or_default();
            let Some(user) = cookie(&cookies, b"user") else {
                return Some("v1");
            };
            let key = [salt.as_bytes(), b":", user].concat();
            let hash = murmur3::murmur3_32(&mut Cursor::new(key), 0).ok()?;
            let bucket = (u64::from(hash) * 100_000) >> 32;
            Some(if bucket < u64::from(*canary) { "v2" } else { "v1" })
        }
    }

    fn cookie<'a>(header: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
        header.split(|&b| b == b';').find_map(|pair| {
            let at = pair.iter().position(|&b| b == b'=')?;
            (pair[..at].trim_ascii() == name).then(|| pair[at + 1..].trim_ascii())
        })
    }
}
