//! The parts of a document, read from JSON.
//!
//! The same shapes as their serde attributes say, for which `tests/` compares the two over random documents.

use crate::bucket::Algorithm;
use crate::condition::{AddressMatch, Alternative, Condition, NamedMatch, OsMatch, PathMatch, Source, TextMatch};
use crate::document::{ReleaseSplit, Rule};
use crate::json::{FromJson, Json, Place};
use crate::os::Os;
use crate::sticky::{IssueCookie, JwtClaim, KeySource, Otherwise, SameSite, SourcePrefix, Sticky};

impl FromJson for ReleaseSplit {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let fields = json.fields(&["release", "hosts", "ports", "stable", "buckets", "sticky", "rules", "takeover"], at);
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
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let fields = json.fields(&["name", "when", "version", "buckets", "sticky"], at);
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
            fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
                let (name, value) = json.variant(at);
                let place = at.name(name);
                match name {
                    "header" => Self::Header(FromJson::from_json(value, &place)),
                    "cookie" => Self::Cookie(FromJson::from_json(value, &place)),
                    "query" => Self::Query(FromJson::from_json(value, &place)),
                    "path" => Self::Path(FromJson::from_json(value, &place)),
                    "method" => Self::Method(FromJson::from_json(value, &place)),
                    "authority" => Self::Authority(FromJson::from_json(value, &place)),
                    "os" => Self::Os(FromJson::from_json(value, &place)),
                    "sourceAddress" => Self::SourceAddress(FromJson::from_json(value, &place)),
                    $($name => Self::$variant(FromJson::from_json(value, &place)),)*
                    other => {
                        let known = ["header", "cookie", "query", "path", "method", "authority", "os", "sourceAddress",
                            $($name),*];
                        place.unknown("condition", other, &known);
                        Self::Method(TextMatch::default())
                    }
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
            fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
                let names =
                    [$($name,)* "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"];
                let fields = json.fields(&names, at);
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
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let fields = json.fields(&["exact", "in", "present"], at);
        Self { exact: fields.optional("exact"), one_of: fields.optional("in"), present: fields.optional("present") }
    }
}

macro_rules! words {
    ($type:ident { $first:literal => $default:ident $(, $word:literal => $variant:ident)* }) => {
        impl FromJson for $type {
            fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
                let variants = [Self::$default $(, Self::$variant)*];
                variants.get(json.word(&[$first $(, $word)*], at)).copied().unwrap_or(Self::$default)
            }
        }
    };
}

words!(Os { "windows" => Windows, "macos" => Macos, "linux" => Linux, "android" => Android, "ios" => Ios });
words!(Algorithm { "serin" => Serin, "flagd" => Flagd, "unleash" => Unleash });
words!(SameSite { "Strict" => Strict, "Lax" => Lax, "None" => None, "strict" => Strict, "lax" => Lax, "none" => None });

impl FromJson for AddressMatch {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        Self { one_of: json.fields(&["in"], at).need("in") }
    }
}

impl FromJson for Sticky {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let fields = json.fields(&["by", "otherwise", "salt", "cohort", "algorithm"], at);
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
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let (name, value) = json.variant(at);
        let place = at.name(name);
        match name {
            "cookie" => Self::Cookie(FromJson::from_json(value, &place)),
            "header" => Self::Header(FromJson::from_json(value, &place)),
            "query" => Self::Query(FromJson::from_json(value, &place)),
            "jwtClaim" => Self::JwtClaim(FromJson::from_json(value, &place)),
            "baggage" => Self::Baggage(FromJson::from_json(value, &place)),
            "sourceAddress" => Self::SourceAddress(FromJson::from_json(value, &place)),
            other => {
                let known = ["cookie", "header", "query", "jwtClaim", "baggage", "sourceAddress"];
                place.unknown("key source", other, &known);
                Self::Cookie(String::new())
            }
        }
    }
}

impl FromJson for JwtClaim {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let fields = json.fields(&["claim", "header"], at);
        Self { claim: fields.need("claim"), header: fields.or("header", Self::default_header()) }
    }
}

impl FromJson for SourcePrefix {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let (fields, missing) = (json.fields(&["ipv4Prefix", "ipv6Prefix"], at), Self::default());
        Self {
            ipv4_prefix: fields.or("ipv4Prefix", missing.ipv4_prefix),
            ipv6_prefix: fields.or("ipv6Prefix", missing.ipv6_prefix),
        }
    }
}

impl FromJson for Otherwise {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        if let Json::Text(_) = json {
            return match json.word(&["stable", "random"], at) {
                1 => Self::Random,
                _ => Self::Stable,
            };
        }
        let (name, value) = json.variant(at);
        let place = at.name(name);
        if name != "issueCookie" {
            place.unknown("fallback", name, &["stable", "random", "issueCookie"]);
            return Self::Stable;
        }
        Self::IssueCookie(FromJson::from_json(value, &place))
    }
}

impl FromJson for IssueCookie {
    fn from_json(json: &Json<'_>, at: &Place<'_>) -> Self {
        let fields = json.fields(&["name", "maxAge", "path", "domain", "sameSite", "secure", "httpOnly"], at);
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
