//! The rows of the table: what stands before the router, and which version it has to choose.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::PathBuf;

use serde_json::Value;

use crate::Result;
use crate::bootstrap::{cluster, cluster_header, cluster_name, filter, listener, lua, routes, wasm, weighted_routes};
use crate::documents::{self, HOST, RELEASE};
use crate::modules::Modules;
use crate::requests::Request;

/// Rows of the bench's own; filters of the command line come after them.
pub(crate) const OWN: usize = 16;
/// Buckets of the canary in every row, of 100 000.
const CANARY: u64 = 50_000;
/// The clusters that Envoy chooses between by itself.
pub(crate) const WEIGHTED: [&str; 2] = ["weighted|v1", "weighted|v2"];

/// What chooses the version.
#[derive(Clone, Debug)]
enum Filter {
    Nothing,
    Weighted,
    /// A script that finds the release by the cluster of the route, as Serin does.
    LuaByCluster,
    /// A script that takes the client's word for it.
    LuaByAuthority,
    Wasm(PathBuf, String),
}

/// The version that a row has to choose for a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Choice {
    /// None: the default route.
    None,
    /// Envoy's own, by a hash that is not said: about half and half.
    Envoy,
    /// By the last byte of the cookies.
    LastByte,
    /// By the bucket of the user, with this salt.
    User(String),
    /// By the bucket of the identity that is made from the request's id, with this salt.
    Identity(String),
}

impl Choice {
    /// Whether the request gets v2; `None` where nothing chooses or nobody says how.
    pub(crate) fn canary(&self, request: &Request) -> Option<bool> {
        let bucket = |salt: &str, key: &str| {
            // Reading from memory cannot fail.
            let hash = murmur3::murmur3_32(&mut Cursor::new(format!("{salt}:{key}")), 0).unwrap_or_default();
            (u64::from(hash) * 100_000) >> 32
        };
        match self {
            Self::None | Self::Envoy => None,
            Self::LastByte => Some(request.cookies.as_bytes().last()? % 2 == 0),
            Self::User(salt) => Some(bucket(salt, &request.user) < CANARY),
            Self::Identity(salt) => {
                let hash = murmur3::murmur3_x64_128(&mut Cursor::new(&request.id), 0).unwrap_or_default();
                Some(bucket(salt, &format!("{hash:032x}")) < CANARY)
            }
        }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Its number in the table of all rows.
    pub(crate) number: usize,
    pub(crate) name: String,
    pub(crate) choice: Choice,
    /// Whether its requests carry no cookie `user`.
    pub(crate) anonymous: bool,
    filter: Filter,
    host: String,
}

impl Row {
    /// A row without a filter.
    pub(crate) fn plain(name: &str) -> Self {
        let (filter, host) = (Filter::Nothing, HOST.to_owned());
        Self { number: 1, name: name.to_owned(), choice: Choice::None, anonymous: false, filter, host }
    }

    /// A row with a module, its configuration and the host that is asked for.
    pub(crate) fn wasm(name: &str, module: PathBuf, (configuration, host): (String, String)) -> Self {
        Self { filter: Filter::Wasm(module, configuration), host, ..Self::plain(name) }
    }

    /// The name of its listener, its routes' statistics and its plugin.
    pub(crate) fn key(&self) -> String {
        format!("row-{}", self.number)
    }

    /// Its listener.
    pub(crate) fn listener(&self) -> Value {
        let key = self.key();
        let filters = match &self.filter {
            Filter::Nothing | Filter::Weighted => vec![],
            Filter::LuaByCluster => {
                let script = lua(concat!(include_str!("canary.lua"), include_str!("by_cluster.lua")));
                vec![filter("cluster", cluster_header("x-cluster")), filter("lua", script)]
            }
            Filter::LuaByAuthority => {
                vec![filter("lua", lua(concat!(include_str!("canary.lua"), include_str!("by_authority.lua"))))]
            }
            Filter::Wasm(module, configuration) => vec![filter("wasm", wasm(&key, module, configuration))],
        };
        let routes = match &self.filter {
            Filter::Weighted => weighted_routes(WEIGHTED),
            _ => routes(&self.host),
        };
        listener(&key, filters, routes)
    }

    fn clusters(&self) -> Vec<String> {
        match &self.filter {
            Filter::Weighted => WEIGHTED.map(str::to_owned).to_vec(),
            _ => vec![cluster_name(&self.host, "v1"), cluster_name(&self.host, "v2")],
        }
    }
}

/// Listeners and clusters of some rows.
pub(crate) fn resources(rows: &[Row]) -> Value {
    let names: BTreeSet<String> = rows.iter().flat_map(Row::clusters).collect();
    let listeners: Vec<Value> = rows.iter().map(Row::listener).collect();
    serde_json::json!({"listeners": listeners, "clusters": names.iter().map(|name| cluster(name)).collect::<Vec<_>>()})
}

/// All rows, or those of some numbers; the first one and filters of the command line are always there.
pub(crate) fn rows(modules: &Modules, numbers: &BTreeSet<usize>) -> Result<Vec<Row>> {
    let all = all(modules);
    match numbers.iter().find(|number| **number == 0 || **number > all.len()) {
        Some(number) => Err(format!("there is no row {number}; the last one is {}", all.len()).into()),
        None => Ok(all
            .into_iter()
            .filter(|row| numbers.is_empty() || row.number == 1 || row.number > OWN || numbers.contains(&row.number))
            .collect()),
    }
}

fn all(modules: &Modules) -> Vec<Row> {
    let peer = |name: &str| Filter::Wasm(modules.of(name), String::new());
    let serin = |document: String| Filter::Wasm(modules.serin(), document);
    let issuing = || Filter::Wasm(modules.of("serin-any"), documents::issuing());
    let user = || Choice::User(RELEASE.to_owned());
    let among = |count: usize| {
        let middle = documents::middle(count);
        let choice = Choice::User(documents::release(middle));
        (serin(documents::releases(count, 50_000)), choice, documents::host(middle))
    };
    let here = |filter: Filter, choice: Choice| (filter, choice, HOST.to_owned());
    let mut rows = vec![
        ("no filter".to_owned(), here(Filter::Nothing, Choice::None)),
        ("weighted_clusters with a hash policy".to_owned(), here(Filter::Weighted, Choice::Envoy)),
        ("Lua, same job".to_owned(), here(Filter::LuaByCluster, user())),
        ("Lua, release by :authority".to_owned(), here(Filter::LuaByAuthority, user())),
        ("empty SDK filter".to_owned(), here(peer("sdk-empty"), Choice::None)),
        ("SDK, usual way, same job".to_owned(), here(peer("sdk-decide"), user())),
        ("bare module, nothing".to_owned(), here(peer("bare-empty"), Choice::None)),
        ("bare module, the three host calls".to_owned(), here(peer("bare-calls"), Choice::LastByte)),
        ("Serin, 1 release, sticky cookie".to_owned(), here(serin(documents::reviews(vec![])), user())),
        ("Serin, 20 header and URI rules".to_owned(), here(serin(documents::reviews(documents::mixed_rules())), user())),
        ("Serin, 1 literal rule".to_owned(), here(serin(documents::reviews(documents::literal_rules(1))), user())),
        ("Serin, 1 000 literal rules".to_owned(), here(serin(documents::reviews(documents::literal_rules(1000))), user())),
        ("Serin, 1 000 releases".to_owned(), among(1000)),
        ("Serin, 10 000 releases".to_owned(), among(10_000)),
        ("Serin, issued cookies".to_owned(), here(issuing(), Choice::Identity(RELEASE.to_owned()))),
        ("Serin, where others get cookies".to_owned(), here(issuing(), user())),
    ];
    for (name, module) in &modules.others {
        let filter = Filter::Wasm(module.clone(), documents::reviews(vec![]));
        rows.push((format!("{name}, 1 release, sticky cookie"), here(filter, user())));
    }
    let numbered = rows.into_iter().enumerate();
    numbered
        .map(|(index, (name, (filter, choice, host)))| {
            let anonymous = matches!(choice, Choice::Identity(_));
            Row { number: index + 1, name, choice, anonymous, filter, host }
        })
        .collect()
}
