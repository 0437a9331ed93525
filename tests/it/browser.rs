//! Examples as people see them, in a real browser: the chat in two windows, and the ticker.

use std::{process::Stdio, time::Duration};

use fantoccini::{Client, ClientBuilder, Locator};
use tests::{Host, must};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// A browser driver on a port of its own choice. Killed when dropped.
struct Driver {
    _child: Child,
    url: String,
}

impl Driver {
    async fn start() -> Self {
        let mut child = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver runs; `make test` installs it or says how");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let port = loop {
            let line = must("the driver's port", lines.next_line()).await.unwrap().unwrap();
            if let Some((_, port)) = line.split_once("was started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        Self { _child: child, url: format!("http://127.0.0.1:{port}") }
    }

    /// A browser with a profile of its own.
    async fn browser(&self, profile: &std::path::Path) -> Client {
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let options = serde_json::json!({ "goog:chromeOptions": { "args": arguments } });
        let serde_json::Value::Object(options) = options else { unreachable!() };
        must(
            "a browser",
            ClientBuilder::new(hyper_connector()).capabilities(options).connect(&self.url),
        )
        .await
        .unwrap()
    }
}

fn hyper_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}

/// Waits until the page shows a text in its log.
async fn shows(browser: &Client, text: &str) {
    let xpath = format!("//*[@id='log']//li[contains(., {text:?})]");
    let wait = browser.wait().at_most(Duration::from_secs(20));
    wait.for_element(Locator::XPath(&xpath)).await.unwrap_or_else(|error| {
        panic!("{text:?} does not appear: {error}");
    });
}

async fn join(browser: &Client, name: &str) {
    let find = async |id| browser.find(Locator::Id(id)).await.unwrap();
    find("name").await.send_keys(name).await.unwrap();
    find("join").await.click().await.unwrap();
}

async fn say(browser: &Client, text: &str) {
    let find = async |id| browser.find(Locator::Id(id)).await.unwrap();
    find("line").await.send_keys(text).await.unwrap();
    find("send").await.click().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_typed_in_one_window_appears_in_the_other_while_a_neighbour_loops() {
    let host = Host::builder().example("chat").guest("spin").start().await;
    let driver = Driver::start().await;
    let profiles = tempfile::tempdir().unwrap();
    let ann = driver.browser(&profiles.path().join("ann")).await;
    let bob = driver.browser(&profiles.path().join("bob")).await;
    let page = format!("http://{}/chat/tide", host.address());
    ann.goto(&page).await.unwrap();
    bob.goto(&page).await.unwrap();
    join(&ann, "Ann").await;
    shows(&ann, "Ann").await;
    join(&bob, "Bob").await;
    shows(&ann, "Bob").await;
    // Both slots that the other module may use are busy from here on.
    let client = host.client();
    let looping = tests::background(async move { client.get("/run").await.status });
    say(&ann, "high water at noon").await;
    shows(&bob, "high water at noon").await;
    say(&bob, "<b>thanks</b>").await;
    shows(&ann, "<b>thanks</b>").await;
    assert_eq!(must("the loop ends", looping).await.unwrap(), 500);
    bob.close().await.unwrap();
    shows(&ann, "Bob").await;
    ann.close().await.unwrap();
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_an_event_source_shows_one_tick_after_the_other() {
    let host = Host::builder().example("ticker").start().await;
    let driver = Driver::start().await;
    let profiles = tempfile::tempdir().unwrap();
    let browser = driver.browser(profiles.path()).await;
    browser.goto(&format!("http://{}/ticker", host.address())).await.unwrap();
    let third = Locator::Css("#ticks li:nth-child(3)");
    let wait = browser.wait().at_most(Duration::from_secs(20));
    let tick = wait.for_element(third).await.unwrap().text().await.unwrap();
    assert!(tick.ends_with(" UTC"), "{tick}");
    let status = browser.find(Locator::Id("status")).await.unwrap();
    assert_eq!(status.text().await.unwrap(), "connected");
    browser.close().await.unwrap();
    host.stop().await;
}
