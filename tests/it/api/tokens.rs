//! Named tokens: what each role may do, and how tokens come and go.

use hyper::StatusCode;
use serde_json::{Value, json};
use tests::{Admin, Host, example, must};

/// The roles, each of which may do all that those before it may.
const ROLES: [&str; 4] = ["look", "send", "deploy", "admin"];

/// Makes a token. Returns who asks with it.
pub(crate) async fn made(api: &Admin, name: &str, role: &str, modules: Option<&[&str]>) -> Admin {
    let token = match modules {
        Some(modules) => json!({"name": name, "role": role, "modules": modules}),
        None => json!({"name": name, "role": role}),
    };
    let made = api.done("POST", "tokens", token.to_string()).await;
    api.with(made.get("secret").and_then(Value::as_str).unwrap())
}

/// Method, path with parameters and role of each operation.
async fn operations(api: &Admin) -> Vec<(String, String, String)> {
    let document = api.client().get("/api/v1/openapi.json").await;
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    let mut operations = Vec::new();
    for (path, methods) in document.get("paths").and_then(Value::as_object).unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let role = operation.get("x-tidegate-role").and_then(Value::as_str);
            let Some(role) = role else { continue };
            let path = path.strip_prefix("/api/v1/").unwrap().to_owned();
            operations.push((method.to_uppercase(), path, role.to_owned()));
        }
    }
    // The last one stops the process.
    operations.sort_by_key(|(_, path, _)| path == "drain");
    operations
}

/// A path whose parameters name nothing that there is.
fn filled(path: &str, module: &str) -> String {
    let mut parts: Vec<_> = path.split('/').map(str::to_owned).collect();
    for part in parts.iter_mut().filter(|part| part.starts_with('{')) {
        *part = match part.as_str() {
            "{name}" => module.to_owned(),
            "{version}" => "7".to_owned(),
            _ => "nobody".to_owned(),
        };
    }
    parts.join("/")
}

/// Status and code of a request, of which only the beginning is read.
async fn asked(api: &Admin, method: &str, path: &str) -> (u16, String) {
    let headers = [("authorization", &*api.authorization())];
    let path = format!("/api/v1/{path}");
    let streaming = api.client().start(method, &path, &headers, "").await;
    let status = streaming.response.status();
    if status.is_success() {
        return (status.as_u16(), String::new());
    }
    let reply = api.client().request(method, &path, &headers, "").await;
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    let code = problem.get("code").and_then(Value::as_str).unwrap();
    (reply.status, code.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_may_do_what_the_document_says_and_no_more() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let mut holders = Vec::new();
    for role in ROLES {
        holders.push(made(&api, role, role, None).await);
    }
    let stranger = api.with(&format!("tidegate_{}", "0".repeat(64)));
    assert_eq!(asked(&stranger, "GET", "modules").await, (401, "token".to_owned()));
    let operations = operations(&api).await;
    assert!(operations.len() > 28, "{operations:?}");
    for (method, path, needed) in &operations {
        let path = filled(path, "nobody");
        let nobody = api.client().request(method, &format!("/api/v1/{path}"), &[], "").await;
        assert_eq!(nobody.status, 401, "{method} {path}: {}", nobody.text());
        let needed = ROLES.iter().position(|role| role == needed).unwrap();
        for (number, holder) in holders.iter().enumerate() {
            let (status, code) = asked(holder, method, &path).await;
            let is_refused = (status, &*code) == (403, "role");
            assert_eq!(is_refused, number < needed, "{} {method} {path}: {code}", ROLES[number]);
            assert_ne!(status, 401, "{method} {path}");
        }
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_for_one_module_says_and_does_nothing_about_another() {
    let host = Host::builder().example("jobs").example("chat").start().await;
    let api = host.admin();
    let jobs = made(&api, "jobs-only", "deploy", Some(&["jobs"])).await;
    for (method, path, needed) in operations(&api).await {
        let (status, code) = asked(&jobs, &method, &filled(&path, "chat")).await;
        let expected = match &*needed {
            "admin" => Some("role"),
            _ if path.starts_with("modules/{name}") => Some("module"),
            _ if path.starts_with("channels/") => Some("no-such-channel"),
            _ if path.starts_with("groups/") => Some("module"),
            _ => None,
        };
        if let Some(expected) = expected {
            assert_eq!(code, expected, "{method} {path}: {status}");
        }
    }
    for (path, body, status) in [
        ("channels/jobs.count/messages", r#"{"id":"a","below":1,"next":"jobs.report"}"#, 202),
        ("groups/jobs.watchers/messages", r#"{"text":"a"}"#, 202),
        ("groups/chat.room/messages", r#"{"text":"a"}"#, 403),
        ("channels/node!0123/messages", r#"{"text":"a"}"#, 403),
    ] {
        assert_eq!(jobs.ask("POST", path, body).await.status, status, "{path}");
    }
    for list in ["modules", "routes", "nodes", "layer"] {
        let told = jobs.done("GET", list, "").await.to_string();
        assert!(!told.contains("chat"), "{list}: {told}");
    }
    let (status, code, _) = jobs.refused("GET", "records?module=chat", "").await;
    assert_eq!((status, &*code), (403, "module"));
    host.get("/chat").await;
    must("a record of chat", async {
        while api.done("GET", "records?module=chat", "").await["records"] == json!([]) {
            host.get("/chat").await;
        }
    })
    .await;
    let records = jobs.done("GET", "records", "").await;
    for record in records["records"].as_array().unwrap() {
        assert_eq!(record["module"], "jobs", "{record}");
    }
    let (status, code, _) = jobs.refused("GET", "records/stream?module=chat", "").await;
    assert_eq!((status, &*code), (403, "module"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_listed_without_its_text_and_gone_when_it_is_revoked() {
    let host = Host::builder().start().await;
    let api = host.admin();
    let new = json!({"name": "ci", "role": "deploy", "modules": ["tide"], "ttl": "12h"});
    let made = api.done("POST", "tokens", new.to_string()).await;
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("tidegate_") && secret.len() == 9 + 64, "{secret}");
    assert_eq!(made["created_by"], "tester");
    let ci = api.with(secret);
    let own = ci.done("GET", "token", "").await;
    assert_eq!((&own["name"], &own["role"]), (&json!("ci"), &json!("deploy")));
    assert_eq!(own["modules"], json!(["tide"]));
    assert_eq!(api.done("GET", "token", "").await["role"], "admin");
    let listed = must("its use is noted", async {
        loop {
            let listed = api.done("GET", "tokens", "").await;
            if listed["tokens"][0]["used_at"].is_string() {
                return listed;
            }
        }
    })
    .await;
    assert!(!listed.to_string().contains(secret), "{listed}");
    let kept = std::fs::read_to_string(host.data_dir().join("admin-tokens.json")).unwrap();
    assert!(!kept.contains(secret), "it is hashed at rest");
    // Who changes something is in the history by the name of the token.
    ci.deploy("tide", &example("hello")).await;
    assert_eq!(api.module("tide").await["deployed_by"], "tester");
    let headers = [("authorization", &*ci.authorization())];
    let mut stream = ci.client().start("GET", "/api/v1/records/stream", &headers, "").await;
    assert_eq!(stream.response.status(), StatusCode::OK);
    stream.part().await.unwrap().unwrap();
    assert_eq!(api.ask("DELETE", "tokens/ci", "").await.status, 204);
    let (status, code, text) = ci.refused("GET", "modules", "").await;
    assert_eq!((status, &*code), (401, "token"), "{text}");
    must("the stream is broken off", async { while let Some(Ok(_)) = stream.part().await {} })
        .await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_cannot_be_made_is_refused_with_the_rule() {
    let host = Host::builder().start().await;
    let api = host.admin();
    made(&api, "taken", "look", None).await;
    for (body, status, code, fix) in [
        ("{", 400, "token-settings", "EOF"),
        (r#"{"name":"a"}"#, 422, "token-settings", "role"),
        (r#"{"name":"a","role":"root"}"#, 422, "token-settings", "`look`?"),
        (r#"{"name":"A","role":"look"}"#, 422, "token-settings", "a-z 0-9 -"),
        (r#"{"name":"a","role":"look","rolle":1}"#, 422, "token-settings", "`role`?"),
        (r#"{"name":"a","role":"look","ttl":"soon"}"#, 422, "token-settings", "30days"),
        (r#"{"name":"a","role":"look","ttl":"0s"}"#, 422, "token-settings", "30days"),
        (r#"{"name":"a","role":"look","modules":[]}"#, 422, "token-settings", "leave it out"),
        (r#"{"name":"a","role":"look","modules":["A"]}"#, 422, "token-settings", "module name"),
        (r#"{"name":"a","role":"admin","modules":["b"]}"#, 422, "token-settings", "take deploy"),
        (r#"{"name":"taken","role":"look"}"#, 409, "token-exists", "revoke that one"),
    ] {
        let refused = api.refused("POST", "tokens", body).await;
        assert_eq!((refused.0, &*refused.1), (status, code), "{body}: {}", refused.2);
        assert!(refused.2.contains(fix), "{body}: {}", refused.2);
    }
    let (status, code, _) = api.refused("DELETE", "tokens/nobody", "").await;
    assert_eq!((status, &*code), (404, "no-such-token"));
    let (status, code, _) = api.refused("DELETE", "tokens/A%20b", "").await;
    assert_eq!((status, &*code), (400, "name"));
    let tokens = api.done("GET", "tokens", "").await;
    assert_eq!(tokens["tokens"].as_array().unwrap().len(), 1, "{tokens}");
    host.stop().await;
}
