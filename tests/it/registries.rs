//! Modules in OCI registries.

use std::{convert::Infallible, net::SocketAddr};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use tests::{ImageRegistry, background, program};
use tokio::net::TcpListener;

use crate::desk::{Asked, Desk, key, text};

const CONFIG: &str = "application/vnd.wasm.config.v0+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

fn sha256(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let digits: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{digits}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_goes_through_a_registry_and_its_digest_stands_in_the_history() {
    let Some(registry) = ImageRegistry::start() else { return };
    let desk = Desk::new();
    let (one, two) = (desk.copy("counter"), desk.copy("counter-2"));
    let place = format!("oci://{}/ada/counter:1", registry.address);
    let (status, first) = desk.tidegate(&["push", text(&one), &place]).await;
    assert_eq!(status, 0, "{first}");
    assert!(
        first.starts_with(&format!("oci://{}/ada/counter@sha256:", registry.address)),
        "{first}"
    );

    let asked = Asked::serve(&desk, "").await;
    let (status, said) =
        asked.tidegate(&desk, &["deploy", "counter", &place, "--note", "begins"]).await;
    assert!(status == 0 && said.starts_with("counter 1 ("), "{said}");
    let last = asked.last("counter").await;
    assert_eq!((&last["source"], &last["note"]), (&json!(first), &json!("begins")));
    assert_eq!(last["signed_by"], Value::Null);
    assert_eq!(
        format!("sha256:{}", last["digest"].as_str().unwrap()),
        sha256(&std::fs::read(&one).unwrap())
    );

    // A tag moves, and a digest does not.
    let (_, second) = desk.tidegate(&["push", text(&two), &place]).await;
    assert_ne!(first, second);
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", &place]).await;
    assert!(said.starts_with("counter 1 → 2 ("), "{said}");
    assert_eq!(asked.last("counter").await["source"], second);
    let (_, said) = asked.tidegate(&desk, &["deploy", "counter", &first]).await;
    assert!(said.starts_with("counter 2 → 3 ("), "{said}");
    let (_, said) = asked.tidegate(&desk, &["modules", "counter"]).await;
    assert!(said.contains(&format!("begins · {first}")), "{said}");

    let pulled = desk.path("pulled.wasm");
    let (status, said) = desk.tidegate(&["pull", &first, text(&pulled)]).await;
    assert_eq!((status, said), (0, first));
    assert_eq!(std::fs::read(&pulled).unwrap(), std::fs::read(&one).unwrap());
    assert!(!desk.path("pulled.wasm.minisig").exists());
    let (status, said) = desk.tidegate(&["pull", &format!("{place}0"), text(&pulled)]).await;
    assert!(status == 4 && said.contains("no module of this name and tag"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tools_read_the_layout() {
    let (Some(registry), Some(skopeo)) = (ImageRegistry::start(), program("skopeo")) else {
        return;
    };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let wasm = std::fs::read(&file).unwrap();
    let place = format!("{}/counter:1", registry.address);
    let (status, pushed) = desk.tidegate(&["push", text(&file), &format!("oci://{place}")]).await;
    assert_eq!(status, 0, "{pushed}");
    let image = format!("docker://{place}");
    let manifest = desk.run(&skopeo, &["inspect", "--tls-verify=false", "--raw", &image]).await;
    assert!(pushed.ends_with(&sha256(&manifest.stdout)), "{pushed}");
    let manifest: Value = serde_json::from_slice(&manifest.stdout).unwrap();
    assert_eq!(manifest["config"]["mediaType"], CONFIG);
    let [layer] = manifest["layers"].as_array().unwrap().as_slice() else { panic!("{manifest}") };
    let expected =
        json!({"mediaType": "application/wasm", "digest": sha256(&wasm), "size": wasm.len()});
    assert_eq!(layer, &expected);
    let inspect = ["inspect", "--tls-verify=false", "--raw", "--config", &image];
    let config = desk.run(&skopeo, &inspect).await;
    let config: Value = serde_json::from_slice(&config.stdout).unwrap();
    assert_eq!((&config["architecture"], &config["os"]), (&json!("wasm"), &json!("wasip2")));
    assert_eq!(config["layerDigests"], json!([sha256(&wasm)]));
    let names = |of: &str| config["component"][of].as_array().unwrap().clone();
    let has =
        |of: &str, name: &str| names(of).iter().any(|it| it.as_str().unwrap().starts_with(name));
    assert!(has("exports", "tidegate:channels/consumer@"), "{config}");
    assert!(has("imports", "tidegate:channels/"), "{config}");
    // Copied by another tool it is the same module.
    let copy = desk.path("copy");
    let copied = desk
        .run(&skopeo, &["copy", "--src-tls-verify=false", &image, &format!("dir:{}", text(&copy))])
        .await;
    assert!(copied.status.success(), "{copied:?}");
    let back = format!("docker://{}/other:2", registry.address);
    let copied = desk
        .run(&skopeo, &["copy", "--dest-tls-verify=false", &format!("dir:{}", text(&copy)), &back])
        .await;
    assert!(copied.status.success(), "{copied:?}");
    let (status, said) = desk.tidegate(&["pull", &back.replace("docker:", "oci:"), "b.wasm"]).await;
    assert_eq!(status, 0, "{said}");
    assert_eq!(std::fs::read(desk.path("b.wasm")).unwrap(), wasm);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_is_asked_as_the_user_who_is_logged_in() {
    let Some(registry) = ImageRegistry::with_password("of the tide") else { return };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let place = format!("oci://{}/counter:1", registry.address);
    let push = ["push", text(&file), &place];
    let (status, said) = desk.tidegate(&push).await;
    assert!(status == 8 && said.contains("somebody without a user"), "{said}");
    assert!(said.contains(&format!("docker login {}", registry.address)), "{said}");
    let login = |password: &str| {
        let auth = data_encoding::BASE64.encode(format!("ada:{password}").as_bytes());
        let login = json!({"auths": {registry.address.to_string(): {"auth": auth}}});
        std::fs::write(desk.path("config.json"), login.to_string()).unwrap();
    };
    login("wrong");
    let (status, said) = desk.tidegate(&push).await;
    assert!(status == 8 && said.contains("refuses the user and password"), "{said}");
    assert!(!said.contains("wrong"), "{said}");
    login("of the tide");
    assert_eq!(desk.tidegate(&push).await.0, 0);
    assert_eq!(desk.tidegate(&["pull", &place, "pulled.wasm"]).await.0, 0);
    std::fs::write(desk.path("config.json"), "{").unwrap();
    let (status, said) = desk.tidegate(&push).await;
    assert!(status == 8 && said.contains("cannot be read"), "{said}");
}

/// An answer by path: status, header fields, body.
type Answers = fn(&str, SocketAddr) -> (u16, Vec<(&'static str, String)>, Bytes);

/// A registry that answers as the test says.
async fn lying(answers: Answers) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    background(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            let service = service_fn(move |request: Request<Incoming>| async move {
                let (status, fields, body) = answers(request.uri().path(), address);
                let mut response = Response::builder().status(status);
                for (name, value) in fields {
                    response = response.header(name, value);
                }
                Ok::<_, Infallible>(response.body(Full::new(body)).unwrap())
            });
            let served = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(socket), service);
            background(async move { drop(served.await) });
        }
    });
    address
}

/// The manifest of a file, as a registry sends it.
fn manifest(
    config: &str,
    layers: &[(&str, &[u8], usize)],
) -> (u16, Vec<(&'static str, String)>, Bytes) {
    let layers: Vec<_> = layers
        .iter()
        .map(
            |(kind, bytes, size)| json!({"mediaType": kind, "digest": sha256(bytes), "size": size}),
        )
        .collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": config, "digest": sha256(b"{}"), "size": 2},
        "layers": layers,
    });
    let body = Bytes::from(manifest.to_string());
    (
        200,
        vec![("content-type", MANIFEST.to_owned()), ("docker-content-digest", sha256(&body))],
        body,
    )
}

/// An answer of a registry that has its tokens from elsewhere, or of that place.
fn asked_for_token(
    path: &str,
    address: SocketAddr,
    (status, token): (u16, Value),
) -> (u16, Vec<(&'static str, String)>, Bytes) {
    if path == "/token" {
        return (status, Vec::new(), Bytes::from(token.to_string()));
    }
    let challenge = format!("Bearer realm=\"http://{address}/token\",service=\"tests\"");
    (401, vec![("www-authenticate", challenge)], Bytes::new())
}

/// A manifest of a module with other members than usual, and nothing else.
fn only_manifest(path: &str, members: &Value) -> (u16, Vec<(&'static str, String)>, Bytes) {
    if !path.contains("/manifests/") {
        return (404, Vec::new(), Bytes::new());
    }
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": sha256(b"{}"), "size": 2},
    });
    manifest.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let body = Bytes::from(manifest.to_string());
    let fields =
        vec![("content-type", MANIFEST.to_owned()), ("docker-content-digest", sha256(&body))];
    (200, fields, body)
}

fn with_layer(
    path: &str,
    named: &[u8],
    size: usize,
    sent: &'static [u8],
) -> (u16, Vec<(&'static str, String)>, Bytes) {
    if path.contains("/manifests/") {
        return manifest(CONFIG, &[("application/wasm", named, size)]);
    }
    (200, Vec::new(), Bytes::from_static(sent))
}

/// Has commands ask registries that lie, and sees that each is told apart and that nothing is written or deployed.
async fn are_told_apart(cases: &[(Answers, i32, &str)]) -> (Desk, Asked) {
    let desk = Desk::new();
    let asked = Asked::serve(&desk, "upload.bytes = '1MB'").await;
    // Commands in this directory have the limit of the host.
    std::fs::copy(desk.path("host.toml"), desk.path("tidegate.toml")).unwrap();
    for &(answers, exit, expected) in cases {
        let address = lying(answers).await;
        let place = format!("oci://{address}/a/module:1");
        for command in [&["pull", &place, "pulled.wasm"][..], &["deploy", "counter", &place]] {
            let (status, said) = match command {
                ["deploy", ..] => asked.tidegate(&desk, command).await,
                _ => desk.tidegate(command).await,
            };
            assert!(status == exit && said.contains(expected), "{expected}: {status} {said}");
            assert!(said.contains(&format!("oci://{address}/a/module")), "{said}");
            let is_plain = said.chars().all(|c| !c.is_control() || c == '\n');
            assert!(is_plain && said.len() < 5_000, "{said:?}");
            assert!(!said.lines().any(|line| line.starts_with("error: forged")), "{said}");
        }
        assert!(!desk.path("pulled.wasm").exists(), "{expected}");
    }
    let modules = asked.host.api().done("GET", "modules", "").await;
    assert_eq!(modules.get("modules"), Some(&json!([])));
    (desk, asked)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_lie_of_a_registry_is_told_apart_and_changes_nothing() {
    let cases: [(Answers, i32, &str); 10] = [
        (
            |path, _| with_layer(path, b"a file", 6, b"a lie!"),
            4,
            "other bytes than their digest names",
        ),
        (|path, _| with_layer(path, b"a file", 6, b"a file, and more"), 4, "other bytes"),
        (|path, _| with_layer(path, b"a file", 2_000_000, b"a file"), 4, "more than 1000000 bytes"),
        (|path, _| with_layer(path, &[7; 6], 6, &[7; 1_500_000]), 4, "more than 1000000 bytes"),
        (
            |_, _| {
                manifest(
                    "application/vnd.oci.image.config.v1+json",
                    &[("application/wasm", b"a", 1)],
                )
            },
            4,
            "its config has the media type",
        ),
        (|_, _| manifest(CONFIG, &[]), 4, "it has 0 layers"),
        (|_, _| manifest(CONFIG, &[("text/plain", b"a", 1)]), 4, "its layer has the media type"),
        (
            |_, address| {
                (307, vec![("location", format!("http://{address}/v2/again"))], Bytes::new())
            },
            7,
            "redirects without end",
        ),
        (|_, _| (500, Vec::new(), Bytes::from_static(b"out of order")), 7, "the registry answers"),
        (
            |path, _| match path.contains("/manifests/") {
                true => {
                    let (status, mut fields, body) =
                        manifest(CONFIG, &[("application/wasm", b"a", 1)]);
                    fields[1].1 = sha256(b"another manifest");
                    (status, fields, body)
                }
                false => (404, Vec::new(), Bytes::new()),
            },
            4,
            "other bytes",
        ),
    ];
    let (desk, _asked) = are_told_apart(&cases).await;
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (status, said) = desk.tidegate(&["pull", &format!("oci://{gone}/a:1"), "p.wasm"]).await;
    assert!(status == 7 && said.contains("does not answer"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn words_of_a_registry_change_no_terminal_and_lead_nowhere_else() {
    let cases: [(Answers, i32, &str); 7] = [
        (
            |_, _| {
                let words = "\u{1b}[2J\u{1b}[31mowned\r\nerror: forged";
                (500, Vec::new(), Bytes::from(words.repeat(1_000)))
            },
            7,
            "\\u{1b}[31mowned",
        ),
        (
            |_, _| {
                let errors =
                    json!({"errors": [{"code": "UNKNOWN", "message": "\u{9b}31m\nforged"}]});
                (400, Vec::new(), Bytes::from(errors.to_string()))
            },
            7,
            "the registry answers",
        ),
        (
            |path, address| asked_for_token(path, address, (200, json!({"token": "a\nb"}))),
            7,
            "its token has characters",
        ),
        (
            |path, address| asked_for_token(path, address, (200, json!(["no token"]))),
            7,
            "the registry answers",
        ),
        (
            |path, address| asked_for_token(path, address, (500, json!("\u{1b}[2J out of order"))),
            8,
            "gives nobody no token: \"\\u001b[2J out of order\"",
        ),
        (
            |path, _| {
                let layer = json!({
                    "mediaType": "application/wasm", "digest": sha256(b"a"), "size": 1,
                    "urls": ["http://127.0.0.1:1/layer"],
                });
                only_manifest(path, &json!({"layers": [layer]}))
            },
            4,
            "its layer says that it is elsewhere",
        ),
        (
            |path, _| {
                let layer =
                    json!({"mediaType": "application/wasm", "digest": sha256(b"a"), "size": 1});
                let annotations = json!({"dev.tidegate.minisig": "s".repeat(20_000)});
                only_manifest(path, &json!({"layers": [layer], "annotations": annotations}))
            },
            4,
            "its signature has 20000 bytes",
        ),
    ];
    are_told_apart(&cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_goes_through_a_registry_with_its_file() {
    let Some(registry) = ImageRegistry::start() else { return };
    let desk = Desk::new();
    let file = desk.copy("counter");
    let signers = key(&desk, "ops.key").await;
    let asked = Asked::serve(&desk, &format!("[upload]\n{signers}")).await;
    let place = format!("oci://{}/counter:1", registry.address);
    assert_eq!(desk.tidegate(&["push", text(&file), &place]).await.0, 0);
    let (status, said) = asked.tidegate(&desk, &["deploy", "counter", &place]).await;
    assert!(status == 4 && said.contains("it is not signed"), "{said}");
    desk.tidegate(&["sign", text(&file), "--key", "ops.key"]).await;
    assert_eq!(desk.tidegate(&["push", text(&file), &place]).await.0, 0);
    let (status, said) = asked.tidegate(&desk, &["deploy", "counter", &place]).await;
    assert!(status == 0 && said.starts_with("counter 1 ("), "{said}");
    assert!(asked.last("counter").await["signed_by"].is_string());
    desk.tidegate(&["pull", &place, "pulled.wasm"]).await;
    let [pushed, pulled] = ["counter.wasm.minisig", "pulled.wasm.minisig"]
        .map(|name| std::fs::read_to_string(desk.path(name)).unwrap());
    assert_eq!(pushed, pulled);
    // A signature of what was there before does not stay beside another file.
    std::fs::remove_file(desk.path("counter.wasm.minisig")).unwrap();
    assert_eq!(desk.tidegate(&["push", text(&file), &place]).await.0, 0);
    assert_eq!(desk.tidegate(&["pull", &place, "pulled.wasm"]).await.0, 0);
    assert!(!desk.path("pulled.wasm.minisig").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_proxy_hears_what_is_said_to_a_registry_on_this_machine() {
    let Some(registry) = ImageRegistry::start() else { return };
    let (desk, proxy) = (Desk::new(), lying(|_, _| (200, Vec::new(), Bytes::new())).await);
    let file = desk.copy("counter");
    let proxy = format!("http://{proxy}");
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let variables = [(name, &*proxy), ("no_proxy", "other.example")];
        let place = format!("oci://{}/counter:{name}", registry.address);
        let pushed = desk.tidegate_with(&variables, &["push", text(&file), &place]).await;
        assert_eq!(pushed.0, 0, "{}", pushed.1);
        let pulled = desk.tidegate_with(&variables, &["pull", &place, "pulled.wasm"]).await;
        assert_eq!(pulled, pushed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_keeps_logins_is_asked_by_the_name_that_docker_login_uses() {
    let desk = Desk::new();
    let helper = desk.path("docker-credential-tide");
    std::fs::write(
        &helper,
        "#!/bin/sh\nread -r name\necho \"$name\" >> asked\necho 'credentials not found'\nexit 1\n",
    )
    .unwrap();
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&helper, executable).unwrap();
    std::fs::write(desk.path("config.json"), json!({"credsStore": "tide"}).to_string()).unwrap();
    let path = format!("{}:{}", desk.0.path().display(), std::env::var("PATH").unwrap());
    // The registry itself is not reached.
    let variables = [("PATH", &*path), ("https_proxy", "http://127.0.0.1:1")];
    let (status, said) =
        desk.tidegate_with(&variables, &["pull", "oci://docker.io/ada/chat:1", "a.wasm"]).await;
    assert!(status == 7 && said.contains("does not answer"), "{said}");
    let asked = std::fs::read_to_string(desk.path("asked")).unwrap();
    assert_eq!(asked, "https://index.docker.io/v1/\ndocker.io\n");
}
