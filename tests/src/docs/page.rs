//! A page: its blocks, links and anchors.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// A file of Markdown.
pub struct Page {
    /// Its path, relative to the workspace.
    pub path: PathBuf,
    /// Its fenced blocks, in order.
    pub blocks: Vec<Block>,
    /// The targets of its links and pictures, each with its line.
    pub links: Vec<(usize, String)>,
    /// The anchors of its headings.
    pub anchors: BTreeSet<String>,
}

/// A fenced block.
pub struct Block {
    /// The line of its first line of text, from 1.
    pub line: usize,
    /// What it is for.
    pub kind: Kind,
}

/// What a block is for.
#[derive(Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file to write.
    File {
        /// Its name.
        name: String,
        /// Its text.
        text: String,
    },
    /// Commands with their outputs.
    Console {
        /// The commands; in a terminal of its own one may be empty, which only waits for lines.
        entries: Vec<Entry>,
        /// The terminal, where it is another one than the page's shell.
        terminal: Option<String>,
        /// Whether it runs inside of the mesh.
        mesh: bool,
        /// Whether it needs an Envoy.
        envoy: bool,
    },
    /// Commands that no test runs, and why.
    NotRun(String),
    /// Something to read.
    Other,
}

/// A command and its output.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line of the command, from 1.
    pub line: usize,
    /// The command; with several lines where one is continued.
    pub command: String,
    /// The lines of its output.
    pub output: Vec<String>,
}

/// The workspace.
pub(super) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All pages of the repository.
///
/// # Errors
/// git does not list them, or one cannot be read.
pub fn pages() -> Result<Vec<Page>, Box<dyn Error>> {
    let listed = Command::new("git").args(["ls-files", "-co", "--exclude-standard", "*.md"]).current_dir(root()).output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let there = listed.lines().filter(|path| root().join(path).is_file());
    there.map(|path| Page::parse(Path::new(path), &fs::read_to_string(root().join(path))?)).collect()
}

impl Page {
    /// Reads a page.
    ///
    /// # Errors
    /// A block has words that nothing is done with; the message has its line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Box<dyn Error>> {
        let (mut blocks, mut links, mut anchors) = (Vec::new(), Vec::new(), BTreeSet::new());
        let line = |range: &Range<usize>| text.get(..range.start).unwrap_or_default().matches('\n').count() + 1;
        let mut heading: Option<String> = None;
        let mut open: Option<(String, usize, String)> = None;
        for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    open = Some((info.to_string(), line(&range) + 1, String::new()));
                }
                Event::End(TagEnd::CodeBlock) => {
                    if let Some((info, line, text)) = open.take() {
                        let kind =
                            Kind::of(&info, line, text).map_err(|error| format!("{}:{line}: {error}", path.display()))?;
                        blocks.push(Block { line, kind });
                    }
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => {
                    let slug = slug(&heading.take().unwrap_or_default());
                    let numbered = (1..).map(|number| format!("{slug}-{number}"));
                    let free = std::iter::once(slug.clone()).chain(numbered).find(|slug| !anchors.contains(slug));
                    anchors.extend(free);
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    links.push((line(&range), dest_url.to_string()));
                }
                Event::Html(html) | Event::InlineHtml(html) => {
                    links.extend(references(&html).into_iter().map(|target| (line(&range), target)));
                }
                Event::Text(part) | Event::Code(part) => {
                    if let Some((_, _, text)) = &mut open {
                        text.push_str(&part);
                    }
                    if let Some(heading) = &mut heading {
                        heading.push_str(&part);
                    }
                }
                _ => {}
            }
        }
        Ok(Self { path: path.to_owned(), blocks, links, anchors })
    }

    /// Its blocks of commands that run, inside of the mesh or outside.
    pub fn consoles(&self, inside: bool) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| matches!(block.kind, Kind::Console { .. }) && block.runs(inside))
    }
}

impl Block {
    /// Whether it counts inside of the mesh, or outside; files count in both.
    #[must_use]
    pub fn runs(&self, inside: bool) -> bool {
        match &self.kind {
            Kind::Console { mesh, .. } => *mesh == inside,
            Kind::File { .. } => true,
            Kind::NotRun(_) | Kind::Other => false,
        }
    }
}

impl Kind {
    fn of(info: &str, line: usize, text: String) -> Result<Self, String> {
        let (language, rest) = info.split_once(' ').unwrap_or((info, ""));
        if language != "console" {
            return match rest.strip_prefix("file=") {
                Some(name) => Ok(Self::File { name: name.to_owned(), text }),
                None if rest.is_empty() => Ok(Self::Other),
                None => Err(format!("`{rest}` is not `file=NAME`")),
            };
        }
        if let Some(why) = rest.strip_prefix("not-run:") {
            return match why.trim() {
                "" => Err("`not-run:` without the reason; write one".to_owned()),
                why => Ok(Self::NotRun(why.to_owned())),
            };
        }
        let (mut terminal, mut mesh, mut envoy) = (None, false, false);
        for word in rest.split_whitespace() {
            match word {
                "mesh" => mesh = true,
                "envoy" => envoy = true,
                word => match word.strip_prefix("terminal=") {
                    Some(name) => terminal = Some(name.to_owned()),
                    None => return Err(format!("`{word}` is not `envoy`, `mesh`, `terminal=NAME` or `not-run: WHY`")),
                },
            }
        }
        let entries = entries(line, &text);
        if terminal.is_none() && entries.iter().any(|entry| entry.command.is_empty()) {
            return Err("text before the first `$ `; begin with a command".to_owned());
        }
        Ok(Self::Console { entries, terminal, mesh, envoy })
    }
}

/// The commands of a block: lines with `$ `, continued by `> ` or after `\`.
fn entries(first: usize, text: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let goes_on = entries.last().is_some_and(|entry| entry.output.is_empty() && entry.command.ends_with('\\'));
        match (line.strip_prefix("$ "), entries.last_mut()) {
            (Some(command), _) => {
                entries.push(Entry { line: first + number, command: command.to_owned(), output: Vec::new() });
            }
            (None, Some(entry)) if goes_on || (entry.output.is_empty() && line.starts_with("> ")) => {
                entry.command.push('\n');
                entry.command.push_str(line.strip_prefix("> ").unwrap_or(line));
            }
            (None, Some(entry)) => entry.output.push(line.trim_end().to_owned()),
            (None, None) => {
                entries.push(Entry { line: first, command: String::new(), output: vec![line.trim_end().to_owned()] });
            }
        }
    }
    entries
}

/// The anchor that GitHub gives a heading.
fn slug(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// What HTML refers to.
fn references(html: &str) -> Vec<String> {
    let attributes = ["src=\"", "href=\"", "srcset=\""];
    let values = attributes.iter().flat_map(|attribute| html.split(attribute).skip(1));
    values.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_commands_files_links_and_anchors() {
        let text = "# A `b`, c\n\n## c\n## c\n[x](y.md#z) ![p](p.svg) `[no](no.md)`\n\n<img src=\"a.svg\">\n\n\
            ```yaml file=a.yaml\nkind: A\n```\n```console envoy\n$ one \\\n  two\nout\n$ three\n> four\n```\n```console terminal=t mesh\nline\n```\n\
            ```console not-run: needs a registry\n$ x\n```\n";
        let page = Page::parse(Path::new("a.md"), text).unwrap();
        assert_eq!(page.anchors.iter().map(String::as_str).collect::<Vec<_>>(), ["a-b-c", "c", "c-1"]);
        assert_eq!(page.links, [(5, "y.md#z".to_owned()), (5, "p.svg".to_owned()), (7, "a.svg".to_owned())]);
        let entry = |line, command: &str, output: &[&str]| Entry {
            line,
            command: command.into(),
            output: output.iter().map(|line| (*line).to_owned()).collect(),
        };
        let expected = [
            (10, Kind::File { name: "a.yaml".into(), text: "kind: A\n".into() }),
            (
                13,
                Kind::Console {
                    entries: vec![entry(13, "one \\\n  two", &["out"]), entry(16, "three\nfour", &[])],
                    terminal: None,
                    mesh: false,
                    envoy: true,
                },
            ),
            (
                20,
                Kind::Console {
                    entries: vec![entry(20, "", &["line"])],
                    terminal: Some("t".into()),
                    mesh: true,
                    envoy: false,
                },
            ),
            (23, Kind::NotRun("needs a registry".into())),
        ];
        assert_eq!(page.blocks.into_iter().map(|block| (block.line, block.kind)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn words_that_mean_nothing_are_refused() {
        let refused = |text: &str| Page::parse(Path::new("a.md"), text).err().unwrap().to_string();
        assert_eq!(
            refused("```console msh\n$ x\n```\n"),
            "a.md:2: `msh` is not `envoy`, `mesh`, `terminal=NAME` or `not-run: WHY`"
        );
        assert_eq!(refused("```console not-run:\n$ x\n```\n"), "a.md:2: `not-run:` without the reason; write one");
        assert_eq!(refused("```yaml a.yaml\n```\n"), "a.md:2: `a.yaml` is not `file=NAME`");
        assert_eq!(refused("```console\nx\n```\n"), "a.md:2: text before the first `$ `; begin with a command");
    }
}
