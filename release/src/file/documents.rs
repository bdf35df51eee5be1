//! The documents of a YAML file as they are written: one of them is read or written, and all others stay as they are, comments
//! included.

use std::ops::Range;

use super::object::{id_of, objects};
use crate::problem::Problem;
use crate::yaml::{Node, documents};

/// A text with another document for an object, or without it. A document that is not there yet comes last.
///
/// # Errors
/// The object is an item of a list, so that it has no document of its own.
pub fn rewritten(text: &str, object: (&str, &str), document: Option<&str>) -> Result<String, Problem> {
    let (mut written, mut is_there) = (String::new(), false);
    for piece in pieces(text) {
        if !holds(&piece, object) {
            written.push_str(&piece);
            continue;
        }
        if !is_alone(&piece) {
            let problem = format!("its {} is an item of a list, which is not written to", object.0);
            let problem = Problem::new("", problem, "make it a document of its own, between lines of `---`");
            return Err(problem.in_object(object.1));
        }
        is_there = true;
        let ends = piece.lines().last().is_some_and(|line| line.trim_end() == "...");
        if let Some(document) = document {
            written.extend(head(&piece).chain([document, if ends { "...\n" } else { "" }]));
        }
    }
    if let Some(document) = document.filter(|_| !is_there) {
        let has_line = written.is_empty() || written.ends_with('\n');
        let begin = if documents(&written).is_ok_and(|nodes| nodes.is_empty()) { "" } else { "---\n" };
        written.extend([if has_line { "" } else { "\n" }, begin, document]);
    }
    Ok(written)
}

/// Whether a piece has an object of this kind and id.
fn holds(piece: &str, (kind, id): (&str, &str)) -> bool {
    let nodes = documents(piece).unwrap_or_default();
    let is_it = |node: &&Node| node.get("kind").and_then(Node::scalar) == Some(kind) && id_of(node).as_deref() == Some(id);
    nodes.iter().flat_map(objects).any(|node| is_it(&node))
}

/// Whether the objects of a piece are documents, and not items of a list.
fn is_alone(piece: &str) -> bool {
    let nodes = documents(piece).unwrap_or_default();
    nodes.iter().all(|node| objects(node).iter().all(|object| std::ptr::eq(*object, node)))
}

/// Where the document of an object stands in a text, in bytes: without what stands above it. Lines of it are counted from there.
#[must_use]
pub fn place(text: &str, object: (&str, &str)) -> Option<Range<usize>> {
    let mut begin = 0;
    for piece in pieces(text) {
        let end = begin + piece.len();
        if holds(&piece, object) && is_alone(&piece) {
            let above: usize = above(&piece).map(str::len).sum();
            return Some(begin + above..end);
        }
        begin = end;
    }
    None
}

/// The documents of a text as they are written, each with the line that begins it and the line that ends it.
fn pieces(text: &str) -> Vec<String> {
    let (mut pieces, mut piece) = (Vec::new(), String::new());
    for line in text.split_inclusive('\n') {
        let begins = line.strip_prefix("---").is_some_and(|rest| rest.trim_start() != rest || rest.is_empty());
        if begins {
            pieces.push(std::mem::take(&mut piece));
        }
        piece.push_str(line);
        if line.trim_end() == "..." {
            pieces.push(std::mem::take(&mut piece));
        }
    }
    pieces.push(piece);
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// What stands before the text of a document: the line that begins it, and comments.
fn head(piece: &str) -> impl Iterator<Item = &str> {
    // A comment of the line that begins it is about what was there.
    above(piece).map(|line| if line.starts_with("---") { "---\n" } else { line })
}

/// The same as it is written.
fn above(piece: &str) -> impl Iterator<Item = &str> {
    let is_free = |line: &&str| line.trim().is_empty() || line.starts_with('#');
    let begin = piece.split_inclusive('\n').next().filter(|line| line.starts_with("---"));
    let rest = piece.split_inclusive('\n').skip(usize::from(begin.is_some())).take_while(is_free);
    begin.into_iter().chain(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CART: (&str, &str) = ("CanaryRelease", "shop/cart");
    const FILE: &str = "kind: Standalone\n--- # ours\n# of the cart team\n\nkind: CanaryRelease\nmetadata: {name: cart, namespace: shop}\n---\nkind: \
                        CanaryControl\nmetadata: {name: cart, namespace: shop}\n";

    #[test]
    fn a_document_is_found_by_kind_and_name() {
        let of = |object| place(FILE, object).and_then(|place| FILE.get(place));
        assert_eq!(of(CART), Some("kind: CanaryRelease\nmetadata: {name: cart, namespace: shop}\n"));
        assert_eq!(
            of(("CanaryControl", "shop/cart")),
            Some("kind: CanaryControl\nmetadata: {name: cart, namespace: shop}\n")
        );
        assert_eq!(of(("CanaryRelease", "shop/search")), None);
        assert_eq!(
            place("kind: List\nitems: [{kind: CanaryRelease, metadata: {name: cart, namespace: shop}}]\n", CART),
            None
        );
    }

    #[test]
    fn one_document_is_written_or_taken_away() {
        let with = |object, document| rewritten(FILE, object, document).unwrap();
        let written = with(CART, Some("new: 1\n"));
        assert_eq!(
            written,
            FILE.replace("# ours", "")
                .replace("--- \n", "---\n")
                .replace("kind: CanaryRelease\nmetadata: {name: cart, namespace: shop}\n", "new: 1\n")
        );
        assert_eq!(
            with(CART, None),
            "kind: Standalone\n---\nkind: CanaryControl\nmetadata: {name: cart, namespace: shop}\n"
        );
        assert_eq!(with(("CanaryRelease", "shop/new"), Some("new: 1\n")), format!("{FILE}---\nnew: 1\n"));
    }
}
