//! A question to the person at the terminal.

use std::io::{BufRead, IsTerminal, Write};

use super::Failure;

/// Asks before people are moved; without a terminal nobody could answer.
pub(super) fn ask(question: &str) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Invalid(format!("{question}this has to be confirmed, and there is no terminal; pass --yes")));
    }
    eprint!("{question}Go on? [y/N] ");
    let _ = std::io::stderr().flush();
    let mut line = String::new();
    let _ = std::io::stdin().lock().read_line(&mut line);
    match matches!(line.trim(), "y" | "Y" | "yes") {
        true => Ok(()),
        false => Err(Failure::Invalid("nothing was done".to_owned())),
    }
}
