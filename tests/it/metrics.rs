//! Each metric stands in the table of `docs/operations.md`.

use std::fs;

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
