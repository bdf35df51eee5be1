//! A trace as a tree.

use std::collections::BTreeMap;

use serde::Serialize;

use super::span::{Kind, Span};

/// One request, and all that was done for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Trace {
    /// Its id.
    pub id: String,
    /// When its first span began, in microseconds since 1970.
    pub start: u64,
    /// Until its last span ended, in microseconds.
    pub duration: u64,
    /// The spans that nothing else caused, in the order of time. One whose parent was never reported is among them.
    pub roots: Vec<Node>,
    /// How many spans of it were not kept.
    pub dropped: usize,
}

/// A span with what it caused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// The span.
    pub span: Span,
    /// What it caused, in the order of time.
    pub children: Vec<Node>,
}

impl Trace {
    /// All spans with their depths, each one before what it caused.
    #[must_use]
    pub fn flat(&self) -> Vec<(usize, &Span)> {
        let mut all = Vec::new();
        let mut left: Vec<(usize, &Node)> = self.roots.iter().rev().map(|root| (0, root)).collect();
        while let Some((depth, node)) = left.pop() {
            all.push((depth, &node.span));
            left.extend(node.children.iter().rev().map(|child| (depth + 1, child)));
        }
        all
    }
}

/// When a trace began and how long it took; spans that do not say when they began do not count.
pub(super) fn extent(spans: &[Span]) -> (u64, u64) {
    let timed = || spans.iter().filter(|span| span.start > 0);
    let start = timed().map(|span| span.start).min().unwrap_or_default();
    let end = timed().map(|span| span.start.saturating_add(span.duration)).max().unwrap_or_default();
    let longest = spans.iter().map(|span| span.duration).max().unwrap_or_default();
    (start, end.saturating_sub(start).max(longest))
}

/// The tree of a trace's spans.
pub(super) fn trace(id: &str, spans: &[Span], dropped: usize) -> Trace {
    let mut ordered: Vec<&Span> = spans.iter().collect();
    ordered.sort_by(|one, other| order(one).cmp(&order(other)));
    let parents: Vec<Option<usize>> = (0..ordered.len()).map(|index| parent(&ordered, index)).collect();
    let mut children: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
    for (index, parent) in parents.iter().enumerate() {
        // Of spans that are said to cause each other the first one has no parent.
        let parent = parent.filter(|_| !is_first_of_circle(&parents, index));
        children.entry(parent).or_default().push(index);
    }
    let (start, duration) = extent(spans);
    Trace { id: id.to_owned(), start, duration, roots: nodes(&ordered, &children, None), dropped }
}

/// Spans by time; those of one moment by what tells them apart, so that the same spans always make the same tree.
fn order(span: &Span) -> (u64, bool, &str, Kind, &str) {
    (span.start, span.parent.is_some(), &span.id, span.kind, &span.service)
}

/// The span that caused another one. Where both sides of a call share an id, the caller causes the side that is called, and that one what is
/// done from there on.
fn parent(spans: &[&Span], index: usize) -> Option<usize> {
    let own = spans.get(index)?;
    let is_called = |span: &Span| matches!(span.kind, Kind::Server | Kind::Consumer);
    let find = |id: &str, called: bool| {
        spans.iter().enumerate().position(|(at, span)| at != index && span.id == id && is_called(span) == called)
    };
    let shared = Some(own).filter(|own| is_called(own)).and_then(|own| find(&own.id, false));
    shared.or_else(|| own.parent.as_deref().and_then(|parent| find(parent, true).or_else(|| find(parent, false))))
}

/// Whether the way up from a span leads back to it, and it is the first one of those on the way.
fn is_first_of_circle(parents: &[Option<usize>], index: usize) -> bool {
    let up = |at: usize| parents.get(at).copied().flatten();
    let (mut at, mut first) = (up(index), index);
    for _ in 0..parents.len() {
        match at {
            None => return false,
            Some(here) if here == index => return first == index,
            Some(here) => (at, first) = (up(here), first.min(here)),
        }
    }
    false
}

fn nodes(spans: &[&Span], children: &BTreeMap<Option<usize>, Vec<usize>>, parent: Option<usize>) -> Vec<Node> {
    let own = children.get(&parent).into_iter().flatten();
    own.filter_map(|index| {
        let span = (*spans.get(*index)?).clone();
        Some(Node { span, children: nodes(spans, children, Some(*index)) })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str, kind: Kind, start: u64, service: &str) -> Span {
        Span {
            trace_id: "t".to_owned(),
            id: id.to_owned(),
            parent: Some(parent.to_owned()).filter(|parent| !parent.is_empty()),
            name: format!("{service} {id}"),
            kind,
            service: service.to_owned(),
            start,
            duration: 10,
            tags: BTreeMap::new(),
            error: false,
        }
    }

    /// Depths and names of a tree, whatever the order is in which its spans came.
    fn drawn(spans: &[Span]) -> Vec<String> {
        let draw = |spans: &[Span]| -> Vec<String> {
            let tree = trace("t", spans, 0);
            tree.flat().into_iter().map(|(depth, span)| format!("{}{}", "  ".repeat(depth), span.name)).collect()
        };
        let drawn = draw(spans);
        assert_eq!(drawn.len(), spans.len());
        for turn in 0..spans.len() {
            let mut turned = spans.to_vec();
            turned.rotate_left(turn);
            assert_eq!(draw(&turned), drawn);
        }
        drawn
    }

    #[test]
    fn spans_hang_below_what_caused_them_in_the_order_of_time() {
        let spans = [
            span("c", "b", Kind::Server, 30, "reviews"),
            span("e", "a", Kind::Client, 50, "serin"),
            span("b", "a", Kind::Client, 20, "serin"),
            span("a", "", Kind::Server, 10, "serin"),
            span("d", "c", Kind::Local, 40, "reviews"),
        ];
        assert_eq!(drawn(&spans), ["serin a", "  serin b", "    reviews c", "      reviews d", "  serin e"]);
        let tree = trace("t", &spans, 3);
        assert_eq!((tree.start, tree.duration, tree.dropped, tree.roots.len()), (10, 50, 3, 1));
    }

    #[test]
    fn both_sides_of_a_call_may_share_an_id() {
        let spans = [
            span("a", "", Kind::Server, 10, "serin"),
            span("b", "a", Kind::Client, 20, "serin"),
            // The clock of the called one is behind.
            span("b", "a", Kind::Server, 15, "reviews"),
            span("c", "b", Kind::Client, 25, "reviews"),
        ];
        assert_eq!(drawn(&spans), ["serin a", "  serin b", "    reviews b", "      reviews c"]);
    }

    #[test]
    fn a_span_whose_parent_is_missing_is_a_root() {
        let spans = [
            span("b", "gone", Kind::Client, 20, "one"),
            span("a", "gone", Kind::Server, 10, "two"),
            span("c", "b", Kind::Server, 0, "three"),
        ];
        assert_eq!(drawn(&spans), ["two a", "one b", "  three c"]);
        // One that does not say when it began is as long as it says.
        assert_eq!(extent(&spans), (10, 20));
        assert_eq!(extent(&spans[2..]), (0, 10));
        assert_eq!(extent(&[]), (0, 0));
    }

    #[test]
    fn spans_that_are_said_to_cause_each_other_are_all_there() {
        let spans = [
            span("a", "c", Kind::Local, 10, "x"),
            span("b", "a", Kind::Local, 20, "x"),
            span("c", "b", Kind::Local, 30, "x"),
            span("d", "c", Kind::Local, 40, "x"),
            span("e", "e", Kind::Local, 5, "x"),
        ];
        assert_eq!(drawn(&spans), ["x e", "x a", "  x b", "    x c", "      x d"]);
    }
}
