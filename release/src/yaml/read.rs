//! From the events of a YAML parser to nodes.

use std::collections::HashMap;

use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span, Tag};

use super::node::{Content, Key, Node, plain};
use super::words;
use crate::problem::Problem;

/// How deep values may lie in one another: several times what any kind needs.
const DEPTH: usize = 100;

/// How many nodes aliases may add to a file, so that a few lines cannot fill the memory.
const ALIASED: usize = 1_000_000;

/// The documents of a YAML text, or of JSON, which is YAML too. Documents without content are left out.
///
/// # Errors
/// The first place where the text is not YAML.
pub fn documents(text: &str) -> Result<Vec<Node>, Problem> {
    let mut options = Options::default();
    options.emit_comments = false;
    options.bom_inside_document_as_content = true;
    (options.flow_nesting_limit, options.block_nesting_limit) = (DEPTH, DEPTH);
    let mut reader = Reader {
        text,
        parser: Parser::new_from_str_with_options(text.strip_prefix('\u{feff}').unwrap_or(text), options),
        anchors: HashMap::new(),
        aliased: 0,
    };
    let mut documents = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(documents),
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::DocumentEnd, _) => reader.anchors.clear(),
            (event, span) => {
                let node = reader.node(event, span).map_err(Fault::problem)?;
                if node.content != Content::Null {
                    documents.push(node);
                }
            }
        }
    }
}

/// A problem whose path grows on its way out.
struct Fault {
    problem: Box<Problem>,
    path: Vec<String>,
}

impl Fault {
    fn within(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }

    fn problem(self) -> Problem {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            if !path.is_empty() && !step.starts_with('[') {
                path.push('.');
            }
            path.push_str(step);
        }
        Problem { path, ..*self.problem }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem: Box::new(problem), path: Vec::new() }
    }
}

struct Reader<'t> {
    text: &'t str,
    parser: Parser<'t, granit_parser::StrInput<'t>>,
    anchors: HashMap<usize, Node>,
    /// The number of nodes that aliases have added.
    aliased: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Problem> {
        match self.parser.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => Err(self.syntax(&error)),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn syntax(&self, error: &ScanError) -> Problem {
        let place = place(error.marker());
        let problem = words::syntax(self.text, place, error.kind());
        if problem.line.is_some() { problem } else { problem.at(place) }
    }

    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Fault> {
        let place = place(&span.start);
        let (content, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(text.into_owned(), style, tag.as_deref()), anchor),
            Event::SequenceStart(_, anchor, _) => (Content::List(self.list()?), anchor),
            Event::MappingStart(_, anchor, _) => (Content::Map(self.map()?), anchor),
            Event::Alias(anchor) => return Ok(self.alias(anchor, place)?),
            _ => (Content::Null, 0),
        };
        let node = Node { place, content };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, place: (u32, u32)) -> Result<Node, Problem> {
        let problem = |problem: &str, fix: &str| Problem::new("", problem, fix).at(place);
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(problem("an alias stands inside of its own anchor", "write the value out"));
        };
        self.aliased += size(node);
        match self.aliased > ALIASED {
            true => Err(problem("aliases make the text too large", "write fewer of them inside of one another")),
            false => Ok(node.clone()),
        }
    }

    fn list(&mut self) -> Result<Vec<Node>, Fault> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(items),
                (event, span) => {
                    let item = self.node(event, span).map_err(|fault| fault.within(format!("[{}]", items.len())))?;
                    items.push(item);
                }
            }
        }
    }

    fn map(&mut self) -> Result<Vec<(Key, Node)>, Fault> {
        let mut fields: Vec<(Key, Node)> = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut merged: Vec<Node> = Vec::new();
        loop {
            let (event, span) = self.next()?;
            let at = place(&span.start);
            let (name, style) = match event {
                Event::MappingEnd | Event::StreamEnd => break,
                Event::Scalar(name, style, ..) => (name.into_owned(), style),
                _ => return Err(words::not_a_name(self.text, at).at(at).into()),
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span).map_err(|fault| fault.within(name.as_str()))?;
            if name == "<<" && style == ScalarStyle::Plain {
                merged.push(value);
                continue;
            }
            if let Some(line) = names.insert(name.clone(), at.0.try_into().unwrap_or_default()) {
                let problem =
                    Problem::new("", format!("`{name}` stands here twice, first in line {line}"), "keep one of them");
                return Err(Fault::from(problem.at(at)).within(name));
            }
            fields.push((Key { place: at, name }, value));
        }
        for node in merged {
            let nodes = match node.content {
                Content::List(nodes) => nodes,
                _ => vec![node],
            };
            for (key, node) in nodes.into_iter().filter_map(fields_of).flatten() {
                if names.insert(key.name.clone(), 0).is_none() {
                    fields.push((key, node));
                }
            }
        }
        Ok(fields)
    }
}

fn fields_of(node: Node) -> Option<Vec<(Key, Node)>> {
    match node.content {
        Content::Map(fields) => Some(fields),
        _ => None,
    }
}

fn scalar(text: String, style: ScalarStyle, tag: Option<&Tag>) -> Content {
    match (tag.and_then(Tag::core_suffix), style) {
        (Some("str"), _) => Content::Text(text),
        (Some(_), _) | (None, ScalarStyle::Plain) => plain(text),
        (None, _) => Content::Text(text),
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.content {
        Content::List(items) => items.iter().map(size).sum(),
        Content::Map(fields) => fields.iter().map(|(_, node)| size(node)).sum(),
        _ => 0,
    }
}

fn place(marker: &granit_parser::Marker) -> (u32, u32) {
    let number = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    (number(marker.line()), number(marker.col()).saturating_add(1))
}
