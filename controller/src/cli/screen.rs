//! A text that is shown again as it changes.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use super::cluster::Connection;
use super::{Failure, print};

/// Between two looks.
const APART: Duration = Duration::from_secs(1);

/// Shows a text until it says that it is the last one: on a terminal in the place of the one before, elsewhere one after the other.
pub(super) fn follow(
    connection: &Connection,
    mut draw: impl FnMut() -> Result<(String, bool), Failure>,
) -> Result<(), Failure> {
    let mut last = String::new();
    loop {
        let (text, is_last) = draw()?;
        if text != last {
            if std::io::stdout().is_terminal() {
                // Home, and everything below goes.
                print("\x1b[H\x1b[2J")?;
            }
            print(&text)?;
            let _ = std::io::stdout().flush();
            last = text;
        }
        if is_last {
            return Ok(());
        }
        connection.pause(APART);
    }
}
