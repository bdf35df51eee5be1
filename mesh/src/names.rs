//! Labels of objects, and how hosts and versions are written in them.

use serde_json::{Map, Value};

use crate::Content;
use crate::digest::short_digest;

/// The label of all objects that Serin writes.
pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub const MANAGER: &str = "serin";
/// The label that names the release of an object, within the object's namespace.
pub const RELEASE_LABEL: &str = "serin.dev/release";
/// The label of a pod, a Deployment or a WorkloadEntry that names its version.
pub const VERSION_LABEL: &str = "version";

/// The value of [`RELEASE_LABEL`] on objects that are for all releases; a release may have this name, in another kind.
pub const ALL: &str = "all";

/// Whether somebody else wrote an object.
#[must_use]
pub fn is_foreign(object: &Content) -> bool {
    release_of(object).is_none()
}

/// The name of the release that an object was written for.
#[must_use]
pub fn release_of(object: &Content) -> Option<&str> {
    object.label(MANAGED_BY).filter(|manager| *manager == MANAGER)?;
    object.label(RELEASE_LABEL)
}

/// Whether a host, or a wildcard such as `*.example.com`, covers a host.
#[must_use]
pub fn matches_host(pattern: &str, host: &str) -> bool {
    match pattern.strip_prefix('*') {
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => pattern.eq_ignore_ascii_case(host),
    }
}

/// A version as a DNS label; of a version that is none, a digest keeps it apart from others.
#[must_use]
pub fn dns_label(version: &str) -> String {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if version.chars().all(fits) {
        return version.to_owned();
    }
    let readable: String = version.to_ascii_lowercase().chars().map(|c| if fits(c) { c } else { '-' }).take(54).collect();
    format!("{readable}-{}", short_digest(version.as_bytes(), 8))
}

/// The annotation of a document's carrier that names the namespace of the controller which writes it.
pub const CONTROLLER: &str = "serin.dev/controller";

/// What stands behind versions of a release in the routing header: nobody outside of the cluster knows the uid, which is random. 40 bits:
/// who tries 10 000 requests a second needs a year and more, and a document holds one for each release.
#[must_use]
pub fn routing_key(uid: &str) -> Option<String> {
    (!uid.is_empty()).then(|| short_digest(format!("routing key of {uid}").as_bytes(), 10))
}

/// The value of the routing header for a version.
#[must_use]
pub fn routing_value(version: &str, key: Option<&str>) -> String {
    key.map_or_else(|| version.to_owned(), |key| format!("{version}.{key}"))
}

/// The name of the clone of stable's Deployment for a canary.
#[must_use]
pub fn clone_name(stable: &Content, stable_version: &str, version: &str) -> String {
    let name = stable.metadata.name.as_str();
    let base = name.strip_suffix(&format!("-{stable_version}")).unwrap_or(name);
    let suffix = dns_label(version);
    // A Deployment's name is a DNS label once its pods are named after it.
    let base: String = base.chars().take(62_usize.saturating_sub(suffix.len())).collect();
    format!("{base}-{suffix}")
}

/// Whether a label says by which tool, chart or version an object was made: it would be untrue of a clone, and such a tool could
/// delete what it takes for its own.
fn is_of_a_tool(label: &str) -> bool {
    const KEYS: [&str; 8] = [
        MANAGED_BY,
        RELEASE_LABEL,
        VERSION_LABEL,
        "app.kubernetes.io/instance",
        "app.kubernetes.io/version",
        "chart",
        "helm.sh/chart",
        "heritage",
    ];
    const DOMAINS: [&str; 4] =
        ["argocd.argoproj.io/", "kustomize.toolkit.fluxcd.io/", "helm.toolkit.fluxcd.io/", "objectset.rio.cattle.io/"];
    KEYS.contains(&label) || DOMAINS.iter().any(|domain| label.starts_with(domain))
}

/// The labels of an object that are true of a clone of it too.
pub(crate) fn own_labels(object: &Content) -> Map<String, Value> {
    let own = object.metadata.labels.iter().filter(|(key, _)| !is_of_a_tool(key));
    own.map(|(key, value)| (key.clone(), value.as_str().into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_istio_reads_them() {
        let host = "reviews.shop.svc.cluster.local";
        for (pattern, covers) in [
            ("*", true),
            ("*.shop.svc.cluster.local", true),
            ("*.local", true),
            ("reviews.shop.svc.cluster.local", true),
            ("Reviews.shop.svc.cluster.local", true),
            ("*.reviews.shop.svc.cluster.local", false),
            ("views.shop.svc.cluster.local", false),
            ("reviews.shop", false),
        ] {
            assert_eq!(matches_host(pattern, host), covers, "{pattern}");
        }
    }

    #[test]
    fn versions_that_are_no_labels_stay_apart() {
        assert_eq!(dns_label("v1"), "v1");
        assert_eq!(dns_label("1.4.0"), "1-4-0-7d79d34c".replace("7d79d34c", &short_digest(b"1.4.0", 8)));
        assert_ne!(dns_label("1.4"), dns_label("1_4"));
    }
}
