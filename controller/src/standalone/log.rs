//! Envoy's standard output, where a console reads along: each line goes on to where it would have gone, and is remembered.

use std::io::{BufRead, BufReader, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serin_console::requests::{Request, Ring};

/// The last requests of the log, for all who look.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<Mutex<Ring>>);

impl Requests {
    /// The last requests as they are now; nobody waits long who holds them.
    pub(super) fn look(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes lines on until there are no more. They are read also where nobody takes them any more, since Envoy waits for who reads.
    pub(super) fn follow(self, lines: impl Read + Send + 'static, mut to: impl Write + Send + 'static) {
        std::thread::spawn(move || {
            let mut lines = BufReader::new(lines);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|bytes| bytes > 0) {
                let _ = to.write_all(&line).and_then(|()| to.flush());
                if let Some(request) = std::str::from_utf8(&line).ok().and_then(Request::read) {
                    self.look().push(request);
                }
                line.clear();
            }
        });
    }
}
