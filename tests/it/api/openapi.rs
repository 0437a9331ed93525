//! The OpenAPI document, which schemathesis holds the API to.

use tests::{Host, example, root, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_api_does_what_its_document_says() {
    let Some(schemathesis) = tests::python_tool("schemathesis") else { return };
    let host = Host::builder().start().await;
    let api = host.admin();
    api.deploy("hello", &example("hello")).await;
    let directory = tempfile::tempdir().unwrap();
    let config = root().join("tests/schemathesis.toml").display().to_string();
    let document = format!("http://{}/api/v1/openapi.json", host.app().admin_address());
    let token = format!("Authorization: {}", api.authorization());
    // The same examples each time: what another run would find is for whoever looks for it.
    let arguments = [
        &["--config-file", &config, "run", &document, "--header", &token, "--no-color"][..],
        &["--max-examples", "20", "--generation-deterministic"],
    ];
    let arguments = arguments.concat();
    let output = run(schemathesis.to_str().unwrap(), directory.path(), &arguments).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("40 selected / 43 total"), "{told}");
    host.stop().await;
}
