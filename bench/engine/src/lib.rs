//! The questions that the benches ask the engine: documents of a size, and requests for them.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use serin_config::{
    Algorithm, Condition, Decision, Destination, DocumentError, KeySource, NamedMatch, Reason, ReleaseSplit, Request, Rule,
    Split, SplitDocument, Sticky,
};

/// The numbers of releases that a document is measured with.
pub const RELEASES: [usize; 3] = [1, 1_000, 10_000];

/// The numbers of rules that a release is measured with.
pub const RULES: [usize; 3] = [1, 20, 1_000];

/// The group id of the rollout that both engines hold, which is the salt of ours.
pub const GROUP: &str = "checkout";

/// The share of the canary in that rollout, in percent.
pub const ROLLOUT: u32 = 50;

/// The text of a document of so many releases, each sticky by a cookie, with 5 % for its canary.
#[must_use]
pub fn document(releases: usize) -> String {
    SplitDocument::new((0..releases).map(release).collect()).to_json()
}

fn release(number: usize) -> ReleaseSplit {
    ReleaseSplit {
        release: format!("shop/service-{number:05}"),
        hosts: vec![host(number)],
        ports: vec![9080],
        routing_key: None,
        stable: "v1".to_owned(),
        buckets: vec![("v2".to_owned(), 5_000)],
        sticky: Some(Sticky { by: vec![KeySource::Cookie("user".to_owned())], ..Sticky::default() }),
        rules: Vec::new(),
        takeover: None,
    }
}

/// As long for every release, so that sizes differ by nothing but their number.
fn host(number: usize) -> String {
    format!("service-{number:05}.shop.svc.cluster.local")
}

/// A request as a browser sends one through a proxy, by a visitor with a cookie.
fn visit(host: &str) -> Request {
    Request::get("/cart/items?page=2")
        .header(":authority", host)
        .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
        .header("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
        .header("accept-language", "en-GB,en;q=0.5")
        .header("accept-encoding", "gzip, deflate, br")
        .header("cookie", "theme=dark; session=3f2b9c1d7e; user=user-4711")
        .header("x-request-id", "7c9e6679-7425-40de-944b-e07fc1f90ae7")
}

/// A split with one request to it.
#[derive(Debug)]
pub struct Question {
    split: Split,
    host: String,
    request: Request,
}

impl Question {
    /// A request to the release in the middle of so many.
    ///
    /// # Errors
    /// When the engine does not take the document or decides by anything but the cookie: then the bench is wrong.
    pub fn of_releases(releases: usize) -> Result<Self, Box<dyn Error>> {
        let host = host(releases / 2);
        Self { split: Split::parse(document(releases).as_bytes())?, request: visit(&host), host }.checked()
    }

    /// A request to a release with so many rules, each for one value of a header; it has the header, and none of the values.
    ///
    /// # Errors
    /// As [`Question::of_releases`].
    pub fn of_rules(rules: usize) -> Result<Self, Box<dyn Error>> {
        let mut release = release(0);
        release.rules = (0..rules).map(rule).collect();
        let split = Split::compile(&SplitDocument::new(vec![release]))?;
        let host = host(0);
        Self { split, request: visit(&host).header("x-team", "team-abc"), host }.checked()
    }

    fn checked(self) -> Result<Self, Box<dyn Error>> {
        let decision = self.answer(&self.destination());
        if decision.reason != Reason::Weight || decision.key != Some("cookie:user") {
            return Err(format!("not decided by the cookie: {}", decision.summary()).into());
        }
        Ok(self)
    }

    /// Where the request goes.
    #[must_use]
    pub fn destination(&self) -> Destination<'_> {
        Destination::new(&self.host, Some(9080))
    }

    /// The engine's answer.
    #[must_use]
    pub fn answer(&self, destination: &Destination<'_>) -> Decision<'_> {
        self.split.decide(destination, &self.request)
    }
}

fn rule(number: usize) -> Rule {
    let exact = Some(format!("team-{number}"));
    Rule {
        name: format!("team-{number}"),
        when: vec![Condition::Header(NamedMatch { name: "x-team".to_owned(), exact, ..NamedMatch::default() })],
        version: Some("v2".to_owned()),
        buckets: None,
        sticky: None,
    }
}

/// The rollout in our form: one release, sticky by the header `x-user-id`, by the algorithm of the peer.
///
/// # Errors
/// When the engine does not take the document: then the bench is wrong.
pub fn rollout() -> Result<Split, DocumentError> {
    let mut release = release(0);
    release.buckets = vec![("v2".to_owned(), ROLLOUT * 1_000)];
    release.sticky = Some(Sticky {
        by: vec![KeySource::Header("x-user-id".to_owned())],
        salt: Some(GROUP.to_owned()),
        algorithm: Algorithm::Unleash,
        ..Sticky::default()
    });
    Ok(Split::compile(&SplitDocument::new(vec![release]))?)
}

/// Where requests to the rollout go.
pub const ROLLOUT_HOST: &str = "service-00000.shop.svc.cluster.local:9080";

/// A request that holds no more than who asks.
#[must_use]
pub fn bare(user: &str) -> Request {
    Request::new().header("x-user-id", user)
}

/// The same behind the headers of a browser.
#[must_use]
pub fn full(user: &str) -> Request {
    visit(ROLLOUT_HOST).header("x-user-id", user)
}

/// Whether the rollout gives the canary.
#[must_use]
pub fn in_canary(split: &Split, destination: &Destination<'_>, request: &Request) -> bool {
    split.decide(destination, request).version == Some("v2")
}

/// The ids of so many users.
#[must_use]
pub fn users(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("user-{number}")).collect()
}

/// Where criterion leaves what it measured: `criterion/` in the folder that cargo built the running bench in.
///
/// # Errors
/// When the system does not say which program runs.
pub fn criterion_directory() -> io::Result<PathBuf> {
    // TARGET/release/deps/NAME
    Ok(std::env::current_exe()?.ancestors().nth(3).unwrap_or(Path::new("target")).join("criterion"))
}
