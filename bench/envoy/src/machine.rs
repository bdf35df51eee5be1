//! What Linux says of threads and processes: time on a core, memory, cores that may be used.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::Result;

/// A thread.
#[derive(Clone, Debug)]
pub(crate) struct Thread {
    process: u32,
    id: u32,
}

impl Thread {
    /// The thread of a process whose name begins with a text.
    pub(crate) fn named(process: u32, name: &str) -> Result<Self> {
        let comm = |thread: &Self| fs::read_to_string(format!("/proc/{process}/task/{}/comm", thread.id));
        let found = Self::all(process)?.into_iter().find(|thread| comm(thread).is_ok_and(|own| own.starts_with(name)));
        Ok(found.ok_or(format!("process {process} has no thread {name}"))?)
    }

    /// All threads of a process.
    pub(crate) fn all(process: u32) -> Result<Vec<Self>> {
        let mut threads = Vec::new();
        for entry in fs::read_dir(format!("/proc/{process}/task"))? {
            let id = entry?.file_name().to_str().and_then(|id| id.parse().ok());
            threads.push(Self { process, id: id.ok_or("a thread without a number")? });
        }
        Ok(threads)
    }

    /// The calling thread.
    pub(crate) fn own() -> Result<Self> {
        let link = fs::read_link("/proc/thread-self")?;
        let id = link.file_name().and_then(|id| id.to_str()).and_then(|id| id.parse().ok());
        Ok(Self { process: std::process::id(), id: id.ok_or("a thread without a number")? })
    }

    /// Nanoseconds that it spent on a core. Linux counts them up when the thread leaves the core, so this waits until it rests.
    pub(crate) fn nanoseconds(&self) -> Result<u64> {
        let mut last = self.counted()?;
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(1));
            let now = self.counted()?;
            if now == last {
                break;
            }
            last = now;
        }
        Ok(last)
    }

    fn counted(&self) -> Result<u64> {
        let text = fs::read_to_string(format!("/proc/{}/task/{}/schedstat", self.process, self.id))?;
        Ok(text.split(' ').next().unwrap_or_default().parse()?)
    }

    /// Keeps it on one core; false where that cannot be done.
    pub(crate) fn pin(&self, core: usize) -> bool {
        let mut command = Command::new("taskset");
        command.args(["-pc", &core.to_string(), &self.id.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }
}

/// A core for Envoy's worker and another one for the client, where there are two.
pub(crate) fn two_cores() -> Option<(usize, usize)> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = field(&status, "Cpus_allowed_list:")?;
    let mut ends = list.split([',', '-']).filter_map(|core| core.trim().parse().ok());
    let first = ends.next()?;
    Some((first, ends.next_back().filter(|last| *last != first)?))
}

/// Bytes of memory that a process holds.
pub(crate) fn resident(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let kibibytes: u64 =
        field(&status, "VmRSS:").and_then(|text| text.trim().split(' ').next()?.parse().ok()).ok_or("no VmRSS")?;
    Ok(kibibytes * 1024)
}

/// The name of the processor.
pub(crate) fn processor() -> String {
    let text = fs::read_to_string(Path::new("/proc/cpuinfo")).unwrap_or_default();
    field(&text, "model name\t:").unwrap_or("unknown").trim().to_owned()
}

fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}
