//! The corpus through the command line.

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use serin_tests::corpus::{Case, Expect};
use serin_tests::need::Outcome;

use super::same;

/// `serin explain --requests` as a process, for requests as the filter sees them.
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
        .args(["explain", "--as-seen", "--requests", "-", "-f"])
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
