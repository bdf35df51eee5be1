//! Which file of a crate imports from which, by its paths: `crate::..`, `super::..`, `self::..`, and those that begin with the
//! name of a module below.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A module by the names on the way to it; the crate itself has none.
type Module = Vec<String>;

/// All source files below a folder, with their texts.
pub(crate) fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push((path.clone(), fs::read_to_string(path).unwrap()));
        }
    }
    found
}

/// The files of a crate's `src`, each with the other ones that it imports from.
pub(crate) fn imports(src: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let files: BTreeMap<Module, (String, String)> = sources(src)
        .into_iter()
        .map(|(path, text)| {
            let name = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            (module_of(&name), (name, text))
        })
        .collect();
    let mut graph = BTreeMap::new();
    for (module, (name, text)) in &files {
        let mut reader = Reader { files: &files, module: module.clone(), found: BTreeSet::new() };
        reader.read(text.parse().unwrap_or_else(|error| panic!("{name}: {error}")));
        reader.found.remove(name);
        graph.insert(name.clone(), reader.found);
    }
    graph
}

fn module_of(file: &str) -> Module {
    let path = file.strip_suffix(".rs").unwrap();
    let mut module: Module = path.split('/').map(str::to_owned).collect();
    if matches!(module.last().map(String::as_str), Some("lib" | "main" | "mod")) {
        module.pop();
    }
    module
}

struct Reader<'a> {
    files: &'a BTreeMap<Module, (String, String)>,
    /// Where the tokens stand; modules within a file count.
    module: Module,
    found: BTreeSet<String>,
}

impl Reader<'_> {
    fn read(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at..] {
                [TokenTree::Ident(word), TokenTree::Ident(name), TokenTree::Group(body), ..]
                    if word == "mod" && body.delimiter() == Delimiter::Brace =>
                {
                    self.module.push(name.to_string());
                    self.read(body.stream());
                    self.module.pop();
                    at += 3;
                    continue;
                }
                [TokenTree::Ident(_), TokenTree::Punct(one), TokenTree::Punct(two), ..]
                    if one.as_char() == ':' && two.as_char() == ':' && !follows_colons(&tokens, at) =>
                {
                    self.path(&tokens[at..], self.module.clone(), false);
                }
                [TokenTree::Group(group), ..] => self.read(group.stream()),
                _ => {}
            }
            at += 1;
        }
    }

    /// Takes up a path, or a tree of them, that begins in a module; `known` says whether it is one of this crate.
    fn path(&mut self, mut tokens: &[TokenTree], mut at: Module, mut known: bool) {
        loop {
            match tokens {
                [TokenTree::Ident(word), rest @ ..] => {
                    match word.to_string().as_str() {
                        "crate" => (at, known) = (Module::new(), true),
                        "super" => {
                            at.pop();
                            known = true;
                        }
                        "self" => known = true,
                        name => {
                            at.push(name.to_owned());
                            known |= self.files.contains_key(&at);
                        }
                    }
                    match rest {
                        [TokenTree::Punct(one), TokenTree::Punct(two), rest @ ..]
                            if one.as_char() == ':' && two.as_char() == ':' =>
                        {
                            tokens = rest;
                        }
                        _ => break,
                    }
                }
                [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Brace => {
                    let inner: Vec<TokenTree> = group.stream().into_iter().collect();
                    let comma = |token: &TokenTree| matches!(token, TokenTree::Punct(sign) if sign.as_char() == ',');
                    for tree in inner.split(comma).filter(|_| known) {
                        self.path(tree, at.clone(), known);
                    }
                    return;
                }
                _ => break,
            }
        }
        if known {
            let file = (0..=at.len()).rev().find_map(|length| self.files.get(&at[..length]));
            self.found.extend(file.map(|(name, _)| name.clone()));
        }
    }
}

fn follows_colons(tokens: &[TokenTree], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| tokens.get(before));
    matches!(before, Some(TokenTree::Punct(sign)) if sign.as_char() == ':')
        && matches!(at.checked_sub(2).and_then(|before| tokens.get(before)), Some(TokenTree::Punct(sign)) if sign.as_char() == ':')
}

/// A circle in a graph, from a node back to itself.
pub(crate) fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let (mut done, mut way) = (BTreeSet::new(), Vec::new());
    graph.keys().find_map(|node| visit(node, graph, &mut done, &mut way))
}

fn visit(
    node: &str,
    graph: &BTreeMap<String, BTreeSet<String>>,
    done: &mut BTreeSet<String>,
    way: &mut Vec<String>,
) -> Option<Vec<String>> {
    if let Some(start) = way.iter().position(|other| other == node) {
        return Some(way[start..].iter().cloned().chain([node.to_owned()]).collect());
    }
    if done.contains(node) {
        return None;
    }
    way.push(node.to_owned());
    let found = graph[node].iter().find_map(|next| visit(next, graph, done, way));
    way.pop();
    done.insert(node.to_owned());
    found
}
