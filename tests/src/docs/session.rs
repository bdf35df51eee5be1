//! Somebody who reads a page and types what stands there.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::page::{Block, Entry, Kind, root};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How long a command or a line in a terminal may take.
const CAP: Duration = Duration::from_secs(120);

/// Ports in the pages. A test runs beside others, so that each becomes one that is free.
const PORTS: [&str; 6] = ["8080", "9901", "9081", "9082", "9091", "9092"];

/// A shell in a folder of its own, and the terminals beside it.
pub struct Session {
    shell: Child,
    input: ChildStdin,
    codes: Receiver<i32>,
    terminals: BTreeMap<String, Terminal>,
    directory: TempDir,
    /// A port of the pages, and what it is here.
    ports: Vec<(&'static str, String)>,
    commands: usize,
}

/// A terminal with one command.
struct Terminal {
    process: Child,
    log: PathBuf,
    /// So many lines have been seen.
    seen: usize,
}

impl Session {
    /// A new shell; `programs` are put on its path under their names. Inside of the mesh ports are what they are.
    ///
    /// # Errors
    /// The shell cannot be started.
    pub fn start(programs: &[(&str, PathBuf)], inside: bool) -> Result<Self> {
        let directory = TempDir::new()?;
        let place = |name: &str| directory.path().join(name);
        for folder in ["bin", "work", "out"] {
            fs::create_dir(place(folder))?;
        }
        for (name, program) in programs {
            symlink(program.canonicalize()?, place("bin").join(name))?;
        }
        for folder in ["examples", "demo", "deploy", "docs"] {
            symlink(root().canonicalize()?.join(folder), place("work").join(folder))?;
        }
        let held: Vec<TcpListener> =
            PORTS.iter().map(|_| TcpListener::bind("127.0.0.1:0")).collect::<std::io::Result<_>>()?;
        let free = held.iter().map(|listener| Ok(listener.local_addr()?.port().to_string()));
        let ports: Vec<_> = PORTS.into_iter().zip(free.collect::<std::io::Result<Vec<_>>>()?).collect();
        let mut shell = command("bash", &directory)
            .args(["--norc", "--noprofile"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = shell.stdin.take().ok_or("no standard input")?;
        let lines = BufReader::new(shell.stdout.take().ok_or("no standard output")?).lines();
        let (sender, codes) = channel();
        std::thread::spawn(move || {
            for code in lines.map_while(std::result::Result::ok).filter_map(|line| line.parse().ok()) {
                if sender.send(code).is_err() {
                    return;
                }
            }
        });
        let ports = if inside { Vec::new() } else { ports };
        Ok(Self { shell, input, codes, terminals: BTreeMap::new(), directory, ports, commands: 0 })
    }

    /// Does what a block says.
    ///
    /// # Errors
    /// A command fails, or its output is another one; the message has the line.
    pub fn block(&mut self, block: &Block) -> Result<()> {
        match &block.kind {
            Kind::File { name, text } => {
                let path = self.directory.path().join("work").join(name);
                Ok(fs::write(path, self.here(text))?)
            }
            Kind::Console { entries, terminal: None, .. } => {
                for (index, entry) in entries.iter().enumerate() {
                    let code = self.run(entry).map_err(|error| format!("{}: {error}", entry.line))?;
                    let asked = entries.get(index + 1).is_some_and(|next| next.command.starts_with("echo $?"));
                    if code != 0 && !asked {
                        let output = self.output()?.join("\n");
                        return Err(format!("{}: exit code {code}: {}\n{output}", entry.line, entry.command).into());
                    }
                }
                Ok(())
            }
            Kind::Console { entries, terminal: Some(name), .. } => entries
                .iter()
                .try_for_each(|entry| self.look(name, entry).map_err(|error| format!("{}: {error}", entry.line).into())),
            Kind::NotRun(_) | Kind::Other => Ok(()),
        }
    }

    /// How many commands were run.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands
    }

    /// A text of the page with the ports of this run.
    fn here(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (page, here)| replace(&text, page, here))
    }

    /// A text of this run with the ports of the page.
    fn there(&self, text: &str) -> String {
        self.ports.iter().fold(text.to_owned(), |text, (page, here)| replace(&text, here, page))
    }

    /// Types a command, compares its output, and says its exit code.
    fn run(&mut self, entry: &Entry) -> Result<i32> {
        self.commands += 1;
        let (script, output) = (self.place("sh"), self.place("txt"));
        fs::write(&script, format!("{}\n", self.here(&entry.command)))?;
        // Commands that read their input must not read what is typed later; `$?` stays that of the command before.
        let [script, output] = [script, output].map(|path| path.display().to_string());
        writeln!(self.input, "(exit ${{code:-0}}); . {script} </dev/null >{output} 2>&1; code=$?; echo $code",)?;
        self.input.flush()?;
        let code = match self.codes.recv_timeout(CAP) {
            Ok(code) => code,
            Err(RecvTimeoutError::Timeout) => {
                return Err(format!("did not end within {CAP:?}: {}\n{}", entry.command, self.output()?.join("\n")).into());
            }
            Err(RecvTimeoutError::Disconnected) => return Err(format!("ended the shell: {}", entry.command).into()),
        };
        let seen = self.output()?;
        if matches(&entry.output, &seen) {
            return Ok(code);
        }
        Err(format!("{}\nis:\n{}\nexpected:\n{}", entry.command, seen.join("\n"), entry.output.join("\n")).into())
    }

    fn place(&self, extension: &str) -> PathBuf {
        self.directory.path().join("out").join(format!("{}.{extension}", self.commands))
    }

    /// The output of the last command.
    fn output(&self) -> Result<Vec<String>> {
        self.lines(&self.place("txt"))
    }

    fn lines(&self, path: &PathBuf) -> Result<Vec<String>> {
        let text = self.there(&String::from_utf8_lossy(&fs::read(path)?));
        Ok(text.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    /// Starts a command in a terminal, or waits for lines there.
    fn look(&mut self, name: &str, entry: &Entry) -> Result<()> {
        if !entry.command.is_empty() {
            self.commands += 1;
            let log = self.place("txt");
            let file = File::create(&log)?;
            let process = command("bash", &self.directory)
                .args(["--norc", "--noprofile", "-c", &format!("exec {}", self.here(&entry.command))])
                .stdin(Stdio::null())
                .stdout(file.try_clone()?)
                .stderr(file)
                .spawn()?;
            if self.terminals.contains_key(name) {
                return Err(format!("terminal {name} has a command already; give this one another").into());
            }
            self.terminals.insert(name.to_owned(), Terminal { process, log, seen: 0 });
        }
        let start = Instant::now();
        loop {
            let Some(terminal) = self.terminals.get(name) else {
                return Err(format!("there is no terminal {name}; start a command in it first").into());
            };
            let lines = self.lines(&terminal.log)?;
            let new = lines.get(terminal.seen..).unwrap_or_default();
            let taken = (0..=new.len()).find(|count| matches(&entry.output, new.get(..*count).unwrap_or_default()));
            if let (Some(taken), Some(terminal)) = (taken, self.terminals.get_mut(name)) {
                terminal.seen += taken;
                return Ok(());
            }
            if start.elapsed() > CAP {
                let expected = entry.output.join("\n");
                return Err(format!("terminal {name}: not within {CAP:?}:\n{expected}\nseen:\n{}", new.join("\n")).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let terminals = self.terminals.values_mut().map(|terminal| &mut terminal.process);
        for process in terminals.chain([&mut self.shell]) {
            // The whole group: what the shell left in the background too. By the system call, since a program `kill` may read a
            // group as something else.
            if let Some(group) = i32::try_from(process.id()).ok().filter(|id| *id > 1).and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::TERM);
            }
            let _ = process.wait();
        }
    }
}

/// A program in the folder of a session, in a group of its own.
fn command(program: &str, directory: &TempDir) -> Command {
    let mut command = Command::new(program);
    let path = std::env::var("PATH").unwrap_or_default();
    command
        .current_dir(directory.path().join("work"))
        .env("PATH", format!("{}:{path}", directory.path().join("bin").display()))
        .env("NO_COLOR", "1")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("SERIN_STATE_DIR")
        .env_remove("STATE_DIRECTORY")
        .process_group(0);
    command
}

/// Replaces a number where it stands by itself.
fn replace(text: &str, number: &str, by: &str) -> String {
    let mut parts = text.split(number);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let inner = whole.ends_with(|c: char| c.is_ascii_digit()) || part.starts_with(|c: char| c.is_ascii_digit());
        whole.push_str(if inner { number } else { by });
        whole.push_str(part);
    }
    whole
}

/// Whether lines are what is expected.
fn matches(expected: &[String], lines: &[String]) -> bool {
    match (expected, lines) {
        ([], []) => true,
        ([any, rest @ ..], lines) if any == "..." => {
            (0..=lines.len()).any(|count| matches(rest, lines.get(count..).unwrap_or_default()))
        }
        ([expected, others @ ..], [line, lines @ ..]) => line_matches(expected, line) && matches(others, lines),
        _ => false,
    }
}

/// Whether a line is what is expected.
fn line_matches(expected: &str, line: &str) -> bool {
    let Some((before, after)) = expected.split_once("...") else { return expected == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let mut ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.any(|at| line_matches(after, rest.get(at..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn dots_stand_for_anything() {
        let fits = [
            ("", ""),
            ("a", "a"),
            ("...", ""),
            ("...", "a\nb"),
            ("a\n...\nd", "a\nb\nc\nd"),
            ("a...c", "a b c"),
            ("...c", "abc"),
            ("a ...", "a "),
        ];
        for (expected, seen) in fits {
            assert!(matches(&lines(expected), &lines(seen)), "{expected} {seen}");
        }
        let others =
            [("", "a"), ("a", ""), ("a", "b"), ("a\n...\nd", "a\nb"), ("a...c", "a b"), ("...c", "abcd"), ("a\n...", "b")];
        for (expected, seen) in others {
            assert!(!matches(&lines(expected), &lines(seen)), "{expected} {seen}");
        }
    }

    #[test]
    fn a_port_is_replaced_where_it_stands_by_itself() {
        assert_eq!(replace("localhost:8080/80801 18080 8080", "8080", "1"), "localhost:1/80801 18080 1");
    }

    #[test]
    fn a_shell_keeps_its_state_and_its_exit_codes() {
        let mut session = Session::start(&[], false).unwrap();
        let page = "```yaml file=a.txt\nport: 8080\n```\n```console\n$ cat a.txt\nport: 8080\n$ x=1; false\n$ echo $? $x\n1 1\n$ cat\n```\n\
            ```console terminal=t\n$ sh -c 'echo one; echo two 9901; sleep 60'\none\n```\n```console terminal=t\ntwo 9901\n```\n";
        let page = super::super::Page::parse(std::path::Path::new("a.md"), page).unwrap();
        page.blocks.iter().for_each(|block| session.block(block).unwrap());
        assert_eq!(session.commands(), 5);
        let wrong = [
            ("$ echo a\nb\n", "2: echo a\nis:\na\nexpected:\nb"),
            ("$ false\n", "2: exit code 1: false\n"),
            ("$ exit 3\n", "2: ended the shell: exit 3"),
        ];
        for (text, message) in wrong {
            let page = super::super::Page::parse(std::path::Path::new("a.md"), &format!("```console\n{text}```\n")).unwrap();
            assert_eq!(session.block(&page.blocks[0]).unwrap_err().to_string(), message);
        }
    }
}
