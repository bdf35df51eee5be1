//! The reference of the filter, as Markdown, from what the built module does in the host.

use std::error::Error;
use std::fmt::Write;

use serde_json::json;
use serin_module::FILTER;

use crate::host::{Exchange, Host, Input};

const INTRO: &str = "<!-- Generated from what the built filter does; `make golden` writes it. -->\n\
    # The filter\n\n\
    The same module runs in sidecars, gateways, waypoints and in the Envoy of `serin standalone`. It reads the\n\
    [split document](../split-document.schema.json) from its configuration.\n\n\
    ## Request header\n\n\
    The filter sets `x-serin-version` (or the header that `--routing-header` or `routingHeader` names) to the version, whatever the client\n\
    sent under that name; where the release has a `routingKey`, to `VERSION.KEY`. Where no release routes the destination, or before the first document, it removes the header.\n\n\
    ## Response header\n\n\
    Only with `otherwise: {issueCookie: ...}`: a `set-cookie` with the new identity, on the response to the request that issued it. No\n\
    cookie goes to a response that others may keep (status 304 or 5xx, `cache-control` with `public` or `s-maxage`).\n";

type Example = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// One request for each reason.
const EXAMPLES: [Example; 8] = [
    ("a rule matched, and it names a version", "cart", &[("x-team", "qa"), ("cookie", "user=ann")]),
    ("a rule matched, and its split decided by the bucket of the key", "cart", &[("x-beta", "1"), ("cookie", "user=ann")]),
    ("the weights decided by the bucket of the key", "cart", &[("cookie", "user=ann")]),
    ("there was no key, so stable", "cart", &[]),
    ("there was no key, so the request's id was the key", "list", &[("x-request-id", "6b1f")]),
    ("there was no key, so an identity was issued", "shop", &[("x-request-id", "6b1f")]),
    ("`takeover` sends every request to one version", "paid", &[("cookie", "user=ann")]),
    ("no release routes the destination", "elsewhere", &[]),
];

fn document() -> String {
    let sticky = json!({"by": [{"cookie": "user"}]});
    let split = |name: &str, otherwise: serde_json::Value| {
        json!({"release": format!("shop/{name}"), "hosts": [name], "stable": "v1", "buckets": [["v2", 50_000]],
            "sticky": {"by": [{"cookie": "user"}], "otherwise": otherwise}})
    };
    json!({"version": 1, "reportReason": true, "splits": [
        {"release": "shop/cart", "hosts": ["cart"], "stable": "v1", "buckets": [["v2", 50_000]], "sticky": sticky, "rules": [
            {"name": "testers", "when": [{"header": {"name": "x-team", "exact": "qa"}}], "version": "v2"},
            {"name": "beta", "when": [{"header": {"name": "x-beta", "exact": "1"}}], "buckets": [["v2", 10_000]]},
        ]},
        split("list", json!("random")),
        split("shop", json!({"issueCookie": {"name": "sid"}})),
        {"release": "shop/paid", "hosts": ["paid"], "stable": "v1", "takeover": "v2"},
    ]})
    .to_string()
}

fn ask(host: &mut Host, authority: &str, headers: &[(&str, &str)]) -> Result<Exchange, Box<dyn Error>> {
    let pseudo = [(":method", "GET"), (":path", "/"), (":authority", authority)];
    let headers =
        pseudo.iter().chain(headers).map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
    Ok(host.exchange(Input { headers, ..Input::default() }, vec![(b":status".to_vec(), b"200".to_vec())])?)
}

/// The reference of the filter.
///
/// # Errors
/// The filter does not answer as it should; the message says where.
pub fn filter() -> Result<String, Box<dyn Error>> {
    let mut host = Host::load(FILTER)?;
    host.configure(b"{")?;
    host.configure(document().as_bytes())?;
    let mut text = INTRO.to_owned();
    let mut rows = String::new();
    let mut name = String::new();
    for (meaning, authority, headers) in EXAMPLES {
        let exchange = ask(&mut host, authority, headers)?;
        let own = exchange.filter_state.iter().find(|(name, _)| !name.contains("cookie"));
        let (key, value) = own.ok_or_else(|| format!("{authority}: no filter state"))?;
        name.clone_from(key);
        writeln!(rows, "| `{}` | {meaning} |", std::str::from_utf8(value)?)?;
    }
    write!(
        text,
        "\n## Filter state\n\n\
         `wasm.{name}` has the reason of the decision where the controller runs with `--report-reason`, and always with `serin standalone`.\n\
         An access log reads it as `%FILTER_STATE(wasm.{name}:PLAIN)%`. Its values, by example:\n\n\
         | value | meaning |\n|---|---|\n{rows}"
    )?;
    host.tick()?;
    write!(
        text,
        "\n## Metrics\n\n\
         Metrics of the proxy, counters flushed every {} ms. Prometheus reads them at the proxy's own `/stats/prometheus`. Names become labels where\n\
         the proxy's bootstrap knows the tags `release`, `version`, `reason` and `result` (`serin standalone` does; in Istio set\n\
         `extraStatTags`), else the text between stays in the name.\n\n\
         | metric | labels | meaning |\n|---|---|---|\n",
        host.tick_milliseconds()
    )?;
    let meanings = [
        ("serin_decisions_total", "Decisions for a release, by version and reason"),
        ("serin_documents_total", "Split documents that a VM was given, by what became of them"),
        (
            "serin_document_checksum",
            "A gauge: CRC-32 of the document that decides, as `serin document` prints it; 0 for one that no controller wrote",
        ),
    ];
    for (metric, meaning) in meanings {
        let suffix = metric.strip_prefix("serin").unwrap_or_default().trim_start_matches('_');
        let found: Vec<&str> = host.metrics().keys().map(String::as_str).filter(|name| name.ends_with(suffix)).collect();
        let labels = labels(found.iter().copied());
        if found.is_empty() {
            return Err(format!("the filter has no metric {metric}").into());
        }
        writeln!(text, "| `{metric}` | {labels} | {meaning}. |")?;
    }
    Ok(text)
}

/// The labels in the names of a metric; those of few values with them.
fn labels<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut labels: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in names {
        let tags = name.strip_prefix("serin.").unwrap_or(name).split(";.;").filter_map(|tag| tag.split_once("=.="));
        for (label, value) in tags {
            let label = label.trim_start_matches('.');
            let at = labels.iter().position(|(own, _)| *own == label).unwrap_or_else(|| {
                labels.push((label, Vec::new()));
                labels.len() - 1
            });
            let known = labels.get_mut(at).map(|(_, values)| values);
            if let Some(values) = known.filter(|values| !values.contains(&value)) {
                values.push(value);
            }
        }
    }
    let few = |label: &str| matches!(label, "reason" | "result");
    let words = labels.into_iter().map(|(label, mut values)| {
        values.sort_unstable();
        if few(label) { format!("`{label}`: `{}`", values.join("`, `")) } else { format!("`{label}`") }
    });
    words.collect::<Vec<_>>().join("; ")
}
