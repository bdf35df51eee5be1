//! Decisions since the last flush, kept in the VM so that a request pays no host call for them.

use std::collections::BTreeMap;

use serin_config::{Decision, Reason};

/// Numbers of decisions by release, version and reason: all of them names of the document, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Counts(BTreeMap<String, BTreeMap<String, BTreeMap<Reason, u64>>>);

impl Counts {
    /// Counts a decision for a release.
    pub(crate) fn add(&mut self, decision: &Decision<'_>) {
        let (Some(release), Some(version)) = (decision.release, decision.version) else {
            return;
        };
        if let Some(count) =
            self.0.get_mut(release).and_then(|of| of.get_mut(version)).and_then(|of| of.get_mut(&decision.reason))
        {
            *count += 1;
            return;
        }
        let versions = self.0.entry(release.to_owned()).or_default();
        versions.entry(version.to_owned()).or_default().insert(decision.reason, 1);
    }

    /// Takes all counts above zero, each with the name of its metric, and starts from zero.
    pub(crate) fn take(&mut self) -> Vec<(String, u64)> {
        let mut taken = Vec::new();
        for (release, versions) in &mut self.0 {
            for (version, reasons) in versions {
                for (reason, count) in reasons.iter_mut().filter(|(_, count)| **count > 0) {
                    taken.push((decisions_metric(release, version, *reason), std::mem::take(count)));
                }
            }
        }
        taken
    }

    /// Forgets the names too, for a document that has others.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The metric of decisions; `tag=.=value;.;` becomes a label where the proxy's bootstrap knows the tag.
fn decisions_metric(release: &str, version: &str, reason: Reason) -> String {
    format!("serin.release=.={release};.;version=.={version};.;reason=.={};.;decisions_total", reason.as_str())
}

/// The metric of documents by what became of them.
#[must_use]
pub(crate) fn documents_metric(accepted: bool) -> String {
    format!("serin.result=.={};.;documents_total", if accepted { "accepted" } else { "rejected" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serin_config::{Destination, Request, Split};

    #[test]
    fn decisions_are_counted_until_they_are_taken() {
        let text = br#"{"version":1,"splits":[{"release":"a/b","hosts":["b"],"stable":"v1","buckets":[["v2",100000]],
            "sticky":{"by":[{"cookie":"u"}]}}]}"#;
        let split = Split::parse(text).unwrap();
        let mut counts = Counts::default();
        for request in
            [Request::get("/").header("cookie", "u=1"), Request::get("/"), Request::get("/").header("cookie", "u=2")]
        {
            counts.add(&split.decide(&Destination::parse("b"), &request));
        }
        counts.add(&split.decide(&Destination::parse("nobody"), &Request::get("/")));
        let name =
            |version, reason| format!("serin.release=.=a/b;.;version=.={version};.;reason=.={reason};.;decisions_total");
        assert_eq!(counts.take(), [(name("v1", "no-key"), 1), (name("v2", "weight"), 2)]);
        assert_eq!(counts.take(), []);
        counts.add(&split.decide(&Destination::parse("b"), &Request::get("/")));
        counts.clear();
        assert_eq!(counts.take(), []);
        assert_eq!(documents_metric(false), "serin.result=.=rejected;.;documents_total");
    }
}
