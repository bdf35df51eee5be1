//! Decisions since the last flush, kept in the VM so that a request pays no host call for them.

use serin_config::{Decision, Reason};

/// Numbers of decisions by release, version and reason: all of them names of the document, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Counts(Vec<Count>);

#[derive(Debug)]
struct Count {
    /// Where release and version stand in the document's memory, and the reason; in order.
    of: (usize, usize, Reason),
    metric: String,
    number: u64,
}

impl Counts {
    /// Counts a decision for a release. All decisions are those of one document, until [`Counts::clear`].
    pub(crate) fn add(&mut self, decision: &Decision<'_>) {
        let (Some(release), Some(version)) = (decision.release, decision.version) else {
            return;
        };
        // Comparing where the names stand is cheaper than comparing names.
        let of = (release.as_ptr().addr(), version.as_ptr().addr(), decision.reason);
        match self.0.binary_search_by_key(&of, |count| count.of) {
            Ok(at) => self.0.iter_mut().skip(at).take(1).for_each(|count| count.number += 1),
            Err(at) => self.add_first(at, of, decisions_metric(release, version, decision.reason)),
        }
    }

    #[inline(never)]
    fn add_first(&mut self, at: usize, of: (usize, usize, Reason), metric: String) {
        self.0.insert(at, Count { of, metric, number: 1 });
    }

    /// Hands out all counts above zero, each with the name of its metric, and starts from zero.
    pub(crate) fn take(&mut self, mut each: impl FnMut(&str, u64)) {
        for count in self.0.iter_mut().filter(|count| count.number > 0) {
            each(&count.metric, std::mem::take(&mut count.number));
        }
    }

    /// Forgets the names too, for a document that has others.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

/// The metric of decisions; `tag=.=value;.;` becomes a label where the proxy's bootstrap knows the tag.
#[inline(never)]
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
    use std::collections::BTreeMap;

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
        let taken = |counts: &mut Counts| {
            let mut taken = BTreeMap::new();
            counts.take(|metric, number| assert_eq!(taken.insert(metric.to_owned(), number), None));
            taken
        };
        assert_eq!(taken(&mut counts), BTreeMap::from([(name("v1", "no-key"), 1), (name("v2", "weight"), 2)]));
        assert_eq!(taken(&mut counts), BTreeMap::new());
        counts.add(&split.decide(&Destination::parse("b"), &Request::get("/")));
        counts.clear();
        assert_eq!(taken(&mut counts), BTreeMap::new());
        assert_eq!(documents_metric(false), "serin.result=.=rejected;.;documents_total");
    }
}
