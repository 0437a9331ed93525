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
    assert_eq!(whole.header("content-type"), Some("text/javascript; charset=utf-8"));
    assert_eq!(whole.header("cache-control"), Some("no-cache"));
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
async fn a_download_goes_on_only_within_the_same_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = "/hello/a/release.bin";
    write(directory.path(), "a/release.bin", &"old".repeat(100));
    let host = host(directory.path()).await;
    let first = get(&host, path, ("range", "bytes=0-9")).await;
    assert_eq!((first.status, first.body.len()), (206, 10));
    let (etag, modified) = (first.header("etag").unwrap(), first.header("last-modified").unwrap());
    let go_on = async |range: &str, condition: &str| {
        let fields = [("range", range), ("if-range", condition)];
        let reply = host.client().request("GET", path, &fields, "").await;
        (reply.status, reply.body.len())
    };
    for (condition, expected) in [
        (etag, (206, 290)),
        (modified, (206, 290)),
        (&format!("W/{etag}"), (200, 300)),
        ("\"stale\"", (200, 300)),
        ("Thu, 01 Jan 1970 00:00:00 GMT", (200, 300)),
        ("nonsense", (200, 300)),
    ] {
        assert_eq!(go_on("bytes=10-", condition).await, expected, "{condition}");
    }
    // The file is replaced, by a shorter one.
    write(directory.path(), "part", "new");
    std::fs::rename(directory.path().join("part"), directory.path().join("a/release.bin")).unwrap();
    assert_eq!(go_on("bytes=1-", etag).await, (200, 3));
    assert_eq!(go_on("bytes=10-", etag).await, (200, 3), "and not 416");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_that_is_not_known_is_ignored_and_several_get_the_whole_file() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a/a.bin", "0123456789");
    let host = host(directory.path()).await;
    for (range, status, body) in [
        ("bytes=2-4", 206, "234"),
        ("BYTES=2-4", 206, "234"),
        ("bytes=-3", 206, "789"),
        ("lines=0-1", 200, "0123456789"),
        ("bytes=0-1,5-6", 200, "0123456789"),
        ("bytes=20-", 416, ""),
    ] {
        let reply = get(&host, "/hello/a/a.bin", ("range", range)).await;
        assert_eq!((reply.status, reply.text()), (status, body), "{range}");
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_compressed_on_the_way_has_a_weak_etag_and_head_says_what_get_says() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "js/long.js", &SCRIPT.repeat(500));
    let host = host(directory.path()).await;
    let path = "/hello/js/long.js";
    let plain = host.get(path).await;
    let strong = plain.header("etag").unwrap();
    for coding in ["gzip", "br"] {
        let packed = get(&host, path, ("accept-encoding", coding)).await;
        assert_eq!(packed.header("content-encoding"), Some(coding));
        let weak = packed.header("etag").unwrap();
        assert_eq!(weak, format!("W/{strong}"));
        let fields = [("accept-encoding", coding), ("if-none-match", weak)];
        let again = host.client().request("GET", path, &fields, "").await;
        assert_eq!((again.status, again.header("etag")), (304, Some(weak)));
        let head = host.client().request("HEAD", path, &[("accept-encoding", coding)], "").await;
        for name in ["content-encoding", "content-length", "content-type", "etag", "vary"] {
            assert_eq!(head.header(name), packed.header(name), "{name}");
        }
        assert_eq!((head.status, head.text()), (200, ""));
    }
    let head = host.client().request("HEAD", path, &[], "").await;
    assert_eq!(head.header("content-length"), plain.header("content-length"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_without_a_slash_is_redirected_to_itself_wherever_it_is() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "index.html", "top");
    write(directory.path(), "sub/index.html", "sub");
    let settings = "[interface]\nroot_path = '/app'\ntrusted_proxies = '127.0.0.1'";
    let line = format!("files = {{ '/assets' = {:?} }}", directory.path().display().to_string());
    let host = Host::builder().example("hello").with(&line).section(settings).start().await;
    for (path, location) in [
        ("/app/assets", "/app/assets/"),
        ("/app/assets?x=1&y", "/app/assets/?x=1&y"),
        ("/app/assets/sub", "/app/assets/sub/"),
        ("/app/assets/sub?x=1", "/app/assets/sub/?x=1"),
    ] {
        let reply = host.get(path).await;
        assert_eq!((reply.status, reply.header("location")), (307, Some(location)), "{path}");
        let reply = get(&host, path, ("x-forwarded-prefix", "/front")).await;
        assert_eq!(reply.header("location"), Some(&*format!("/front{location}")), "{path}");
    }
    assert_eq!(host.get("/app/assets/").await.text(), "top");
    assert_eq!(host.get("/app/assets/sub/?x=1").await.text(), "sub");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_says_how_long_files_of_a_prefix_may_be_kept() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "a.html", "a");
    let place = directory.path().display().to_string();
    let lines = format!(
        "files = {{ '/a' = {place:?}, '/b' = {place:?} }}\n\
         cache_control = {{ '/a' = 'public, max-age=3600' }}"
    );
    let host = Host::builder().example("hello").with(&lines).start().await;
    for (path, cache_control) in
        [("/a/a.html", Some("public, max-age=3600")), ("/b/a.html", Some("no-cache"))]
    {
        let reply = host.get(path).await;
        assert_eq!((reply.status, reply.header("cache-control")), (200, cache_control), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/html; charset=utf-8"));
    }
    host.stop().await;
    let module = tests::example("hello");
    for (value, expected) in [
        ("{ '/x' = 'no-store' }", "`files` has no \"/x\""),
        ("{ '/a' = \"a\\nb\" }", "is not a valid header value"),
    ] {
        let settings = format!(
            "[modules.a]\nfile = {module:?}\nfiles = {{ '/a' = {place:?} }}\ncache_control = {value}"
        );
        std::fs::write(directory.path().join("tidegate.toml"), settings).unwrap();
        let output = run(TIDEGATE, directory.path(), &["check"]).await;
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{error}");
        assert!(error.contains(expected), "{error}");
    }
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
    assert!(error.contains("modules.a.files.\"/x\": nowhere is not a directory"), "{error}");
}
