//! A command in a terminal of its own, and what stands on its screen.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};
use serin_tests::mesh::eventually;

use crate::Outcome;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// A command in a terminal.
pub(crate) struct Screen {
    process: Child,
    ours: File,
    theirs: OwnedFd,
    /// What the terminal was told before the command.
    modes: String,
    parser: Arc<Mutex<vt100::Parser>>,
}

impl Screen {
    /// Starts a command in a terminal of so many lines and columns.
    pub(crate) fn start(command: &mut Command, lines: u16, columns: u16) -> Result<Self> {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&ours)?;
        unlockpt(&ours)?;
        let theirs = open(ptsname(&ours, Vec::new())?, OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
        tcsetwinsize(&theirs, Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?;
        let modes = format!("{:?}", tcgetattr(&theirs)?);
        let end = || -> Result<std::process::Stdio> { Ok(theirs.try_clone()?.into()) };
        let process = command.env("TERM", "xterm").stdin(end()?).stdout(end()?).stderr(end()?).spawn()?;
        let parser = Arc::new(Mutex::new(vt100::Parser::new(lines.try_into()?, columns.try_into()?, 0)));
        let (ours, sink) = (File::from(ours), Arc::clone(&parser));
        let mut from = ours.try_clone()?;
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if let Ok(mut parser) = sink.lock() {
                    parser.process(bytes.get(..count).unwrap_or_default());
                }
            }
        });
        Ok(Self { process, ours, theirs, modes, parser })
    }

    fn with<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> Result<T> {
        Ok(look(self.parser.lock().map_err(|error| error.to_string())?.screen()))
    }

    /// The lines on the screen.
    pub(crate) fn lines(&self) -> Result<Vec<String>> {
        self.with(|screen| {
            let (_, columns) = screen.size();
            screen.rows(0, columns.get()).map(|line| line.trim_end().to_owned()).collect()
        })
    }

    /// Whether anything on the screen has a colour.
    pub(crate) fn has_colours(&self) -> Result<bool> {
        self.with(|screen| {
            let (lines, columns) = screen.size();
            let mut cells =
                (0..lines.get()).flat_map(|line| (0..columns.get()).filter_map(move |column| screen.cell(line, column)));
            cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
        })
    }

    /// Whether it is a screen of its own.
    pub(crate) fn is_own(&self) -> Result<bool> {
        self.with(vt100::Screen::alternate_screen)
    }

    /// Another size.
    pub(crate) fn resize(&self, lines: u16, columns: u16) -> Outcome {
        self.parser.lock().map_err(|error| error.to_string())?.screen_mut().set_size(lines.try_into()?, columns.try_into()?);
        Ok(tcsetwinsize(&self.theirs, Winsize { ws_row: lines, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 })?)
    }

    /// Types keys, after which the command ends well and the terminal is as it was.
    pub(crate) fn quits_by(mut self, keys: &[u8]) -> Outcome {
        self.ours.write_all(keys)?;
        self.ends(0)
    }

    /// Sends SIGTERM.
    pub(crate) fn terminate(&self) -> Outcome {
        let sent = Command::new("kill").args(["-s", "TERM", &self.process.id().to_string()]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("kill: {sent}").into()) }
    }

    /// Waits for the end with an exit code; the terminal is as it was.
    pub(crate) fn ends(&mut self, code: i32) -> Outcome {
        let mut status = None;
        eventually("the command ends", || {
            status = self.process.try_wait()?;
            Ok(if status.is_some() { Ok(()) } else { Err("it runs".to_owned()) })
        })?;
        assert_eq!(status.and_then(|status| status.code()), Some(code), "{:?}", self.lines());
        assert_eq!(format!("{:?}", tcgetattr(&self.theirs)?), self.modes);
        eventually("the screen before is back", || Ok(if self.is_own()? { Err("it is not".to_owned()) } else { Ok(()) }))?;
        assert!(!self.with(vt100::Screen::hide_cursor)?, "the cursor is hidden");
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
