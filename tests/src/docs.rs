//! The documentation as tests see it: pages of Markdown, the commands in them, and their links.
//!
//! A fenced block is read by the words behind its language:
//!
//! | block | what a test does with it |
//! |---|---|
//! | `console` | types each line that begins with `$ ` into one shell for the page, and compares what follows with the output |
//! | `console envoy` | the same; the page needs an Envoy |
//! | `console mesh` | the same, inside of the mesh |
//! | `console terminal=NAME` | starts the command in a terminal of its own, or waits for these lines there |
//! | `console not-run: WHY` | nothing |
//! | `yaml file=NAME`, `python file=NAME` | writes the file into the folder of the page |
//!
//! In an output `...` stands for any text of a line, and on a line of its own for any lines.

mod links;
mod page;
mod session;

pub use links::broken;
pub use page::{Block, Entry, Kind, Page, pages};
pub use session::Session;
