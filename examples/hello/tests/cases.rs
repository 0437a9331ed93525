//! Runs `cases.json` natively. The host's tests run the same file against the compiled module.

use tidegate_sdk::testing::{TestHost, cases, json};

#[test]
fn cases_hold_natively() {
    let mut host = TestHost::new(hello::consumers()).named("hello");
    if let Err(error) = cases::run(include_str!("../cases.json"), &mut host) {
        panic!("{error}");
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn a_field_that_nobody_knows_is_named_with_its_place() {
    let host = TestHost::new(hello::consumers()).named("hello");
    let wrong = host.request("POST", "/hello").json(&json!({ "nmae": "Ada" })).send();
    let expected = "body: unknown field `nmae`, expected `name` or `language` at line 1 column 7\n";
    assert_eq!((wrong.status(), wrong.text().as_str()), (400, expected));
}
