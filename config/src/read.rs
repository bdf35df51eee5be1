//! The parts of a document, read from JSON.
//!
//! The same shapes as their serde attributes say, for which `tests/` compares the two over random documents.

use crate::bucket::Algorithm;
use crate::condition::{AddressMatch, Alternative, Condition, NamedMatch, OsMatch, PathMatch, Source, TextMatch};
use crate::document::{ReleaseSplit, Rule};
use crate::error::CompileError;
use crate::json::{FromJson, Json, unknown};
use crate::os::Os;
use crate::sticky::{IssueCookie, JwtClaim, KeySource, Otherwise, SameSite, SourcePrefix, Sticky};

impl FromJson for ReleaseSplit {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["release", "hosts", "ports", "stable", "buckets", "sticky", "rules", "takeover"])?;
        Ok(Self {
            release: fields.need("release")?,
            hosts: fields.need("hosts")?,
            ports: fields.or("ports", Vec::new())?,
            stable: fields.need("stable")?,
            buckets: fields.or("buckets", Vec::new())?,
            sticky: fields.optional("sticky")?,
            rules: fields.or("rules", Vec::new())?,
            takeover: fields.optional("takeover")?,
        })
    }
}

impl FromJson for Rule {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["name", "when", "version", "buckets", "sticky"])?;
        Ok(Self {
            name: fields.need("name")?,
            when: fields.need("when")?,
            version: fields.optional("version")?,
            buckets: fields.optional("buckets")?,
            sticky: fields.optional("sticky")?,
        })
    }
}

macro_rules! source {
    ($type:ident { $($name:literal => $variant:ident),* }) => {
        impl FromJson for $type {
            fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
                let (name, value) = json.variant()?;
                match name {
                    "header" => FromJson::from_json(value).map(Self::Header),
                    "cookie" => FromJson::from_json(value).map(Self::Cookie),
                    "query" => FromJson::from_json(value).map(Self::Query),
                    "path" => FromJson::from_json(value).map(Self::Path),
                    "method" => FromJson::from_json(value).map(Self::Method),
                    "authority" => FromJson::from_json(value).map(Self::Authority),
                    "os" => FromJson::from_json(value).map(Self::Os),
                    "sourceAddress" => FromJson::from_json(value).map(Self::SourceAddress),
                    $($name => FromJson::from_json(value).map(Self::$variant),)*
                    other => {
                        let own = ["header", "cookie", "query", "path", "method", "authority", "os", "sourceAddress"];
                        Err(unknown("condition", other, own.into_iter().chain([$($name),*])))
                    }
                }
                .map_err(|error| error.within(name))
            }
        }
    };
}

source!(Condition { "not" => Not, "anyOf" => AnyOf });
source!(Alternative { "not" => Not });
source!(Source {});

impl FromJson for NamedMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields =
            json.fields(&["name", "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"])?;
        Ok(Self {
            name: fields.need("name")?,
            exact: fields.optional("exact")?,
            prefix: fields.optional("prefix")?,
            suffix: fields.optional("suffix")?,
            contains: fields.optional("contains")?,
            regex: fields.optional("regex")?,
            one_of: fields.optional("in")?,
            present: fields.optional("present")?,
            ignore_case: fields.or("ignoreCase", false)?,
        })
    }
}

impl FromJson for TextMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"])?;
        Ok(Self {
            exact: fields.optional("exact")?,
            prefix: fields.optional("prefix")?,
            suffix: fields.optional("suffix")?,
            contains: fields.optional("contains")?,
            regex: fields.optional("regex")?,
            one_of: fields.optional("in")?,
            present: fields.optional("present")?,
            ignore_case: fields.or("ignoreCase", false)?,
        })
    }
}

impl FromJson for PathMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields =
            json.fields(&["pathPrefix", "exact", "prefix", "suffix", "contains", "regex", "in", "present", "ignoreCase"])?;
        Ok(Self {
            path_prefix: fields.optional("pathPrefix")?,
            exact: fields.optional("exact")?,
            prefix: fields.optional("prefix")?,
            suffix: fields.optional("suffix")?,
            contains: fields.optional("contains")?,
            regex: fields.optional("regex")?,
            one_of: fields.optional("in")?,
            present: fields.optional("present")?,
            ignore_case: fields.or("ignoreCase", false)?,
        })
    }
}

impl FromJson for OsMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["exact", "in", "present"])?;
        Ok(Self { exact: fields.optional("exact")?, one_of: fields.optional("in")?, present: fields.optional("present")? })
    }
}

impl FromJson for Os {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        json.word(&[
            ("windows", Self::Windows),
            ("macos", Self::Macos),
            ("linux", Self::Linux),
            ("android", Self::Android),
            ("ios", Self::Ios),
        ])
    }
}

impl FromJson for AddressMatch {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        Ok(Self { one_of: json.fields(&["in"])?.need("in")? })
    }
}

impl FromJson for Sticky {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["by", "otherwise", "salt", "cohort", "algorithm"])?;
        Ok(Self {
            by: fields.or("by", Vec::new())?,
            otherwise: fields.or("otherwise", Otherwise::Stable)?,
            salt: fields.optional("salt")?,
            cohort: fields.optional("cohort")?,
            algorithm: fields.or("algorithm", Algorithm::Serin)?,
        })
    }
}

impl FromJson for Algorithm {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        json.word(&[("serin", Self::Serin), ("flagd", Self::Flagd), ("unleash", Self::Unleash)])
    }
}

impl FromJson for KeySource {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let (name, value) = json.variant()?;
        match name {
            "cookie" => FromJson::from_json(value).map(Self::Cookie),
            "header" => FromJson::from_json(value).map(Self::Header),
            "query" => FromJson::from_json(value).map(Self::Query),
            "jwtClaim" => FromJson::from_json(value).map(Self::JwtClaim),
            "baggage" => FromJson::from_json(value).map(Self::Baggage),
            "sourceAddress" => FromJson::from_json(value).map(Self::SourceAddress),
            other => {
                let known = ["cookie", "header", "query", "jwtClaim", "baggage", "sourceAddress"];
                Err(unknown("key source", other, known.into_iter()))
            }
        }
        .map_err(|error| error.within(name))
    }
}

impl FromJson for JwtClaim {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["claim", "header"])?;
        Ok(Self { claim: fields.need("claim")?, header: fields.or("header", JwtClaim::default_header())? })
    }
}

impl FromJson for SourcePrefix {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let (fields, missing) = (json.fields(&["ipv4Prefix", "ipv6Prefix"])?, Self::default());
        Ok(Self {
            ipv4_prefix: fields.or("ipv4Prefix", missing.ipv4_prefix)?,
            ipv6_prefix: fields.or("ipv6Prefix", missing.ipv6_prefix)?,
        })
    }
}

impl FromJson for Otherwise {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        match json {
            Json::Text(_) => {
                let issue = |word: bool| if word { Self::Random } else { Self::Stable };
                json.word(&[("stable", false), ("random", true)]).map(issue)
            }
            other => match other.variant()? {
                ("issueCookie", value) => {
                    FromJson::from_json(value).map(Self::IssueCookie).map_err(|error| error.within("issueCookie"))
                }
                (name, _) => Err(unknown("fallback", name, ["stable", "random", "issueCookie"].into_iter())),
            },
        }
    }
}

impl FromJson for IssueCookie {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        let fields = json.fields(&["name", "maxAge", "path", "domain", "sameSite", "secure", "httpOnly"])?;
        Ok(Self {
            name: fields.need("name")?,
            max_age: fields.optional("maxAge")?,
            path: fields.optional("path")?,
            domain: fields.optional("domain")?,
            same_site: fields.optional("sameSite")?,
            secure: fields.or("secure", false)?,
            http_only: fields.or("httpOnly", false)?,
        })
    }
}

impl FromJson for SameSite {
    fn from_json(json: &Json<'_>) -> Result<Self, CompileError> {
        json.word(&[
            ("Strict", Self::Strict),
            ("Lax", Self::Lax),
            ("None", Self::None),
            ("strict", Self::Strict),
            ("lax", Self::Lax),
            ("none", Self::None),
        ])
    }
}
