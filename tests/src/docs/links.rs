//! Links that lead nowhere.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::page::{Page, root};

/// Each link between files of the repository that leads to no file or to no heading; links to other places are not followed.
#[must_use]
pub fn broken(pages: &[Page]) -> Vec<String> {
    let by_path: BTreeMap<&Path, &Page> = pages.iter().map(|page| (page.path.as_path(), page)).collect();
    let mut broken = Vec::new();
    for page in pages {
        for (line, target) in &page.links {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            let to = match path {
                "" => page.path.clone(),
                path => normal(&page.path.parent().unwrap_or(Path::new("")).join(path)),
            };
            let at = format!("{}:{line}: `{target}`", page.path.display());
            if !root().join(&to).exists() {
                broken.push(format!("{at}: there is no {}", to.display()));
            } else if !anchor.is_empty() && !by_path.get(to.as_path()).is_some_and(|page| page.anchors.contains(anchor)) {
                broken.push(format!("{at}: {} has no heading `#{anchor}`", to.display()));
            }
        }
    }
    broken
}

/// A path without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => {
                whole.pop();
            }
            Component::CurDir => {}
            part => whole.push(part),
        }
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_needs_its_file_and_its_heading() {
        let text = "# Title\n[a](#title) [b](README.md) [c](https://x.org/#y)\n[d](#titel)\n[e](nowhere/none.md)\n[f](docs/../README.md#none)\n";
        let readme = Page::parse(Path::new("README.md"), text).unwrap();
        assert_eq!(
            broken(&[readme]),
            [
                "README.md:3: `#titel`: README.md has no heading `#titel`",
                "README.md:4: `nowhere/none.md`: there is no nowhere/none.md",
                "README.md:5: `docs/../README.md#none`: README.md has no heading `#none`",
            ]
        );
    }
}
