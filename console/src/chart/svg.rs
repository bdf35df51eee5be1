//! Writes SVG: elements in order, attributes as given, all text escaped.

use std::fmt::Write;

use crate::chart::caption::Caption;
use crate::number::plain;

/// A text as it stands in HTML or XML, in an element or a quoted attribute. What XML cannot hold, control characters, becomes U+FFFD.
///
/// ```
/// assert_eq!(serin_console::chart::svg::escape("<a & 'b'>\u{1}"), "&lt;a &amp; &#39;b&#39;&gt;\u{fffd}");
/// ```
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(char),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            char if char.is_control() => out.push('\u{fffd}'),
            char => out.push(char),
        }
    }
    out
}

/// At most so many characters of a text, the last one an ellipsis where some are left out.
#[must_use]
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// A text, which is escaped.
    Text(&'a str),
    /// A number, with two decimals at most.
    Number(f64),
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value<'_> {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

/// A picture that is being written.
#[derive(Debug)]
pub struct Svg {
    out: String,
    open: Vec<&'static str>,
}

impl Svg {
    /// Begins a picture of a class, so wide and high in its own units, with its title and description.
    #[must_use]
    pub fn new(class: &str, width: f64, height: f64, caption: &Caption<'_>) -> Self {
        Self::of_role("img", class, (width, height), caption)
    }

    /// Begins a picture of another role: what is within an `img` is not there for a screen reader, links neither.
    #[must_use]
    pub fn of_role(role: &str, class: &str, (width, height): (f64, f64), caption: &Caption<'_>) -> Self {
        let mut svg = Self { out: String::new(), open: Vec::new() };
        let (title, desc) = (format!("{}-title", caption.id), format!("{}-desc", caption.id));
        let labels = if caption.desc.is_empty() { title.clone() } else { format!("{title} {desc}") };
        let view_box = format!("0 0 {} {}", plain(width), plain(height));
        svg.begin(
            "svg",
            &[
                ("xmlns", "http://www.w3.org/2000/svg".into()),
                ("class", class.into()),
                ("viewBox", view_box.as_str().into()),
                ("role", role.into()),
                ("aria-labelledby", labels.as_str().into()),
            ],
        );
        svg.text("title", &[("id", title.as_str().into())], caption.title);
        if !caption.desc.is_empty() {
            svg.text("desc", &[("id", desc.as_str().into())], caption.desc);
        }
        svg
    }

    /// Begins an element that holds others; [`end`](Self::end) ends it.
    pub fn begin(&mut self, tag: &'static str, attributes: &[(&str, Value<'_>)]) {
        self.tag(tag, attributes);
        self.out.push_str(">\n");
        self.open.push(tag);
    }

    /// Ends the element that was begun last.
    pub fn end(&mut self) {
        if let Some(tag) = self.open.pop() {
            self.indent();
            let _ = writeln!(self.out, "</{tag}>");
        }
    }

    /// An element without content.
    pub fn leaf(&mut self, tag: &'static str, attributes: &[(&str, Value<'_>)]) {
        self.tag(tag, attributes);
        self.out.push_str("/>\n");
    }

    /// An element that holds nothing but a text.
    pub fn text(&mut self, tag: &'static str, attributes: &[(&str, Value<'_>)], text: &str) {
        self.tag(tag, attributes);
        let _ = writeln!(self.out, ">{}</{tag}>", escape(text));
    }

    /// A text of a class at a place; `anchor` is `start`, `middle` or `end`.
    pub fn label(&mut self, class: &str, (x, y): (f64, f64), anchor: &str, text: &str) {
        self.text(
            "text",
            &[("class", class.into()), ("x", x.into()), ("y", y.into()), ("text-anchor", anchor.into())],
            text,
        );
    }

    /// A straight line of a class.
    pub fn stroke(&mut self, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
        self.leaf(
            "line",
            &[("class", class.into()), ("x1", x1.into()), ("y1", y1.into()), ("x2", x2.into()), ("y2", y2.into())],
        );
    }

    /// A rectangle of a class.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.leaf(
            "rect",
            &[
                ("class", class.into()),
                ("x", x.into()),
                ("y", y.into()),
                ("width", width.max(0.0).into()),
                ("height", height.max(0.0).into()),
            ],
        );
    }

    /// Ends all that is open, and the picture.
    #[must_use]
    pub fn finish(mut self) -> String {
        while !self.open.is_empty() {
            self.end();
        }
        self.out
    }

    fn tag(&mut self, tag: &str, attributes: &[(&str, Value<'_>)]) {
        self.indent();
        let _ = write!(self.out, "<{tag}");
        for (name, value) in attributes {
            let value = match value {
                Value::Text(text) => escape(text),
                Value::Number(number) => plain(*number),
            };
            let _ = write!(self.out, " {name}=\"{value}\"");
        }
    }

    fn indent(&mut self) {
        self.out.extend(std::iter::repeat_n(' ', self.open.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::{Svg, shorten};
    use crate::chart::caption::Caption;

    #[test]
    fn a_picture_is_closed_and_escaped() {
        let mut svg = Svg::new("c", 10.0, 5.5, &Caption { id: "a\"b", title: "<t>", desc: "" });
        svg.begin("g", &[("class", "x".into())]);
        svg.rect("r", (0.125, 1.0), (-3.0, 2.0));
        let expected = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"c\" viewBox=\"0 0 10 5.5\" role=\"img\" \
            aria-labelledby=\"a&quot;b-title\">\n <title id=\"a&quot;b-title\">&lt;t&gt;</title>\n <g class=\"x\">\n  \
            <rect class=\"r\" x=\"0.12\" y=\"1\" width=\"0\" height=\"2\"/>\n </g>\n</svg>\n";
        assert_eq!(svg.finish(), expected);
    }

    #[test]
    fn long_texts_are_shortened_by_characters() {
        assert_eq!([shorten("äöü", 3), shorten("äöüß", 3), shorten("ab", 0)], ["äöü", "äö…", "…"]);
    }
}
