//! The parts of a document, read from JSON.
//!
//! The same shapes as their serde attributes say, for which `tests/` compares the two over random documents.

use crate::bucket::Algorithm;
use crate::condition::{AddressMatch, Alternative, Condition, NamedMatch, OsMatch, PathMatch, Source, TextMatch};
use crate::document::{ReleaseSplit, Rule};
use crate::json::{Fields, FromJson, Json};
use crate::os::Os;
use crate::sticky::{IssueCookie, JwtClaim, KeySource, Otherwise, SameSite, SourcePrefix, Sticky};

impl FromJson for ReleaseSplit {
    fn from_json(json: &Json<'_>) -> Self {
        let fields = Fields::of(json, &["release", "hosts", "ports", "stable", "buckets", "sticky", "rules", "takeover"]);
        Self {
            release: fields.need("release"),
            hosts: fields.need("hosts"),
            ports: fields.or("ports", Vec::new()),
            stable: fields.need("stable"),
            buckets: fields.or("buckets", Vec::new()),
            sticky: fields.optional("sticky"),
            rules: fields.or("rules", Vec::new()),
            takeover: fields.optional("takeover"),
        }
    }
}

impl FromJson for Rule {
    fn from_json(json: &Json<'_>) -> Self {
        let fields = Fields::of(json, &["name", "when", "version", "buckets", "sticky"]);
        Self {
            name: fields.need("name"),
            when: fields.need("when"),
            version: fields.optional("version"),
            buckets: fields.optional("buckets"),
            sticky: fields.optional("sticky"),
        }
    }
}

macro_rules! source {
    ($type:ident { $($name:literal => $variant:ident),* }) => {
        impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Self {
                let known = ["header", "cookie", "query", "path", "method", "authority", "os", "sourceAddress", $($name),*];
                let (at, value) = json.variant("condition", &known);
                match known.get(at).copied().unwrap_or_default() {
                    "header" => Self::Header(FromJson::from_json(&value)),
                    "cookie" => Self::Cookie(FromJson::from_json(&value)),
                    "query" => Self::Query(FromJson::from_json(&value)),
                    "path" => Self::Path(FromJson::from_json(&value)),
                    "method" => Self::Method(FromJson::from_json(&value)),
                    "authority" => Self::Authority(FromJson::from_json(&value)),
                    "os" => Self::Os(FromJson::from_json(&value)),
                    "sourceAddress" => Self::SourceAddress(FromJson::from_json(&value)),
                    $($name => Self::$variant(FromJson::from_json(&value)),)*
                    _ => Self::Method(TextMatch::default()),
                }
            }
        }
    };
}

source!(Condition { "not" => Not, "anyOf" => AnyOf });
source!(Alternative { "not" => Not });
source!(Source {});

macro_rules! operators {
    ($type:ident { $($name:literal => $field:ident: $read:ident),* }) => {
        impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Self {
                let names =
                    [$($name,)* "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"];
                let fields = Fields::of(json, &names);
                Self {
                    $($field: fields.$read($name),)*
                    exact: fields.optional("exact"),
                    prefix: fields.optional("prefix"),
                    suffix: fields.optional("suffix"),
                    contains: fields.optional("contains"),
                    regex: fields.optional("regex"),
                    one_of: fields.optional("in"),
                    present: fields.optional("present"),
                    ignore_case: fields.or("ignoreCase", false),
                }
            }
        }
    };
}

operators!(NamedMatch { "name" => name: need });
operators!(TextMatch {});
operators!(PathMatch { "pathPrefix" => path_prefix: optional });

impl FromJson for OsMatch {
    fn from_json(json: &Json<'_>) -> Self {
        let fields = Fields::of(json, &["exact", "in", "present"]);
        Self { exact: fields.optional("exact"), one_of: fields.optional("in"), present: fields.optional("present") }
    }
}

macro_rules! words {
    ($type:ident { $first:literal => $default:ident $(, $word:literal => $variant:ident)* }) => {
        impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Self {
                let variants = [Self::$default $(, Self::$variant)*];
                variants.get(json.word(&[$first $(, $word)*])).copied().unwrap_or(Self::$default)
            }
        }
    };
}

words!(Os { "windows" => Windows, "macos" => Macos, "linux" => Linux, "android" => Android, "ios" => Ios });
words!(Algorithm { "serin" => Serin, "flagd" => Flagd, "unleash" => Unleash });
words!(SameSite { "Strict" => Strict, "Lax" => Lax, "None" => None, "strict" => Strict, "lax" => Lax, "none" => None });

impl FromJson for AddressMatch {
    fn from_json(json: &Json<'_>) -> Self {
        Self { one_of: Fields::of(json, &["in"]).need("in") }
    }
}

impl FromJson for Sticky {
    fn from_json(json: &Json<'_>) -> Self {
        let fields = Fields::of(json, &["by", "otherwise", "salt", "cohort", "algorithm"]);
        Self {
            by: fields.or("by", Vec::new()),
            otherwise: fields.or("otherwise", Otherwise::Stable),
            salt: fields.optional("salt"),
            cohort: fields.optional("cohort"),
            algorithm: fields.or("algorithm", Algorithm::Serin),
        }
    }
}

impl FromJson for KeySource {
    fn from_json(json: &Json<'_>) -> Self {
        let known = ["cookie", "header", "query", "jwtClaim", "baggage", "sourceAddress"];
        let (at, value) = json.variant("key source", &known);
        match known.get(at).copied().unwrap_or_default() {
            "cookie" => Self::Cookie(FromJson::from_json(&value)),
            "header" => Self::Header(FromJson::from_json(&value)),
            "query" => Self::Query(FromJson::from_json(&value)),
            "jwtClaim" => Self::JwtClaim(FromJson::from_json(&value)),
            "baggage" => Self::Baggage(FromJson::from_json(&value)),
            "sourceAddress" => Self::SourceAddress(FromJson::from_json(&value)),
            _ => Self::Cookie(String::new()),
        }
    }
}

impl FromJson for JwtClaim {
    fn from_json(json: &Json<'_>) -> Self {
        let fields = Fields::of(json, &["claim", "header"]);
        Self { claim: fields.need("claim"), header: fields.or("header", Self::default_header()) }
    }
}

impl FromJson for SourcePrefix {
    fn from_json(json: &Json<'_>) -> Self {
        let (fields, missing) = (Fields::of(json, &["ipv4Prefix", "ipv6Prefix"]), Self::default());
        Self {
            ipv4_prefix: fields.or("ipv4Prefix", missing.ipv4_prefix),
            ipv6_prefix: fields.or("ipv6Prefix", missing.ipv6_prefix),
        }
    }
}

impl FromJson for Otherwise {
    fn from_json(json: &Json<'_>) -> Self {
        if json.is_text() {
            return match json.word(&["stable", "random"]) {
                1 => Self::Random,
                _ => Self::Stable,
            };
        }
        let (_, value) = json.variant("fallback", &["issueCookie"]);
        Self::IssueCookie(FromJson::from_json(&value))
    }
}

impl FromJson for IssueCookie {
    fn from_json(json: &Json<'_>) -> Self {
        let fields = Fields::of(json, &["name", "maxAge", "path", "domain", "sameSite", "secure", "httpOnly"]);
        Self {
            name: fields.need("name"),
            max_age: fields.optional("maxAge"),
            path: fields.optional("path"),
            domain: fields.optional("domain"),
            same_site: fields.optional("sameSite"),
            secure: fields.or("secure", false),
            http_only: fields.or("httpOnly", false),
        }
    }
}
