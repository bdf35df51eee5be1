//! Releases are changed, made and deleted, and FILE is still its owner's.

use std::fs;

use super::*;

/// FILE with comments that its owner wants to keep.
fn commented(console: &Console) -> String {
    let text = fs::read_to_string(console.standalone.file()).unwrap();
    let (standalone, release) = text.split_once("---\n").unwrap();
    let text = format!("# Ours.\n{standalone}# Of the reviews team.\n--- # reviews\n# Ask bob.\n{release}");
    console.standalone.replace(&text).unwrap();
    text
}

fn release_text(weight: &str) -> String {
    format!(
        "# Until May.\napiVersion: serin.dev/v1alpha1\nkind: CanaryRelease\nmetadata: {{name: reviews, namespace: bookinfo}}\nspec:\n  \
         service: reviews\n  stable: {{version: v1}}\n  canaries:\n    - {{version: v2, weight: {weight}}} # slowly\n  sticky: {{by: [{{cookie: \
         user}}]}}\n"
    )
}

pub(super) fn a_release_is_changed_and_all_else_in_the_file_stays() {
    let console = Console::start("20%");
    let before = commented(&console);
    let own = before.split_once("# Ask bob.\n").unwrap().1;
    let page = console.page(&format!("{RELEASE}/edit"));
    assert_eq!(area(&page, "text"), own);
    let text_of = release_text("35%");
    let tried = text(&console.post(&format!("{RELEASE}/edit/preview"), &[("text", &text_of), ("before", own)]));
    assert!(tried.contains("<b>15%</b> of people move from v1 to v2"), "{tried}");
    assert_eq!(fs::read_to_string(console.standalone.file()).unwrap(), before, "who looks writes");
    // As browsers send lines.
    let sent = text_of.replace('\n', "\r\n");
    let saved = console.post(&format!("{RELEASE}/edit"), &[("text", &sent), ("before", &own.replace('\n', "\r\n"))]);
    assert_eq!((saved.status, saved.header("location").as_deref()), (303, Some(RELEASE)), "{}", text(&saved));
    let expected = before.replace("--- # reviews", "---").replace(own, &text_of);
    assert_eq!(fs::read_to_string(console.standalone.file()).unwrap(), expected);
    assert_eq!(console.json(&format!("{RELEASE}.json"))["versions"][1]["intended"], "35%");
    let users = Console::start("35%").canaries(1_000);
    eventually("users get it", || console.canaries(1_000) == users).unwrap();
}

pub(super) fn a_text_that_is_wrong_is_named_by_its_lines_and_not_written() {
    let console = Console::start("20%");
    let before = commented(&console);
    let own = before.split_once("# Ask bob.\n").unwrap().1;
    let problems = |text_of: &str| {
        let fields = [("text", text_of), ("before", own)];
        let tried = console.post(&format!("{RELEASE}/edit/preview"), &fields);
        let saved = console.post(&format!("{RELEASE}/edit"), &fields);
        assert_eq!((tried.status, saved.status), (422, 422), "{}", text(&tried));
        let page = unescaped(&text(&saved));
        let items = page.split("role=\"alert\">").skip(1).map(|rest| rest.split("</li>").next().unwrap().to_owned());
        items.collect::<Vec<_>>()
    };
    assert_eq!(
        problems(&release_text("120%")),
        [
            "<b>Line 9:</b> spec.canaries[0].weight: `120%` is more than 100%; lower it, since the canaries share 100% with stable"
        ]
    );
    assert_eq!(
        problems(&release_text("1%").replace("service:", "servise:")),
        ["<b>Line 6:</b> spec.servise: unknown field `servise`; did you mean `service`?"]
    );
    assert_eq!(
        problems(&release_text("1%").replace("name: reviews", "name: other")),
        [
            "metadata: this is bookinfo/other, and no longer bookinfo/reviews; keep name and namespace, since people's buckets hang on \
          them; make another release for another name"
        ]
    );
    assert_eq!(problems("kind: Standalone\n").len(), 1);
    assert_eq!(problems(&format!("{}---\n{}", release_text("1%"), release_text("2%"))).len(), 1);
    assert_eq!(problems(""), ["this is not one CanaryRelease; write one document of `kind: CanaryRelease`"]);
    assert_eq!(fs::read_to_string(console.standalone.file()).unwrap(), before);
}

pub(super) fn a_release_is_made_and_deleted() {
    let console = Console::start("20%");
    let deleted = console.post(&format!("{RELEASE}/delete"), &[("name", "other")]);
    assert_eq!(deleted.status, 422);
    assert!(text(&deleted).contains("Nothing was deleted: type the name `reviews` to delete bookinfo/reviews."));
    let deleted = console.post(&format!("{RELEASE}/delete"), &[("name", "reviews")]);
    assert_eq!((deleted.status, deleted.header("location").as_deref()), (303, Some("/releases")), "{}", text(&deleted));
    // Half of a file that goes away is doubted for a while.
    eventually("it is gone", || console.get(RELEASE).status == 404).unwrap();
    eventually("everybody is on stable", || console.canaries(500) == 0).unwrap();
    assert!(console.page("/releases").contains("There is no release yet."));
    let made = console.post("/new", &[("text", &release_text("20%"))]);
    assert_eq!((made.status, made.header("location").as_deref()), (303, Some(RELEASE)), "{}", text(&made));
    eventually("it is there", || console.get(RELEASE).status == 200).unwrap();
    let users = Console::start("20%").canaries(500);
    eventually("the same users come back", || console.canaries(500) == users).unwrap();
    let again = console.post("/new", &[("text", &release_text("20%"))]);
    assert_eq!(again.status, 422);
    assert!(text(&again).contains("there is a release bookinfo/reviews already; edit it, or use another name"));
}

pub(super) fn nobody_loses_what_somebody_else_wrote() {
    let console = Console::start("20%");
    let mine = area(&console.page(&format!("{RELEASE}/edit")), "text");
    let theirs = release_text("25%");
    let fields = [("text", theirs.as_str()), ("before", mine.as_str())];
    assert_eq!(console.post(&format!("{RELEASE}/edit"), &fields).status, 303);
    let fields = [("text", &*release_text("30%")), ("before", &mine)];
    let conflict = console.post(&format!("{RELEASE}/edit"), &fields);
    let page = text(&conflict);
    assert_eq!(conflict.status, 409, "{page}");
    // A comment above a document is not among its lines.
    let there = theirs.replace("# Until May.\n", "");
    assert!(unescaped(&page).contains(&format!("<pre>{there}</pre>")), "{page}");
    assert_eq!(area(&page, "text"), release_text("30%"));
    assert!(fs::read_to_string(console.standalone.file()).unwrap().contains("weight: 25%"));
    // Who has seen it may save.
    let fields = [("text", &*release_text("30%")), ("before", &*field(&page, "before"))];
    assert_eq!(console.post(&format!("{RELEASE}/edit"), &fields).status, 303);
}
