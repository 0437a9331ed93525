//! The tables of `docs/operations.md` have each metric, and each reason for which messages are lost.

use std::{collections::BTreeSet, fs};

use tidegate::telemetry::DropReason;

#[test]
fn each_metric_is_documented() {
    let read = |path: &str| fs::read_to_string(tests::root().join(path)).unwrap();
    let (source, document) = (read("host/src/telemetry.rs"), read("docs/operations.md"));
    let calls = source.split("register(").skip(1);
    let names: Vec<_> =
        calls.filter_map(|call| call.trim_start().strip_prefix('"')?.split('"').next()).collect();
    assert!(names.len() > 20, "{names:?}");
    let is_missing = |name: &&str| {
        let forms = ["`", "_total`"].map(|end| format!("| `tidegate_{name}{end}"));
        !forms.iter().any(|form| document.contains(form))
    };
    let missing: Vec<_> = names.into_iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_table_of_lost_messages_has_each_reason_and_no_other() {
    let document = fs::read_to_string(tests::root().join("docs/operations.md")).unwrap();
    let table = document.split("| `reason` | what was lost |\n").nth(1).unwrap();
    let rows = table.lines().skip(1).take_while(|line| line.starts_with("| "));
    // Some rows have two reasons: | `too_large`, `unavailable` | ...
    let labels = rows.flat_map(|row| {
        let cell = row.split('|').nth(1).unwrap();
        cell.split(',').map(|label| label.trim().trim_matches('`').to_owned())
    });
    let documented: BTreeSet<_> = labels.collect();
    let counted = DropReason::ALL.iter().map(|reason| reason.label().to_owned());
    assert_eq!(documented, counted.collect::<BTreeSet<_>>());
}
