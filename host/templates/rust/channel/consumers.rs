//! Runs the consumers natively, without WebAssembly and without a host.

use tidegate_sdk::testing::{TestHost, json};

fn host() -> TestHost {
    TestHost::new(module_name::consumers()).named("module-name")
}

#[test]
fn a_job_is_accepted_and_done() {
    let host = host();
    let job = json!({ "text": "high water at noon" });
    let answer = host.request("POST", "/module-name").json(&job).send();
    assert_eq!(
        (answer.status(), answer.text().as_str()),
        (202, "it will be done\n")
    );
    assert_eq!(host.messages("module-name.count").len(), 1);
    assert_eq!(host.logs()[0].text, "4 words");
    assert_eq!(host.faults(), []);
}

#[test]
fn what_is_no_job_is_refused() {
    let host = host();
    assert_eq!(
        host.request("POST", "/module-name")
            .body("many")
            .send()
            .status(),
        415
    );
    assert!(host.messages("module-name.count").is_empty());
}
