//! Single settings of a module, changed.

use serde_json::json;
use tests::{Host, guest};

const PATH: &str = "modules/granted/settings";

#[tokio::test(flavor = "multi_thread")]
async fn single_settings_are_changed_and_the_others_stay() {
    let host = Host::builder().guest("granted").start().await;
    let api = host.admin();
    let before = json!({
        "reuse": 2, "limits": {"fuel": 5_000_000, "deadline": "2s"},
        "grants": {"environment": {"MODE": "test"}, "secrets": {"KEY": "hush", "OLD": "gone"}},
    });
    api.done("PUT", PATH, before.to_string()).await;
    let patch = json!({
        "reuse": null, "limits": {"fuel": 6_000_000},
        "grants": {"environment": {"MORE": "yes"}, "secrets": {"OLD": null}},
    });
    let after = json!({
        "limits": {"fuel": 6_000_000, "deadline": "2s"},
        "grants": {"environment": {"MODE": "test", "MORE": "yes"}, "secrets": {"KEY": null}},
    });
    assert_eq!(api.done("PATCH", PATH, patch.to_string()).await, after);
    assert_eq!(api.done("GET", PATH, "").await, after);
    let version = host.version("granted");
    assert_eq!((version.settings.reuse, version.limits.fuel), (1, 6_000_000));
    // What is not one changes nothing.
    for (patch, status, said) in [
        (json!({"limits": {"fule": 1}}), 422, "did you mean `fuel`?"),
        (json!({"limits": {"fuel": 0}}), 422, "0 lets nothing pass"),
        (json!({"limits": 3}), 422, "3 is not a section"),
        (json!({"file": "a.wasm"}), 422, "tidegate.toml only"),
        (json!([1]), 422, "a list is not a section of names with values"),
    ] {
        let refused = api.refused("PATCH", PATH, patch.to_string()).await;
        assert_eq!((refused.0, &*refused.1), (status, "settings"), "{patch}: {}", refused.2);
        assert!(refused.2.contains(said), "{patch}: {}", refused.2);
    }
    assert_eq!(api.refused("PATCH", "modules/nobody/settings", "{}").await.0, 404);
    assert_eq!(api.done("GET", PATH, "").await, after);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_note_may_have_any_letters_and_stands_in_the_history() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let wasm = std::fs::read(guest("granted")).unwrap();
    let authorization = api.authorization();
    let headers = [("authorization", &*authorization), ("x-tidegate-note", "für Ann, #12")];
    let client = api.client();
    let reply = client.request("PUT", "/api/v1/modules/granted", &headers, wasm).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(api.module("granted").await["history"][0]["note"], "für Ann, #12");
    // A place is kept whole or not at all.
    let place = format!("oci://registry.example/{}@sha256:{}", "a".repeat(255), "0".repeat(64));
    let long = format!("oci://{}", "a".repeat(600));
    let wasm = std::fs::read(guest("counter-2")).unwrap();
    for (source, status) in [(&long, 422), (&place, 201)] {
        let headers = [("authorization", &*authorization), ("x-tidegate-source", source)];
        let reply = client.request("PUT", "/api/v1/modules/granted", &headers, wasm.clone()).await;
        assert_eq!(reply.status, status, "{}", reply.text());
    }
    assert_eq!(api.module("granted").await["history"][1]["source"], place);
    host.stop().await;
}
