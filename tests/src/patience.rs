//! How long a test waits for something.

use std::time::{Duration, Instant};

/// Waits with a cap; time in which the machine stood still does not count, for nobody could do anything then.
#[derive(Debug)]
pub struct Patience {
    cap: Duration,
    start: Instant,
    last: Instant,
    excuses: u8,
}

impl Patience {
    /// Begins now.
    #[must_use]
    pub fn new(cap: Duration) -> Self {
        let now = Instant::now();
        Self { cap, start: now, last: now, excuses: 3 }
    }

    /// Whether it is over; a wait of `pause` where not.
    #[must_use]
    pub fn is_over(&mut self, pause: Duration) -> bool {
        let gap = self.last.elapsed();
        self.last += gap;
        // No look takes so long by itself, or not often.
        if gap > self.cap / 2 && self.excuses > 0 {
            self.excuses -= 1;
            self.start += gap;
        }
        let over = self.start.elapsed() > self.cap;
        if !over {
            std::thread::sleep(pause);
        }
        over
    }
}
