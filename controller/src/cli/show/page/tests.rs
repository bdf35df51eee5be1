use serde_json::{Value, json};
use serin_mesh::Object;
use serin_mesh::resource::Resource;

use super::*;

/// A release with all that a page shows, in its sixth of eight steps.
fn view(change: impl FnOnce(&mut Value)) -> View {
    let steps: Vec<Value> = (1..=8).map(|step| json!({"weight": format!("{}%", step * 10), "hold": "30m"})).collect();
    let entry = |number: u32| {
        json!({"at": format!("2026-11-28T17:{:02}:00Z", 30 - number), "what": "Stepped", "from": "v2=50%", "to": "v2=60%",
            "by": "steps", "because": format!("entry {number}")})
    };
    let condition = |kind: &str, status: &str| json!({"type": kind, "status": status, "reason": "R", "message": "", "lastTransitionTime": "2026-11-28T17:00:00Z"});
    let mut object = json!({
        "apiVersion": "serin.dev/v1alpha1", "kind": "CanaryRelease",
        "metadata": {"name": "reviews", "namespace": "bookinfo", "generation": 3},
        "spec": {"service": "reviews", "stable": {"version": "v1"}, "canaries": [{"version": "v2"}],
            "sticky": {"by": [{"cookie": "user"}]}, "steps": steps},
        "status": {
            "observedGeneration": 3, "phase": "Advancing",
            "versions": [{"version": "v1", "share": "40%", "ready": 6}, {"version": "v2", "share": "60%", "ready": 2}],
            "run": {"id": "5f1c9a", "versions": "a", "step": 5, "seen": "2026-11-28T17:31:42Z", "state": "Holding",
                "next": "then 70%, not before 18:04"},
            "control": {"generation": 1, "by": "bob", "kind": "Rollback", "version": "v2", "since": "2026-11-28T17:31:00Z",
                "because": "5xx on checkout"},
            "conditions": [condition("Accepted", "True"), condition("Ready", "True"), condition("Programmed", "True"),
                condition("TakenOver", "False"), condition("Overridden", "True"), condition("Healthy", "Unknown"),
                condition("Observed", "True")],
            "history": (0..12).map(entry).collect::<Vec<_>>(),
        },
    });
    change(&mut object);
    View { resource: Resource::read(&Object::from_json(object)) }
}

fn shown(columns: usize, lines: usize) -> Vec<String> {
    fitted(&view(|_| ()), Size { columns, lines }).lines().map(str::to_owned).collect()
}

#[test]
fn a_page_fits_a_screen_of_80_columns_and_24_lines() {
    // The last line says how to quit.
    let lines = shown(80, 23);
    let expected = [
        "bookinfo/reviews  Advancing, step 6 of 8",
        "",
        "VERSION    SHARE  READY",
        "v1 stable  40%    6",
        "v2 canary  60%    2",
        "····················##############################",
        "",
        "STEPS    …   ✓ 40% 30m   ✓ 50% 30m   ▸ 60% 30m   · 70% 30m   · 80% 30m",
        "         Holding: then 70%, not before 18:04",
        "",
        "BY HAND  Rollback of v2 by bob since 2026-11-28T17:31:00Z: 5xx on checkout",
        "",
        "Accepted ✓   Ready ✓   Programmed ✓   TakenOver ✗   Overridden ✓   Healthy ?",
        "Observed ✓",
        "",
        "WHEN                  WHO    WHAT",
        "2026-11-28T17:30:00Z  steps  Stepped v2=50% → v2=60%: entry 0",
        "2026-11-28T17:29:00Z  steps  Stepped v2=50% → v2=60%: entry 1",
        "2026-11-28T17:28:00Z  steps  Stepped v2=50% → v2=60%: entry 2",
        "2026-11-28T17:27:00Z  steps  Stepped v2=50% → v2=60%: entry 3",
        "2026-11-28T17:26:00Z  steps  Stepped v2=50% → v2=60%: entry 4",
        "2026-11-28T17:25:00Z  steps  Stepped v2=50% → v2=60%: entry 5",
        "2026-11-28T17:24:00Z  steps  Stepped v2=50% → v2=60%: entry 6",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_smaller_screen_shows_what_is_needed_most() {
    assert_eq!(
        shown(30, 12),
        [
            "bookinfo/reviews  Advancing,…",
            "VERSION    SHARE  READY",
            "v1 stable  40%    6",
            "v2 canary  60%    2",
            "············##################",
            "STEPS    …   ▸ 60% 30m   · 70…",
            "         Holding: then 70%,",
            "         not before 18:04",
            "BY HAND  Rollback of v2 by bo…",
            "WHEN                  WHO",
            "2026-11-28T17:30:00Z  steps",
        ]
    );
    for columns in 1..=100 {
        for lines in 0..=30 {
            let shown = shown(columns, lines);
            assert!(shown.len() <= lines, "{columns}x{lines}: {shown:?}");
            assert!(shown.iter().all(|line| line.chars().count() <= columns), "{columns}x{lines}: {shown:?}");
        }
    }
}

#[test]
fn without_a_screen_a_page_has_all() {
    let all = page(&view(|_| ()));
    assert_eq!(all.lines().count(), 23);
    assert!(all.contains("STEPS    ✓ 10% 30m   ✓ 20% 30m"), "{all}");
    assert!(all.ends_with("entry 7\n"), "{all}");
    // What is wrong is said in full, over several lines where there is no room.
    let refused = view(|object| {
        object["status"]["phase"] = json!("Refused");
        object["status"]["reason"] = json!("Invalid");
        object["status"]["message"] = json!("spec.canaries[0].weight: `60` is not a percentage; write `60%`");
    });
    let message = "Invalid: spec.canaries[0].weight: `60` is not a percentage; write `60%`";
    assert_eq!(page(&refused).lines().nth(1), Some(message));
    let narrow = fitted(&refused, Size { columns: 40, lines: 24 });
    let lines: Vec<&str> = narrow.lines().skip(1).take(2).collect();
    assert_eq!(lines, ["Invalid: spec.canaries[0].weight: `60`", "  is not a percentage; write `60%`"]);
}
