//! Examples as people see them, in a real browser: the chat in two windows, and the ticker.

use tests::{Browser, Driver, Host, must};

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
async fn a_page_with_an_event_source_shows_one_tick_after_the_other() {
    let host = Host::builder().example("ticker").start().await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", &format!("http://{}/ticker", host.address())).await;
    browser.shows("//*[@id='ticks']/li[3][contains(., ' UTC')]").await;
    browser.shows("//*[@id='status'][contains(., 'connected')]").await;
    browser.close().await;
    host.stop().await;
}
