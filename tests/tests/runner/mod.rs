//! The four runners of the corpus.

mod proxy;

use std::error::Error;
use std::fmt::Debug;
use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serin_tests::corpus::{Asked, Case, Expect};
use serin_tests::host::{Host, Input, filter_for};

pub(crate) use proxy::Proxy;

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

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

/// `serin explain --requests` as a process.
pub(crate) fn cli(case: &Case) -> Outcome {
    use std::io::Write;
    let checked = case.compile()?;
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("file.yaml");
    std::fs::write(&file, &case.file)?;
    let mut lines = String::new();
    for (index, asked) in case.requests.iter().enumerate() {
        let mut headers = Vec::new();
        for (name, value) in &asked.headers {
            let bytes = value.bytes()?;
            let value =
                String::from_utf8(bytes.clone()).map_or_else(|_| json!({"base64": STANDARD.encode(&bytes)}), Value::from);
            headers.push(json!([name, value]));
        }
        let mut line = json!({"id": index, "headers": headers});
        for (name, value) in [("destination", &asked.destination), ("source", &asked.source)] {
            if let (Some(value), Some(line)) = (value, line.as_object_mut()) {
                line.insert(name.into(), value.as_str().into());
            }
        }
        lines.push_str(&format!("{line}\n"));
    }
    let mut process = Command::new(serin_tests::command()?)
        .args(["explain", "--requests", "-", "-f"])
        .arg(&file)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut input = process.stdin.take().ok_or("no standard input")?;
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = process.wait_with_output()?;
    writer.join().map_err(|_| "the writer panicked")??;
    let answers: Vec<&str> = std::str::from_utf8(&output.stdout)?.lines().collect();
    if answers.len() != case.requests.len() {
        return Err(format!("{} answers to {} requests", answers.len(), case.requests.len()).into());
    }
    for ((index, asked), answer) in case.requests.iter().enumerate().zip(answers) {
        let Expect { version, reason, rule, key, bucket, .. } = &asked.expect;
        let (destination, _) = asked.request(&checked)?;
        let release = checked.split.release(&destination).map(|release| release.name());
        let expected = json!({"id": index, "release": release, "version": version, "reason": reason, "rule": rule, "key": key, "bucket": bucket});
        same(asked, "the answer", &serde_json::from_str::<Value>(answer)?, &expected)?;
    }
    Ok(())
}
