//! Words of explanations that several of them use.

use crate::buckets::weight::Weight;

/// So many items of a list are shown.
const SHOWN: usize = 5;

/// A source by its label, such as `header:x-team`, in words: ``header `x-team` ``.
pub(crate) fn subject(label: &str) -> String {
    let (kind, name) = label.split_once(':').unwrap_or((label, ""));
    match kind {
        "query" => format!("query parameter `{name}`"),
        "jwtClaim" => format!("readable claim `{name}`"),
        "baggage" => format!("baggage entry `{name}`"),
        "os" => "operating system".to_owned(),
        "sourceAddress" => "client address".to_owned(),
        kind if name.is_empty() => kind.to_owned(),
        kind => format!("{kind} `{name}`"),
    }
}

/// The same where a sentence begins with it; what has no name needs an article.
pub(crate) fn the_subject(label: &str) -> String {
    if label.contains(':') { subject(label) } else { format!("the {}", subject(label)) }
}

/// Texts in backticks, joined by commas and `or`; of many only some.
pub(crate) fn any_of(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().take(SHOWN).map(|text| format!("`{text}`")).collect();
    match (quoted.split_last(), texts.len().saturating_sub(SHOWN)) {
        (None, _) => "nothing".to_owned(),
        (Some((only, [])), 0) => only.clone(),
        (Some((last, others)), 0) => format!("{} or {last}", others.join(", ")),
        (Some(_), more) => format!("{} or {more} more", quoted.join(", ")),
    }
}

/// Sources by their labels, none of which has anything: ``no cookie `user` and no header `x-user-id` ``.
pub(crate) fn none_of(labels: &[String]) -> String {
    joined(labels.iter().map(|label| format!("no {}", subject(label))).collect())
}

/// Who gets which part of the visits: `v2 for 5% and v3 for 20% of visits`.
pub(crate) fn shares(shares: &[(String, Weight)]) -> String {
    match shares {
        [] => "stable for all visits".to_owned(),
        _ => joined(shares.iter().map(|(version, weight)| format!("{version} for {weight}")).collect()) + " of visits",
    }
}

fn joined(texts: Vec<String>) -> String {
    match texts.split_last() {
        Some((last, others @ [_, ..])) => format!("{} and {last}", others.join(", ")),
        _ => texts.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_read_as_sentences() {
        let of = |count: usize| any_of(&(1..=count).map(|number| number.to_string()).collect::<Vec<_>>());
        assert_eq!(of(0), "nothing");
        assert_eq!(of(1), "`1`");
        assert_eq!(of(3), "`1`, `2` or `3`");
        assert_eq!(of(5), "`1`, `2`, `3`, `4` or `5`");
        assert_eq!(of(50), "`1`, `2`, `3`, `4`, `5` or 45 more");
        let of = |all: &[(&str, u32)]| {
            let weight = |buckets| Weight::from_buckets(buckets).unwrap();
            shares(&all.iter().map(|&(version, buckets)| (version.to_owned(), weight(buckets))).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), "stable for all visits");
        assert_eq!(of(&[("v2", 5_000)]), "v2 for 5% of visits");
        assert_eq!(of(&[("v2", 5_000), ("v3", 1), ("v4", 2_000)]), "v2 for 5%, v3 for 0.001% and v4 for 2% of visits");
    }
}
