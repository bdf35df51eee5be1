//! The four runners of the corpus.

#[cfg(feature = "system")]
mod cli;
#[cfg(feature = "system")]
mod proxy;

use std::fmt::Debug;

use serin_tests::corpus::{Asked, Case, Expect};
use serin_tests::host::{Host, Input, filter_for};
use serin_tests::need::Outcome;

#[cfg(feature = "system")]
pub(crate) use cli::cli;
#[cfg(feature = "system")]
pub(crate) use proxy::Proxy;

fn same<T: PartialEq + Debug>(asked: &Asked, what: &str, is: &T, expected: &T) -> Outcome {
    match is == expected {
        true => Ok(()),
        false => Err(format!("{}: {what} is {is:?}, expected {expected:?}", asked.name).into()),
    }
}

/// The engine as a library; what it explains is what it decides.
pub(crate) fn engine(case: &Case) -> Outcome {
    let checked = case.compile()?;
    for asked in &case.requests {
        let (destination, request) = asked.request(&checked)?;
        let decision = checked.split.decide(&destination, &request);
        same(asked, "the decision", &Expect::of(&decision), &asked.expect)?;
        same(asked, "the explained decision", &checked.split.explain(&destination, &request).decision, &decision)?;
    }
    Ok(())
}

/// The filter that the document needs, as built, in the strict host.
pub(crate) fn wasm(case: &Case) -> Outcome {
    let mut checked = case.compile()?;
    checked.document.report_reason = true;
    let mut host = Host::load(filter_for(&checked.split))?;
    if !host.configure(checked.document.to_json().as_bytes())? {
        return Err("the filter answers false to its configuration".into());
    }
    let header = checked.split.routing_header().as_bytes();
    for asked in &case.requests {
        let (destination, mut headers) = asked.complete(&checked)?;
        headers.push((header.to_vec(), b"spoofed".to_vec()));
        let (host_name, port) = destination.rsplit_once(':').unwrap_or((&destination, "80"));
        let mut input = Input { headers, ..Input::default() };
        input.properties.insert("xds.cluster_name".into(), format!("outbound|{port}||{host_name}").into_bytes());
        if let Some(source) = &asked.source {
            let source = if source.contains(':') { format!("[{source}]:4711") } else { format!("{source}:4711") };
            input.properties.insert("source.address".into(), source.into_bytes());
        }
        let exchange = host.request(input)?;
        let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
        let values = |headers: &[(Vec<u8>, Vec<u8>)], name: &[u8]| -> Vec<String> {
            headers.iter().filter(|(key, _)| key == name).map(|(_, value)| text(value)).collect()
        };
        let expected = &asked.expect;
        same(asked, "the version", &values(&exchange.request, header), &expected.version.clone().into_iter().collect())?;
        same(asked, "the reason", &exchange.filter_state.get("serin_reason").map(text), &Some(expected.summary()))?;
        same(
            asked,
            "the cookie",
            &values(&exchange.response, b"set-cookie"),
            &expected.set_cookie.clone().into_iter().collect(),
        )?;
    }
    Ok(())
}
