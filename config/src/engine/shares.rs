//! Who holds which buckets.

use std::sync::Arc;

use crate::buckets::algorithm::BUCKETS;
use crate::engine::keying::Keying;
use crate::error::Cause;
use crate::json::value::Json;
use crate::name::check_version_name;

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Version(String),
    Shares(Shares),
}

/// Who holds which buckets, and how a request finds its own.
#[derive(Clone, Debug)]
pub(crate) struct Shares {
    /// Where each run ends, and whose it is; behind the last one lies stable.
    pub(crate) ends: Vec<(u32, String)>,
    pub(crate) keying: Arc<Keying>,
}

impl Shares {
    pub(crate) fn compile(runs: &Json<'_>, keying: Arc<Keying>) -> Self {
        let step = u64::from(keying.algorithm.granularity());
        let (mut end, mut ends) = (0_u64, Vec::new());
        runs.items().each(&mut |run| {
            let [version, buckets] = &run.pair("a list of version and buckets");
            let (version, buckets) = (version.text().into_owned(), buckets.number(u64::from(u32::MAX)));
            if let Err(cause) = check_version_name(&version) {
                run.fault(cause);
            }
            if buckets == 0 {
                run.fault(Cause::EmptyRun);
            }
            if buckets % step != 0 {
                run.fault(Cause::Granularity(u32::try_from(buckets).unwrap_or_default()));
            }
            end += buckets;
            ends.push((u32::try_from(end).unwrap_or(u32::MAX), version));
        });
        ends.shrink_to_fit();
        if end > u64::from(BUCKETS) {
            runs.fault(Cause::TooManyBuckets(end));
        }
        Self { ends, keying }
    }

    /// The version that holds a bucket; `None` for stable.
    pub(crate) fn holder(&self, bucket: u32) -> Option<&str> {
        let position = self.keying.algorithm.position(bucket);
        let at = self.ends.partition_point(|(end, _)| *end <= position);
        self.ends.get(at).map(|(_, version)| version.as_str())
    }
}
