//! Examples and the page of the admin listener as people see them, in a real browser.

mod control;
mod cursors;
mod page;
mod users;

use std::time::Duration;

use serde_json::json;
use tests::{Browser, Driver, FaultProxy, Host, Network, example, must};

/// Waits until the chat shows a text in its log.
pub(crate) async fn shows(browser: &Browser, text: &str) {
    browser.shows(&format!("//*[@id='log']//li[contains(., {text:?})]")).await;
}

/// Joins the chat under a name.
pub(crate) async fn join(browser: &Browser, name: &str) {
    browser.fill("name", name).await;
    browser.click("join").await;
    shows(browser, &format!("{name} joined")).await;
}

/// Says something in the chat.
pub(crate) async fn say(browser: &Browser, text: &str) {
    browser.fill("line", text).await;
    browser.click("send").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_typed_in_one_window_appears_in_the_other_while_a_neighbour_loops() {
    let host = Host::builder().example("chat").guest("spin").start().await;
    let driver = Driver::start().await;
    let page = format!("http://{}/chat/tide", host.address());
    let ann = driver.browse("ann", &page).await;
    let bob = driver.browse("bob", &page).await;
    join(&ann, "Ann").await;
    join(&bob, "Bob").await;
    shows(&ann, "Bob joined").await;
    // Both slots that the other module may use are busy from here on.
    let client = host.client();
    let looping = tests::background(async move { client.get("/run").await.status });
    say(&ann, "high water at noon").await;
    shows(&bob, "high water at noon").await;
    say(&bob, "<b>thanks</b>").await;
    shows(&ann, "<b>thanks</b>").await;
    assert_eq!(must("the loop ends", looping).await.unwrap(), 500);
    // The browser may keep the page, but not its connection.
    bob.goto("about:blank").await;
    shows(&ann, "Bob left").await;
    bob.close().await;
    ann.close().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_offline_shows_each_line_that_it_has_missed_once() {
    let host = Host::builder().example("chat").start().await;
    let network = FaultProxy::before(host.address().port()).await;
    let driver = Driver::start().await;
    let ann = driver.browse("ann", &format!("http://{}/chat/tide", host.address())).await;
    let bob = driver.browse("bob", &format!("http://{}/chat/tide", network.address())).await;
    join(&ann, "Ann").await;
    join(&bob, "Bob").await;
    say(&ann, "line 0").await;
    shows(&bob, "line 0").await;
    network.set(Network::Cut);
    shows(&bob, "connection lost").await;
    for number in 1..=5 {
        say(&ann, &format!("line {number}")).await;
        shows(&ann, &format!("line {number}")).await;
    }
    network.set(Network::Works);
    shows(&bob, "line 5").await;
    say(&ann, "line 6").await;
    shows(&bob, "line 6").await;
    let lines =
        "return [...document.querySelectorAll('#log .theirs')].map((it) => it.textContent);";
    let expected: Vec<_> = (0..=6).map(|number| format!("Ann: line {number}")).collect();
    assert_eq!(bob.run(lines).await, json!(expected));
    // Who comes later is shown the same.
    let carl = driver.browse("carl", &format!("http://{}/chat/tide", host.address())).await;
    join(&carl, "Carl").await;
    shows(&carl, "line 6").await;
    assert_eq!(carl.run(lines).await, json!(expected));
    for window in [ann, bob, carl] {
        window.close().await;
    }
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_an_event_source_shows_one_tick_after_the_other() {
    let host = Host::builder().example("ticker").start().await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", &format!("http://{}/ticker", host.address())).await;
    browser.shows("//*[@id='ticks']/li[3][contains(., ' UTC')]").await;
    browser.shows("//*[@id='status'][contains(., 'connected')]").await;
    browser.close().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_replaced_and_another_one_fails_under_a_page_that_keeps_its_socket() {
    let host = Host::builder().example("live").example("trouble").start().await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", &format!("http://{}/live", host.address())).await;
    browser.shows("//*[@id='word'][contains(., 'high tide')]").await;
    // Another version, as a build with another word makes it.
    let mut wasm = std::fs::read(example("live")).unwrap();
    let (word, other) = (b"high tide", b"ebb tides");
    while let Some(at) = wasm.windows(word.len()).position(|bytes| bytes == word) {
        wasm.splice(at..at + word.len(), *other);
    }
    host.admin().done("PUT", "modules/live", wasm).await;
    browser.shows("//*[@id='word'][contains(., 'ebb tides')]").await;
    browser.shows("//*[@id='log']/li[contains(., 'in place of')]").await;
    for what in ["panic", "loop"] {
        browser.click(what).await;
        let noted = format!("//*[@id='log']/li[contains(., '{what}: answered 500')]");
        browser.shows(&noted).await;
    }
    browser.shows("//*[@id='connections'][.='1']").await;
    browser.close().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_windows_of_one_browser_hear_the_news_of_a_long_poll() {
    let host = Host::builder().example("longpoll").start().await;
    let driver = Driver::start().await;
    let page = format!("http://{}/longpoll", host.address());
    let browser = driver.browse("ann", &page).await;
    // A frame shares the browser's cache, as a second window does.
    browser
        .run(
            "const frame = document.createElement('iframe'); frame.src = location.href; \
             document.body.append(frame); await new Promise((done) => { frame.onload = done; });",
        )
        .await;
    for number in 1..=3 {
        // Chromium lets a request wait 20 seconds for an equal one that it may keep.
        let both_wait = host.until("both wait", |host| host.app().metrics().holds.get() == 2);
        tokio::time::timeout(Duration::from_secs(10), both_wait).await.expect("both wait");
        let published =
            host.client().request("POST", "/publish/page", &[], format!("news {number}")).await;
        assert_eq!(published.status, 202);
        let both = format!(
            "const heard = () => [document, document.querySelector('iframe').contentDocument] \
             .every((page) => page.querySelector('#news').textContent.includes('news {number}')); \
             while (!heard()) await new Promise((done) => requestAnimationFrame(done)); return true;"
        );
        assert_eq!(browser.run(&both).await, true);
    }
    browser.close().await;
    host.stop().await;
}
