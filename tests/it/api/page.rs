//! The files of the page that the admin listener serves.

use tests::{Client, Host};

/// All that the page is made of, as its own files name it.
async fn files(client: &Client) -> Vec<String> {
    let mut found = vec!["/".to_owned()];
    let mut at = 0;
    while let Some(path) = found.get(at).cloned() {
        let reply = client.get(&path).await;
        let text = reply.text();
        let linked = text.split("=\"page/").skip(1);
        let imported = text.split(" from \"./").skip(1);
        for rest in linked.chain(imported) {
            let path = format!("/page/{}", rest.split('"').next().unwrap());
            if !found.contains(&path) {
                found.push(path);
            }
        }
        at += 1;
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_no_token_and_is_bound_to_its_own_origin() {
    let host = Host::builder().start().await;
    let client = host.admin().client();
    let files = files(&client).await;
    assert!(files.len() > 5, "{files:?}");
    let mut bytes = 0;
    for path in &files {
        let reply = client.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        bytes += reply.body.len();
        let kind = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            _ => "text/html; charset=utf-8",
        };
        let policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
             img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        for (name, value) in [
            ("content-type", kind),
            ("content-security-policy", policy),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{path}: {name}");
        }
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    assert!(bytes < 150 * 1024, "the page has {bytes} bytes");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_the_page_that_the_client_has_is_not_sent_again() {
    let host = Host::builder().start().await;
    let client = host.admin().client();
    for path in files(&client).await {
        let whole = client.get(&path).await;
        let tag = whole.header("etag").unwrap();
        let asked = client.request("GET", &path, &[("if-none-match", tag)], "").await;
        assert_eq!((asked.status, asked.body.len()), (304, 0), "{path}");
        assert_eq!(asked.header("etag"), Some(tag));
        let asked = client.request("GET", &path, &[("if-none-match", "\"another\"")], "").await;
        assert_eq!((asked.status, asked.text()), (200, whole.text()), "{path}");
        let head = client.request("HEAD", &path, &[], "").await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(head.header("content-length"), Some(&*whole.body.len().to_string()));
        assert_eq!(head.header("etag"), Some(tag));
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths_beside_the_page_are_refused() {
    let host = Host::builder().start().await;
    let client = host.admin().client();
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(client.request(method, "/", &[], "").await.status, 405, "{method}");
    }
    for path in ["/page", "/page/", "/page/none.js", "/index.html", "/page/../page/main.js", "//"] {
        let reply = client.get(path).await;
        assert_eq!(reply.status, 404, "{path}");
        assert!(reply.text().starts_with("there are /, /livez, "), "{}", reply.text());
    }
    // The page of the process is none of the application's.
    assert_eq!(host.get("/").await.status, 404);
    host.stop().await;
}
