//! CONTROL of the command line: YAML documents that are CanaryControls alone, beside the FILE with their releases.

use std::path::Path;
use std::sync::Arc;

use super::documents::rewritten;
use super::object::{check_foreign, display_name, not_utf8, objects, of_kind, placed, without_kind};
use crate::api::API_VERSION;
use crate::lifecycle::control::{CanaryControl, Control};
use crate::problem::{Problem, Problems};
use crate::yaml::{Node, documents};

/// What people say of the releases of another file.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    /// Each with its line and character.
    all: Vec<(CanaryControl, (u32, u32))>,
    /// The file's name and text.
    source: (String, Arc<str>),
}

fn id(control: &CanaryControl) -> String {
    format!("{}/{}", control.metadata.namespace, control.metadata.name)
}

impl Controls {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// All documents that are not CanaryControls, or are the second one of a release.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Problems> {
        let name = display_name(path);
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|error| not_utf8(bytes, error.valid_up_to()).in_file(name.as_str()))?;
        let documents = documents(text).map_err(|problem| problem.in_file(name.as_str()))?;
        let (mut all, mut problems) = (Vec::new(), Vec::new());
        for node in documents.iter().flat_map(objects) {
            match control(node, &all) {
                Ok(control) => all.push((control, node.place)),
                Err(problem) => problems.push(placed(problem, node).in_file(name.as_str())),
            }
        }
        if problems.is_empty() { Ok(Self { all, source: (name, text.into()) }) } else { Err(Problems(problems)) }
    }

    /// The releases that they are about, as `NAMESPACE/NAME`.
    pub fn ids(&self) -> impl Iterator<Item = String> {
        self.all.iter().map(|(control, _)| id(control))
    }

    /// What is said of a release.
    #[must_use]
    pub fn of(&self, release: &str) -> Option<&Control> {
        self.find(release).map(|(control, _)| control)
    }

    /// The same with its line and character.
    pub(super) fn find(&self, release: &str) -> Option<(&Control, (u32, u32))> {
        let found = self.all.iter().find(|(control, _)| id(control) == release);
        found.map(|(control, place)| (&control.spec, *place))
    }

    /// The name of the file, as messages give it.
    pub(super) fn file(&self) -> &str {
        &self.source.0
    }

    /// The text of the file with another document for the control of a release. All others stay as they are, comments included.
    ///
    /// # Errors
    /// The control is an item of a list, so that it has no document of its own.
    pub fn rewritten(&self, release: &str, document: &str) -> Result<String, Problem> {
        let written = rewritten(&self.source.1, ("CanaryControl", release), Some(document));
        written.map_err(|problem| problem.in_file(self.source.0.as_str()))
    }
}

/// The control in an object; each release has one.
fn control(node: &Node, others: &[(CanaryControl, (u32, u32))]) -> Result<CanaryControl, Problem> {
    let head = |name: &str| node.get(name).and_then(Node::scalar);
    let (Some(api_version), Some(kind)) = (head("apiVersion"), head("kind")) else {
        return Err(without_kind(node, "CanaryControl"));
    };
    if (api_version, kind) != (API_VERSION, "CanaryControl") {
        if api_version != API_VERSION || !matches!(kind, "CanaryRelease" | "Standalone") {
            check_foreign(node, api_version, kind)?;
        }
        let place = node.entry("kind").map_or(node.place, |(key, _)| key.place);
        let fix = "move it to FILE (-f), since this one holds CanaryControls alone";
        return Err(Problem::new("kind", format!("`{kind}` is not read from a file of controls"), fix).at(place));
    }
    let control: CanaryControl = of_kind(node)?;
    control.spec.check()?;
    match others.iter().find(|(other, _)| id(other) == id(&control)) {
        Some((_, (line, _))) => {
            let problem = format!("line {line} has a CanaryControl of this release already");
            Err(Problem::new("metadata.name", problem, "keep one of them"))
        }
        None => Ok(control),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, spec: &str) -> String {
        format!(
            "apiVersion: serin.dev/v1alpha1\nkind: CanaryControl\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n"
        )
    }

    fn read(text: &str) -> Result<Controls, String> {
        Controls::parse(Path::new("c.yaml"), text.as_bytes()).map_err(|problems| problems.to_string())
    }

    fn error(text: &str) -> String {
        read(text).err().unwrap_or_else(|| "valid".to_owned())
    }

    fn with(text: &str, name: &str, document: &str) -> String {
        read(text).unwrap().rewritten(&format!("shop/{name}"), document).unwrap()
    }

    #[test]
    fn a_file_of_controls_holds_controls_alone() {
        for none in ["", "\n", "# nobody says anything\n", "---\n---\n"] {
            assert_eq!(read(none).unwrap().ids().count(), 0, "{none}");
        }
        let two = format!("{}---\n{}", of("cart", "{paused: true}"), of("search", "{}"));
        let controls = read(&two).unwrap();
        assert_eq!(controls.ids().collect::<Vec<_>>(), ["shop/cart", "shop/search"]);
        assert!(controls.of("shop/cart").unwrap().paused);
        assert_eq!(controls.of("shop/none"), None);
        for (text, expected) in [
            (
                of("cart", "{}") + "---\n" + &of("cart", "{}"),
                "c.yaml:8:12: shop/cart: metadata.name: line 1 has a CanaryControl of this release already; keep one of them",
            ),
            (
                of("cart", "{hold: {kind: Takeover}}"),
                "c.yaml:4:8: shop/cart: spec.hold: a Takeover names the version that gets everybody; add `version`",
            ),
            (
                of("cart", "{}").replace("CanaryControl", "CanaryRelease"),
                "c.yaml:2:1: shop/cart: kind: `CanaryRelease` is not read from a file of controls; move it to FILE (-f), since this one \
                 holds CanaryControls alone",
            ),
            (
                "kind: CanaryControl\n".to_owned(),
                "c.yaml:1:1: this document has no `apiVersion`; start it with `apiVersion: serin.dev/v1alpha1` and `kind: CanaryControl`",
            ),
        ] {
            assert_eq!(error(&text), expected);
        }
    }

    #[test]
    fn one_document_is_rewritten_and_the_others_stay() {
        let new = "new: 1\n";
        assert_eq!(with("", "cart", new), new);
        assert_eq!(with("# ours\n", "cart", new), "# ours\nnew: 1\n");
        let cart = of("cart", "{}");
        assert_eq!(with(&cart, "cart", new), new);
        assert_eq!(with(cart.trim_end(), "search", new), format!("{cart}---\n{new}"));
        let search = format!("--- # search\n# of the search team\n\n{}", of("search", "{paused: true} # until May"));
        let last = "---\n".to_owned() + &of("last", "{}") + "...\n";
        let all = format!("# top\n{cart}{search}{last}");
        assert_eq!(with(&all, "cart", new), format!("# top\n{new}{search}{last}"));
        assert_eq!(with(&all, "search", new), format!("# top\n{cart}---\n# of the search team\n\n{new}{last}"));
        assert_eq!(with(&all, "last", new), format!("# top\n{cart}{search}---\n{new}...\n"));
        let json = r#"{"apiVersion": "serin.dev/v1alpha1", "kind": "CanaryControl", "metadata": {"name": "cart", "namespace": "shop"}}"#;
        assert_eq!(with(json, "cart", new), new);
        let list = format!("kind: List\nitems: [{json}]\n");
        assert_eq!(
            read(&list).unwrap().rewritten("shop/cart", new).unwrap_err().to_string(),
            "c.yaml: shop/cart: its CanaryControl is an item of a list, which is not written to; make it a document of its own, between \
             lines of `---`"
        );
    }
}
