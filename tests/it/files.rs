//! Files that a module serves from a directory.

use std::{io::Read as _, path::Path};

use tests::{Host, Reply, run};

use crate::TIDEGATE;

const SCRIPT: &str = "const tide = 'high';\n";

fn write(directory: &Path, name: &str, content: &str) {
    let path = directory.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

async fn host(directory: &Path) -> Host {
    let line = format!("files = {{ '/hello' = {:?} }}", directory.display().to_string());
    Host::builder().example("hello").with(&line).start().await
}

async fn get(host: &Host, path: &str, field: (&str, &str)) -> Reply {
    host.client().request("GET", path, &[field], "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_its_type_and_etag_and_is_sent_whole_in_part_or_not_again() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "js/tide.js", SCRIPT);
    let host = host(directory.path()).await;
    let whole = host.get("/hello/js/tide.js").await;
    assert_eq!((whole.status, whole.text()), (200, SCRIPT));
    assert_eq!(whole.header("content-type"), Some("text/javascript"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    let etag = whole.header("etag").unwrap();
    let again = get(&host, "/hello/js/tide.js", ("if-none-match", etag)).await;
    assert_eq!((again.status, again.text()), (304, ""));
    let part = get(&host, "/hello/js/tide.js", ("range", "bytes=6-9")).await;
    assert_eq!((part.status, part.text()), (206, "tide"));
    assert_eq!(get(&host, "/hello/js/tide.js", ("range", "bytes=99-")).await.status, 416);
    let head = host.client().request("HEAD", "/hello/js/tide.js", &[], "").await;
    assert_eq!((head.status, head.text()), (200, ""));
    write(directory.path(), "js/tide.js", "const tide = 'low and rising';\n");
    let changed = get(&host, "/hello/js/tide.js", ("if-none-match", etag)).await;
    assert_eq!((changed.status, changed.header("etag") == Some(etag)), (200, false));
    let posted = host.client().request("POST", "/hello/js/tide.js", &[], "").await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET,HEAD")));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_text_is_compressed_for_who_takes_it() {
    let directory = tempfile::tempdir().unwrap();
    let text = SCRIPT.repeat(500);
    write(directory.path(), "js/long.js", &text);
    let host = host(directory.path()).await;
    let packed = get(&host, "/hello/js/long.js", ("accept-encoding", "gzip")).await;
    assert_eq!(packed.header("content-encoding"), Some("gzip"));
    assert!(packed.body.len() < text.len() / 10, "{}", packed.body.len());
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_string(&mut unpacked).unwrap();
    assert_eq!(unpacked, text);
    assert_eq!(host.get("/hello/js/long.js").await.header("content-encoding"), None);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_outside_and_nothing_hidden_is_served_and_consumers_go_first() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "files/a/b.txt", "b");
    write(directory.path(), "files/.env", "secret");
    write(directory.path(), "files/.git/config", "secret");
    write(directory.path(), "files/ann", "a file");
    write(directory.path(), "outside.txt", "secret");
    let host = host(&directory.path().join("files")).await;
    assert_eq!(host.get("/hello/a/b.txt").await.text(), "b");
    assert_eq!(host.get("/hello/ann").await.text(), "Hello, ann!\n", "the consumer has the path");
    for path in [
        "/hello/../outside.txt",
        "/hello/%2e%2e/outside.txt",
        "/hello/a/..%2f..%2foutside.txt",
        "/hello/a/%2e%2e/%2e%2e/outside.txt",
        "/hello//etc/passwd",
        "/hello/a/.env",
        "/hello/%2eenv/x",
        "/hello/.git/config",
        "/hello/a/nothing",
        "/helloa/b.txt",
    ] {
        assert_eq!(host.get(path).await.status, 404, "{path}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_what_is_in_the_directory_and_never_out_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let (root, files) = (directory.path(), directory.path().join("files"));
    write(root, "files/a/b.txt", "b");
    write(root, "outside/secret.txt", "secret");
    write(root, "outside/index.html", "secret");
    let absolute = root.join("outside/secret.txt");
    for (target, name) in [
        (Path::new("b.txt"), "same.txt"),
        (Path::new("../a"), "up-and-down"),
        (Path::new("../../files/a"), "out-and-in"),
        (Path::new("../../outside/secret.txt"), "relative.txt"),
        (&absolute, "absolute.txt"),
        (Path::new("../../outside"), "folder"),
        (Path::new("../../outside/secret.txt"), "b.txt.gz"),
        (Path::new("../../outside/index.html"), "index.html"),
        (Path::new("round.txt"), "round.txt"),
    ] {
        std::os::unix::fs::symlink(target, files.join("a").join(name)).unwrap();
    }
    let host = host(&files).await;
    for path in ["same.txt", "up-and-down/b.txt", "up-and-down/up-and-down/same.txt"] {
        assert_eq!(host.get(&format!("/hello/a/{path}")).await.text(), "b", "{path}");
    }
    for path in [
        "relative.txt",
        "absolute.txt",
        "folder",
        "folder/",
        "folder/secret.txt",
        "",
        "index.html",
        "out-and-in/b.txt",
        "round.txt",
        "b.txt/",
        "b.txt/c",
    ] {
        let reply = host.get(&format!("/hello/a/{path}")).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
    }
    let packed = get(&host, "/hello/a/b.txt", ("accept-encoding", "gzip")).await;
    assert_eq!((packed.status, packed.text()), (200, "b"), "the packed one is a link out");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_there_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let module = tests::example("hello");
    let settings = format!("[modules.a]\nfile = {module:?}\nfiles = {{ '/x' = 'nowhere' }}");
    std::fs::write(directory.path().join("tidegate.toml"), settings).unwrap();
    let output = run(TIDEGATE, directory.path(), &["check"]).await;
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(error.contains("modules.a.files.\"/x\": nowhere is no directory"), "{error}");
}
