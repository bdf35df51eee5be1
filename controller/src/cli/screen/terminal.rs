//! The screen of a terminal, which is given back as it was.

use std::io::{IsTerminal, Read, Write, stdin, stdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use anstream::ColorChoice;
use anstyle::{AnsiColor, Style};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Size, cut};
use crate::cli::Failure;

/// Another screen beside the one with what was typed, without a cursor; and the way back.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
/// What Ctrl-C types where the terminal makes no signal of it.
const INTERRUPT: u8 = 3;
/// The exit code of what SIGTERM ends.
const TERMINATED: i32 = 128 + 15;
/// The last line.
const QUIT: &str = "quit: q";

/// A screen of its own.
pub(super) struct Terminal {
    was: Arc<Mutex<Termios>>,
    has_colours: bool,
}

impl Terminal {
    /// Takes the screen; `None` where there is none, or nobody who could type. From then on `q`, Ctrl-C and SIGTERM end the process.
    pub(super) fn open() -> Option<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if is_dumb || !stdin().is_terminal() || !stdout().is_terminal() {
            return None;
        }
        let was = tcgetattr(stdin()).ok()?;
        let mut raw = was.clone();
        // From here on a signal gives the screen back.
        let runtime = Builder::new_current_thread().enable_all().build().ok()?;
        let terminated = runtime.block_on(async { signal(SignalKind::terminate()) }).ok()?;
        // Each key at once, and none is shown.
        raw.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        write(ENTER).ok()?;
        let has_colours = anstream::AutoStream::choice(&stdout()) != ColorChoice::Never;
        let terminal = Self { was: Arc::new(Mutex::new(was)), has_colours };
        let (by_key, by_signal) = (Arc::clone(&terminal.was), Arc::clone(&terminal.was));
        thread::spawn(move || quit_by_key(&by_key));
        thread::spawn(move || quit_by_signal(&by_signal, &runtime, terminated));
        Some(terminal)
    }

    /// What there is room for, above the last line.
    pub(super) fn size(&self) -> Size {
        let own = tcgetwinsize(stdout()).ok();
        let said = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
        let one = |own: Option<u16>, name: &str, usual: usize| {
            own.filter(|own| *own > 0).map(usize::from).or_else(|| said(name)).unwrap_or(usual)
        };
        let columns = one(own.map(|own| own.ws_col), "COLUMNS", 80);
        let lines = one(own.map(|own| own.ws_row), "LINES", 24);
        Size { columns, lines: lines.saturating_sub(1) }
    }

    /// Shows a text in the place of the one before.
    pub(super) fn show(&self, text: &str) -> Result<(), Failure> {
        let Size { columns, lines } = self.size();
        let mut screen = String::from("\x1b[H");
        for line in text.lines().take(lines) {
            screen.push_str(&self.painted(&cut(line, columns)));
            screen.push_str("\x1b[K\r\n");
        }
        screen.push_str(&format!("\x1b[J\x1b[{};1H{}", lines + 1, self.styled(Style::new().dimmed(), &cut(QUIT, columns))));
        let _held = held(&self.was);
        write(&screen).map_err(|error| Failure::running("cannot write the answer", error))
    }

    fn styled(&self, style: Style, text: &str) -> String {
        if self.has_colours { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// What is good and what is not, in colours.
    fn painted(&self, line: &str) -> String {
        let (good, bad) = (AnsiColor::Green.on_default(), AnsiColor::Red.on_default().bold());
        let marks = [("✓", good), ("▸", AnsiColor::Yellow.on_default()), ("✗", bad), ("RolledBack", bad), ("Refused", bad)];
        marks.into_iter().fold(line.to_owned(), |line, (mark, style)| line.replace(mark, &self.styled(style, mark)))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back(&held(&self.was));
    }
}

fn held(was: &Mutex<Termios>) -> MutexGuard<'_, Termios> {
    was.lock().unwrap_or_else(PoisonError::into_inner)
}

fn write(text: &str) -> std::io::Result<()> {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn give_back(was: &Termios) {
    let _ = write(LEAVE);
    let _ = tcsetattr(stdin(), OptionalActions::Now, was);
}

/// Ends the process at a key, also while a cluster does not answer.
fn quit_by_key(was: &Mutex<Termios>) {
    let mut key = [0];
    while stdin().lock().read_exact(&mut key).is_ok() {
        if matches!(key, [b'q' | b'Q' | INTERRUPT]) {
            quit(was, 0);
        }
    }
}

/// Ends the process at SIGTERM, with the exit code that shells give to that.
fn quit_by_signal(was: &Mutex<Termios>, runtime: &Runtime, mut terminated: Signal) {
    if runtime.block_on(terminated.recv()).is_some() {
        quit(was, TERMINATED);
    }
}

fn quit(was: &Mutex<Termios>, code: i32) {
    // Held to the end: nothing is drawn on the screen that was there before.
    let was = held(was);
    give_back(&was);
    std::process::exit(code);
}
