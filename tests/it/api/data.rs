//! Data of modules, looked at and changed over the admin API.

use serde_json::{Value, json};
use tests::{Admin, Host};

const VALUE: &str = "modules/hello/data/value?key=";

async fn put(api: &Admin, key: &str, value: Value) {
    api.done("PUT", &format!("{VALUE}{key}"), value.to_string()).await;
}

/// The keys of a page, and where the listing goes on.
async fn keys(api: &Admin, query: &str) -> (Vec<String>, Option<String>) {
    let page = api.done("GET", &format!("modules/hello/data?{query}"), "").await;
    let entries = page.get("entries").unwrap().as_array().unwrap().iter();
    let keys = entries.map(|entry| entry.get("key").unwrap().as_str().unwrap().to_owned());
    let cursor = page.get("cursor").and_then(Value::as_str);
    (keys.collect(), cursor.map(str::to_owned))
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_written_read_and_deleted_and_json_is_what_the_sdk_writes() {
    let host = Host::builder().example("hello").start().await;
    let api = host.admin();
    for (new, shown) in [
        (json!({"integer": -5}), json!({"schema": 0, "integer": -5})),
        (json!({"json": 7, "schema": 3}), json!({"schema": 3, "integer": 7})),
        // The schema of the value before stays.
        (json!({"base64": "/w=="}), json!({"schema": 3, "base64": "/w=="})),
        (
            json!({"json": {"a": [1, null]}, "schema": 4}),
            json!({"schema": 4, "base64": "gaFhkgHA", "json": {"a": [1, null]}}),
        ),
        (json!({"json": null}), json!({"schema": 4, "base64": "wA==", "json": null})),
    ] {
        put(&api, "a%20%C3%A9", new.clone()).await;
        let mut expected = shown;
        expected["key"] = "a é".into();
        assert_eq!(api.done("GET", &format!("{VALUE}a%20%C3%A9"), "").await, expected, "{new}");
    }
    put(&api, "short", json!({"json": "x", "ttl": "5m"})).await;
    let short = api.done("GET", &format!("{VALUE}short"), "").await;
    let ttl = short["ttl"].as_str().unwrap();
    assert!(ttl == "5m" || ttl.starts_with("4m "), "{ttl}");
    put(&api, "gone", json!({"json": "x", "ttl": "1ms"})).await;
    let gone = async || while api.ask("GET", &format!("{VALUE}gone"), "").await.status != 404 {};
    tests::must("it expires", gone()).await;
    let usage = api.done("GET", "modules/hello/data/usage", "").await;
    assert_eq!((&usage["keys_max"], &usage["relayed"]), (&json!(10_000_000), &json!(0)));
    api.done("DELETE", &format!("{VALUE}short"), "").await;
    let refused = api.refused("DELETE", &format!("{VALUE}short"), "").await;
    assert_eq!((refused.0, &*refused.1), (404, "no-such-key"), "{}", refused.2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_listed_in_pages_by_their_prefix() {
    let host = Host::builder().example("hello").start().await;
    let api = host.admin();
    for key in ["a", "b:1", "b:2", "b:3", "c"] {
        put(&api, key, json!({"integer": 1})).await;
    }
    assert_eq!(keys(&api, "").await.0, ["a", "b:1", "b:2", "b:3", "c"]);
    let (first, cursor) = keys(&api, "prefix=b%3A&limit=2").await;
    assert_eq!((first, cursor.as_deref()), (vec!["b:1".to_owned(), "b:2".to_owned()], Some("b:2")));
    assert_eq!(keys(&api, "prefix=b:&limit=2&cursor=b:2").await.0, ["b:3"]);
    let other = api.refused("GET", "modules/hello/data?prefix=c&cursor=b:2", "").await;
    assert_eq!((other.0, &*other.1), (400, "cursor"), "{}", other.2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_value_is_refused_and_changes_nothing() {
    let host = Host::builder().example("hello").with("store.keys = 1").start().await;
    let api = host.admin();
    put(&api, "a", json!({"integer": 1})).await;
    let long = "x".repeat(513);
    for (method, key, body, status, code, said) in [
        ("PUT", "b", r#"{"integer":1}"#, 507, "quota", "would keep 2 keys"),
        ("PUT", "a", "{}", 422, "value", "exactly one"),
        ("PUT", "a", r#"{"integer":1,"json":1}"#, 422, "value", "exactly one"),
        ("PUT", "a", r#"{"integer":1.5}"#, 422, "value", "a whole number"),
        ("PUT", "a", r#"{"base64":"?"}"#, 422, "value", "`base64` is not"),
        ("PUT", "a", r#"{"integer":1,"ttl":"soon"}"#, 422, "value", "such as \"5s\""),
        ("PUT", "a", r#"{"integer":1,"ttl":"20years"}"#, 422, "value", "a time to live is"),
        ("PUT", "a", r#"{"integr":1}"#, 422, "value", "did you mean `integer`?"),
        ("PUT", "a", "{", 400, "value", "EOF"),
        ("PUT", "", r#"{"integer":1}"#, 400, "key", "at least 1 byte"),
        ("PUT", &long, r#"{"integer":1}"#, 400, "key", "at most 512 bytes"),
        ("GET", "b", "", 404, "no-such-key", "tidegate data list hello"),
        ("GET", "a&ke=b", "", 400, "query", "`ke`"),
    ] {
        let refused = api.refused(method, &format!("{VALUE}{key}"), body).await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{key} {body}: {}", refused.2);
        assert!(refused.2.contains(said), "{key} {body}: {}", refused.2);
    }
    let large = json!({"json": "x".repeat(300 * 1024)}).to_string();
    let refused = api.refused("PUT", &format!("{VALUE}a"), large).await;
    assert!(refused.0 == 422 && refused.2.contains("at most 262144 bytes"), "{}", refused.2);
    assert_eq!(keys(&api, "").await.0, ["a"]);
    for path in
        ["modules/nobody/data", "modules/nobody/data/usage", "modules/nobody/data/value?key=a"]
    {
        let refused = api.refused("GET", path, "").await;
        assert_eq!((refused.0, &*refused.1), (404, "no-such-module"), "{path}");
    }
    // A module that is not deployed any more has its data still.
    api.done("DELETE", "modules/hello", "").await;
    assert_eq!(keys(&api, "").await.0, ["a"]);
    put(&api, "b", json!({"integer": 2})).await;
    assert_eq!(api.done("GET", &format!("{VALUE}b"), "").await["integer"], 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_imported_elsewhere_with_schemas_and_times_to_live() {
    let host = Host::builder().example("hello").start().await;
    let api = host.admin();
    put(&api, "a", json!({"integer": 1, "schema": 2})).await;
    put(&api, "b", json!({"json": {"c": "d"}, "ttl": "1h"})).await;
    let many = |number: usize| format!("{{\"key\":\"n{number:05}\",\"base64\":\"AA==\"}}\n");
    let lines: String = (0..2_500).map(many).collect();
    let done = api.done("POST", "modules/hello/data/import", lines).await;
    assert_eq!(done, json!({"lines": 2_500}));
    let export = api.ask("GET", "modules/hello/data/export", "").await;
    assert_eq!(export.header("content-type"), Some("application/jsonl"));
    let text = export.text();
    assert_eq!(text.lines().count(), 2_502);
    let mut first = text.lines();
    assert_eq!(first.next(), Some(r#"{"key":"a","schema":2,"integer":1}"#));
    assert!(
        first
            .next()
            .unwrap()
            .starts_with(r#"{"key":"b","schema":0,"base64":"gaFjoWQ=","ttl":"59m "#)
    );
    // Data may come before the module.
    api.done("POST", "modules/other/data/import", text.to_owned()).await;
    let there = api.done("GET", "modules/other/data?limit=2", "").await;
    assert_eq!(there["entries"][0], json!({"key": "a", "schema": 2, "integer": 1}));
    assert!(there["entries"][1]["ttl"].as_str().unwrap().starts_with("59m "), "{there}");
    assert_eq!(api.done("GET", "modules/other/data/usage", "").await["keys"], 2_502);
    assert_eq!(api.refused("GET", "modules/nobody/data/export", "").await.0, 404);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_line_is_refused_with_its_number_and_the_commits_before_it_stay() {
    let host = Host::builder().example("hello").with("store.keys = 1100").start().await;
    let api = host.admin();
    let line = |number: usize| format!("{{\"key\":\"n{number}\",\"integer\":1}}\n");
    let lines: String = (0..1_000).map(line).collect();
    let after = |rest: &str| format!("{lines}\n{rest}");
    for (body, status, code, said) in [
        ("{\"key\":\"a\"}\n".to_owned(), 422, "value", "line 1: a value has one of"),
        (
            "{\"key\":\"a\",\"integer\":1}\n{".to_owned(),
            400,
            "value",
            "at column 1; nothing is written",
        ),
        (
            after("{\"key\":\"\",\"integer\":1}"),
            422,
            "value",
            "line 1002: a key has at least 1 byte",
        ),
        (after("no"), 400, "value", "lines 1 to 1000 are written"),
        ((0..2_000).map(line).collect(), 507, "quota", "would keep 2000 keys"),
    ] {
        let refused = api.refused("POST", "modules/hello/data/import", body).await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{}", refused.2);
        assert!(refused.2.contains(said), "{}", refused.2);
    }
    assert_eq!(api.done("GET", "modules/hello/data/usage", "").await["keys"], 1_000);
    let later = api.refused("POST", "modules/hello/data/import?before=7", "x").await;
    assert!(
        later.2.starts_with("line 8: ") && later.2.ends_with("lines 1 to 7 are written"),
        "{}",
        later.2
    );
    host.stop().await;
}
