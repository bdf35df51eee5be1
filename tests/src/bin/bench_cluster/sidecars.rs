//! Sidecars that are nothing but their stream to istiod: `tests/stack/sidecars`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serin_tests::mesh::eventually;

use crate::Result;

/// What a sidecar got.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Answer {
    pub(crate) proxy: usize,
    pub(crate) bytes: u64,
    /// Of the resources: another one, if they changed.
    pub(crate) digest: u32,
    /// In Unix time.
    pub(crate) nanoseconds: u64,
}

/// So many sidecars that subscribe to one resource.
pub(crate) struct Sidecars {
    process: Child,
    answers: Arc<Mutex<Vec<Answer>>>,
    count: usize,
}

impl Drop for Sidecars {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Sidecars {
    /// Starts them, and waits until each has the resource.
    pub(crate) fn start(count: usize, kind: &str, resource: &str) -> Result<Self> {
        let program = std::env::var_os("SIDECARS").ok_or("SIDECARS is not set; run `make bench-cluster`")?;
        let mut process = Command::new(program)
            .args(["-proxies", &count.to_string()])
            .arg(format!("type.googleapis.com/envoy.config.{kind}={resource}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let lines = BufReader::new(process.stdout.take().ok_or("no standard output")?).lines();
        let answers = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&answers);
        std::thread::spawn(move || {
            for line in lines.map_while(std::result::Result::ok) {
                if let (Ok(answer), Ok(mut answers)) = (serde_json::from_str(&line), shared.lock()) {
                    answers.push(answer);
                }
            }
        });
        let sidecars = Self { process, answers, count };
        sidecars.all_since(0)?;
        Ok(sidecars)
    }

    /// What came after so many answers.
    pub(crate) fn since(&self, mark: usize) -> Result<Vec<Answer>> {
        let answers = self.answers.lock().map_err(|_| "the reader panicked")?;
        Ok(answers.get(mark..).unwrap_or_default().to_vec())
    }

    /// Waits until each sidecar got something else than what it had at so many answers; the first such answer of each.
    pub(crate) fn all_since(&self, mark: usize) -> Result<Vec<Answer>> {
        let before: BTreeMap<usize, u32> =
            self.since(0)?.iter().take(mark).map(|answer| (answer.proxy, answer.digest)).collect();
        eventually(&format!("each of {} sidecars has an answer of istiod's", self.count), || {
            let mut first = BTreeMap::new();
            for answer in self.since(mark)? {
                if before.get(&answer.proxy) != Some(&answer.digest) {
                    first.entry(answer.proxy).or_insert(answer);
                }
            }
            let first: Vec<Answer> = first.into_values().collect();
            Ok(if first.len() == self.count { Ok(first) } else { Err(format!("{} have one", first.len())) })
        })
    }
}
