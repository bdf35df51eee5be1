//! Versions that have a Service each, by the names of these Services.

use super::objects::{Object, version_of_service};

/// Words that end the name of a version's Service.
const ENDINGS: [&str; 14] = [
    "stable", "canary", "primary", "baseline", "preview", "active", "blue", "green", "new", "old", "next", "current",
    "prod", "beta",
];

/// The name of a Service without the ending that says the version, and that ending.
pub(super) fn stem(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('-') {
        Some((stem, ending)) if !stem.is_empty() && is_ending(ending) => (stem, Some(ending)),
        _ => (name, None),
    }
}

fn is_ending(ending: &str) -> bool {
    let number = ending.strip_prefix('v').unwrap_or(ending);
    let is_number =
        number.starts_with(|c: char| c.is_ascii_digit()) && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    is_number || ENDINGS.contains(&ending)
}

/// The version behind a Service: by the label that it selects where the documents have it, else by the ending of its name.
pub(super) fn version(objects: &[Object<'_>], namespace: &str, name: &str) -> String {
    let labelled = version_of_service(objects, namespace, name);
    labelled.unwrap_or_else(|| stem(name).1.unwrap_or("stable").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_a_version_or_a_word_for_one() {
        for (name, expected) in [
            ("cart-v1", ("cart", Some("v1"))),
            ("cart-2", ("cart", Some("2"))),
            ("shop-cart-canary", ("shop-cart", Some("canary"))),
            ("shop-cart", ("shop-cart", None)),
            ("cart", ("cart", None)),
            ("-v1", ("-v1", None)),
            ("cart-v", ("cart-v", None)),
        ] {
            assert_eq!(stem(name), expected, "{name}");
        }
    }
}
