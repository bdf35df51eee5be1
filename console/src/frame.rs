//! What stands around each page, and who may do what on it.

use serde::Serialize;

/// What stands around a page.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    /// What comes before each path: empty, or such as `/serin`.
    pub base: String,
    /// Where releases live, for people: `serin standalone -f serin.yaml`.
    pub home: String,
    /// Who is signed in; empty where nobody has to.
    pub user: String,
    /// What concerns all pages.
    pub notices: Vec<String>,
    /// Which pages this home has.
    pub has: Has,
}

/// Pages that not every home has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Has {
    /// The last requests.
    pub requests: bool,
    /// Traces.
    pub traces: bool,
}

/// Why something cannot be done; `None` where it can.
pub type Hindrance = Option<String>;

/// What may be done about a release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct May {
    /// To say a word: roll back, take over, weights, pause, resume, approve.
    pub speak: Hindrance,
    /// To change what its owner wrote.
    pub edit: Hindrance,
    /// To make another release.
    pub create: Hindrance,
    /// To take it away.
    pub delete: Hindrance,
}

impl May {
    /// Nothing, for one reason.
    #[must_use]
    pub fn nothing(why: &str) -> Self {
        let why = Some(why.to_owned());
        Self { speak: why.clone(), edit: why.clone(), create: why.clone(), delete: why }
    }
}

/// A file that pages load.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its name, with a part that changes with its content.
    pub name: &'static str,
    /// Its content type.
    pub kind: &'static str,
    /// Its bytes.
    pub bytes: &'static [u8],
}

/// All files that pages load. Names of those that others made have their versions; the style has the digest of its text.
pub const ASSETS: [Asset; 3] = [
    Asset { name: STYLE, kind: "text/css; charset=utf-8", bytes: include_bytes!("../assets/console.css") },
    Asset {
        name: "htmx-4.0.1.min.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/htmx-4.0.1.min.js"),
    },
    Asset {
        name: "hx-sse-4.0.1.min.js",
        kind: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/hx-sse-4.0.1.min.js"),
    },
];

/// The name of the style.
pub const STYLE: &str = concat!("console-", env!("CONSOLE_CSS"), ".css");
