//! Queries of other tools, with their own places filled in, and the conditions that make a value good.

use crate::lifecycle::analysis::{AnalysisSpec, MetricSpec, Number, OnFail};

/// An analysis of these metrics; none without any.
pub(super) fn analysis(metrics: Vec<MetricSpec>) -> Option<AnalysisSpec> {
    (!metrics.is_empty()).then_some(AnalysisSpec {
        source: None,
        false_alarms: None,
        baseline: None,
        design_effect: None,
        metrics,
        on_fail: OnFail::default(),
        undecided_for: None,
        watch_after: None,
    })
}

/// Adds a metric under a name of its own, unless it is there already.
pub(super) fn add(metrics: &mut Vec<MetricSpec>, metric: MetricSpec) {
    if metrics.contains(&metric) {
        return;
    }
    let name = metric.called();
    let is_taken = |name: &str| metrics.iter().any(|other| other.called() == name);
    let numbered = (2_usize..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.clone()).chain(numbered).find(|name| !is_taken(name)).unwrap_or_default();
    let name = if free == name { metric.name.clone() } else { Some(free) };
    metrics.push(MetricSpec { name, ..metric });
}

/// A text with its places such as `{{ target }}` filled in; the name of a place that is not known as error.
pub(super) fn filled(text: &str, known: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some((before, behind)) = rest.split_once("{{") {
        let (place, behind) = behind.split_once("}}").ok_or_else(|| "{{".to_owned())?;
        filled.push_str(before);
        filled.push_str(&known(place.trim()).ok_or_else(|| place.trim().to_owned())?);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled.trim().to_owned())
}

/// Between which values a result is good.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Bounds {
    pub(super) min: Option<Number>,
    pub(super) max: Option<Number>,
    /// Whether a bound was written that excludes itself.
    pub(super) is_strict: bool,
    /// Whether no data was good.
    pub(super) takes_none: bool,
}

/// Bounds of a condition such as `result[0] >= 0.95 && result[0] < 1`; `None` for any other.
pub(super) fn bounds(condition: &str) -> Option<Bounds> {
    let mut bounds = Bounds::default();
    let parts: Vec<&str> = condition.split("||").map(bare).filter(|part| !is_no_data(part)).collect();
    bounds.takes_none = parts.len() < condition.split("||").count();
    let [only] = parts.as_slice() else { return None };
    for part in only.split("&&").map(bare) {
        if part.starts_with("!isNaN(") || part == "len(result) > 0" {
            continue;
        }
        bounds.take(part)?;
    }
    (bounds.min.is_some() || bounds.max.is_some()).then_some(bounds)
}

/// Bounds of what is left when a condition such as `result[0] > 500` is not met.
pub(super) fn bounds_unless(failure: &str) -> Option<Bounds> {
    const OPPOSITES: [(&str, &str); 4] = [(">=", "<"), ("<=", ">"), (">", "<="), ("<", ">=")];
    let failure = bare(failure);
    let (operator, opposite) = OPPOSITES.iter().find(|(operator, _)| failure.contains(operator))?;
    bounds(&failure.replacen(operator, opposite, 1)).filter(|_| !failure.contains("&&") && !failure.contains("||"))
}

/// A part without the brackets around it.
fn bare(part: &str) -> &str {
    let part = part.trim();
    let inner = part.strip_prefix('(').and_then(|inner| inner.strip_suffix(')')).map(str::trim);
    inner.filter(|inner| !inner.contains(['(', ')'])).unwrap_or(part)
}

fn is_no_data(part: &str) -> bool {
    part.starts_with("isNaN(") || part.starts_with("isNil(") || matches!(part, "len(result) == 0" | "result == nil")
}

impl Bounds {
    fn take(&mut self, part: &str) -> Option<()> {
        let behind = ["asFloat(result[0])", "asFloat(result)", "result[0]", "result"]
            .iter()
            .find_map(|name| part.strip_prefix(name))?;
        let behind = behind.trim_start();
        let (operator, number) =
            [">=", "<=", ">", "<"].iter().find_map(|operator| Some((*operator, behind.strip_prefix(operator)?)))?;
        let number: f64 = number.trim().parse().ok()?;
        // A bound that excludes itself ends at the next number there is.
        let bound = match operator {
            ">" => number.next_up(),
            "<" => number.next_down(),
            _ => number,
        };
        self.is_strict |= matches!(operator, ">" | "<");
        let bound = Number::try_from(bound).ok()?;
        let side = if operator.starts_with('>') { &mut self.min } else { &mut self.max };
        match side {
            Some(_) => None,
            None => {
                *side = Some(bound);
                Some(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(condition: &str) -> Option<(Option<f64>, Option<f64>)> {
        bounds(condition).map(|bounds| (bounds.min.map(f64::from), bounds.max.map(f64::from)))
    }

    #[test]
    fn conditions_of_one_value_are_bounds() {
        assert_eq!(found("result[0] >= 0.95"), Some((Some(0.95), None)));
        assert_eq!(found("(result <= 5)"), Some((None, Some(5.0))));
        assert_eq!(found("result[0] >= 1 && result[0] <= 2"), Some((Some(1.0), Some(2.0))));
        assert_eq!(found("len(result) == 0 || result[0] >= 1"), Some((Some(1.0), None)));
        assert_eq!(found("isNaN(result[0]) || asFloat(result[0]) >= 1"), Some((Some(1.0), None)));
        assert!(bounds("len(result) == 0 || result[0] >= 1").is_some_and(|bounds| bounds.takes_none));
        for other in [
            "result[0] == 1",
            "result.ok",
            "result[0] >= 1 || result[0] < 0",
            "all(result, # > 1)",
            "result[0] > 1 && result[0] > 2",
            "",
        ] {
            assert_eq!(found(other), None, "{other}");
        }
    }

    #[test]
    fn a_bound_that_excludes_itself_does_so_still() {
        let below = bounds("result[0] < 1").and_then(|bounds| bounds.max).map(f64::from);
        assert!(below.is_some_and(|below| below < 1.0 && below > 0.999_999));
        let failed = bounds_unless("result[0] > 500").and_then(|bounds| bounds.max).map(f64::from);
        assert_eq!(failed, Some(500.0));
        assert_eq!(bounds_unless("result[0] >= 500").map(|bounds| bounds.is_strict), Some(true));
        assert_eq!(bounds_unless("result[0] > 1 || result[0] < 0"), None);
    }

    #[test]
    fn places_are_filled_in() {
        let known = |name: &str| (name == "target").then(|| "cart".to_owned());
        assert_eq!(filled("a{{ target }}b{{target}}", known), Ok("acartbcart".to_owned()));
        assert_eq!(filled("{{ ingress }}", known), Err("ingress".to_owned()));
    }
}
