//! Routes of Istio, as far as a release carries their settings.

/// Route settings that are carried over; the others would take the decision away from the filter.
pub(crate) const ROUTE_SETTINGS: [&str; 10] = [
    "timeout",
    "retries",
    "fault",
    "corsPolicy",
    "mirror",
    "mirrorPercent",
    "mirrorPercentage",
    "mirrors",
    "headers",
    "rewrite",
];
