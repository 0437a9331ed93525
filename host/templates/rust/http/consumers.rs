//! Runs the consumers natively, without WebAssembly and without a host.

use tidegate_sdk::testing::{TestHost, json};

fn host() -> TestHost {
    TestHost::new(module_name::consumers()).named("module-name")
}

#[test]
fn the_name_in_the_path_is_greeted() {
    assert_eq!(host().get("/module-name/Ada").text(), "Hello, Ada!\n");
}

#[test]
fn json_is_answered_with_json() {
    let request = host()
        .request("POST", "/module-name")
        .json(&json!({ "name": "Ada" }));
    assert_eq!(request.send().text(), r#"{"text":"Hello, Ada!"}"#);
}

#[test]
fn a_body_without_a_name_is_refused() {
    let request = host().request("POST", "/module-name").json(&json!({}));
    assert_eq!(request.send().status(), 400);
}
