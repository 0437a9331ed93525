//! Autobahn's cases for servers, run by kosoku against the example `echo`.

use std::collections::{BTreeMap, BTreeSet};

use tests::{Host, root, run};

/// Cases that went the same way.
#[derive(serde::Deserialize)]
struct Deviation {
    cases: Vec<String>,
    behavior: String,
    /// Whether a case may also be OK: where it is a matter of who is faster.
    #[serde(default)]
    or_ok: bool,
    reason: String,
}

/// What a case came to.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verdict {
    behavior: String,
    behavior_close: String,
}

/// 9.* measures how fast messages of up to 16 MiB are, which are above `frame_bytes`; 12.* and 13.*
/// are about compression, which the host does not offer.
const LEFT_OUT: [&str; 6] = ["-x", "9.*", "-x", "12.*", "-x", "13.*"];

#[tokio::test(flavor = "multi_thread")]
async fn no_case_fails_and_those_that_are_not_ok_are_listed_with_a_reason() {
    let Some(kosoku) = tests::python_tool("kosoku") else { return };
    let host = Host::builder().example("echo").start().await;
    let reports = tempfile::tempdir().unwrap();
    let address = format!("{}/echo", host.address());
    let mut arguments = vec!["-m", "fuzzingclient", "-p", "4", "-o", ".", &address];
    arguments.extend(LEFT_OUT);
    let output = run(kosoku.to_str().unwrap(), reports.path(), &arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let index = std::fs::read(reports.path().join("index.json")).unwrap();
    let index: BTreeMap<String, BTreeMap<String, Verdict>> =
        serde_json::from_slice(&index).unwrap();
    let verdicts = index.into_values().next().unwrap();
    assert_eq!(verdicts.len(), 247);
    let wrong = compare(&listed(), &verdicts);
    assert!(wrong.is_empty(), "tests/autobahn.json:\n{}", wrong.join("\n"));
    host.stop().await;
}

fn listed() -> Vec<Deviation> {
    let text = std::fs::read(root().join("tests/autobahn.json")).unwrap();
    serde_json::from_slice(&text).unwrap()
}

/// What the list and the verdicts do not agree on.
fn compare(listed: &[Deviation], verdicts: &BTreeMap<String, Verdict>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut known = BTreeSet::new();
    for deviation in listed {
        assert!(!deviation.reason.is_empty());
        for case in &deviation.cases {
            assert!(known.insert(case.as_str()), "{case} stands there twice");
            let Some(verdict) = verdicts.get(case) else {
                wrong.push(format!("{case} was not run"));
                continue;
            };
            let is_listed = verdict.behavior == deviation.behavior;
            let may_be_ok = deviation.or_ok && verdict.is_ok();
            if !(is_listed || may_be_ok) {
                let Verdict { behavior, .. } = verdict;
                wrong.push(format!("{case} is {behavior} now, not {}", deviation.behavior));
            }
        }
    }
    for (case, verdict) in verdicts {
        let Verdict { behavior, behavior_close } = verdict;
        if behavior == "FAILED" || behavior_close == "FAILED" {
            wrong.push(format!("{case} failed"));
        } else if !verdict.is_ok() && !known.contains(case.as_str()) {
            wrong.push(format!("{case} is {behavior}, {behavior_close}, and not listed"));
        }
    }
    wrong
}

impl Verdict {
    fn is_ok(&self) -> bool {
        self.behavior == "OK" && self.behavior_close == "OK"
    }
}

#[test]
fn a_case_that_became_ok_or_failed_or_is_new_is_told() {
    let listed: Vec<Deviation> = serde_json::from_str(
        r#"[
            {"cases": ["1", "2"], "behavior": "NON-STRICT", "reason": "a"},
            {"cases": ["3"], "behavior": "NON-STRICT", "or_ok": true, "reason": "b"}
        ]"#,
    )
    .unwrap();
    let verdict = |behavior: &str, close: &str| Verdict {
        behavior: behavior.to_owned(),
        behavior_close: close.to_owned(),
    };
    let verdicts = BTreeMap::from([
        ("1".to_owned(), verdict("OK", "OK")),
        ("3".to_owned(), verdict("OK", "OK")),
        ("4".to_owned(), verdict("OK", "FAILED")),
        ("5".to_owned(), verdict("UNIMPLEMENTED", "OK")),
    ]);
    assert_eq!(
        compare(&listed, &verdicts),
        [
            "1 is OK now, not NON-STRICT",
            "2 was not run",
            "4 failed",
            "5 is UNIMPLEMENTED, OK, and not listed",
        ]
    );
}
