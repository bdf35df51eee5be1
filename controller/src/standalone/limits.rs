//! How many files the process and its Envoy may open, and how many clients that leaves room for.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What Envoy opens beside connections: its files, its log, the admin interface, and some for each worker.
const RESERVE: u64 = 96;
const RESERVE_PER_WORKER: u64 = 8;
/// Fewer clients than this at once are worth a warning.
const FEW: u64 = 400;

/// Raises the limit of open files to the hard one, which Envoy inherits; returns what it is then.
pub(super) fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.unwrap_or(u64::MAX);
    match maximum {
        Some(most) if most > current => {
            let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: Some(most) });
            if raised.is_ok() { most } else { current }
        }
        _ => current,
    }
}

/// The number of clients that may be connected at once: each may need a connection to an upstream too, and files and admin
/// interface must stay within reach, or a rollback would not get through.
pub(super) fn connections(open_files: u64, workers: u64) -> u64 {
    let rest = open_files.saturating_sub(RESERVE + RESERVE_PER_WORKER * workers);
    // Envoy counts with signed numbers of 32 bits here and there.
    (rest / 2).clamp(16, 1_000_000)
}

/// What to say where few clients can be connected at once.
pub(super) fn warning(open_files: u64, connections: u64) -> Option<String> {
    let fix = "raise the hard limit (`ulimit -Hn`, LimitNOFILE= of a systemd unit)";
    (connections < FEW)
        .then(|| format!("with {open_files} open files at most {connections} clients can be connected at once; {fix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_what_must_go_on() {
        assert_eq!([512, 1024, 20_000, u64::MAX].map(|files| connections(files, 2)), [200, 456, 9944, 1_000_000]);
        assert_eq!(connections(600, 64), 16);
        let message = "with 512 open files at most 200 clients can be connected at once; raise the hard limit (`ulimit -Hn`, \
                       LimitNOFILE= of a systemd unit)";
        assert_eq!(warning(512, 200).unwrap(), message);
        assert_eq!(warning(1024, 456), None);
    }
}
