//! Users in a browser: which pages may act with the cookie of a signed-in one, and a token for a WebSocket.

use serde_json::{Value, json};
use tests::{Browser, Driver, Host, auth_section, token};
use tidegate::telemetry::ByReason;

use crate::TIDEGATE;

async fn host() -> Host {
    let section = auth_section("cookie = \"id\"");
    Host::builder().guest("users").section(&section).compiler(TIDEGATE).start().await
}

fn refusals(host: &Host, reason: &'static str) -> u64 {
    host.app().metrics().auth_refusals.get_or_create(&ByReason { reason }).get()
}

/// Sends a form to an address, and shows the answer.
async fn submit(browser: &Browser, method: &str, address: &str) {
    let script = format!(
        "const form = document.createElement('form');
         form.method = {method:?};
         form.action = {address:?};
         document.body.append(form);
         form.submit();"
    );
    browser.run(&script).await;
}

async fn shows(browser: &Browser, text: &str) {
    browser.shows(&format!("//body[contains(., {text:?})]")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_acts_for_pages_of_its_own_origin_alone() {
    let (host, other, driver) = (host().await, host().await, Driver::start().await);
    let (home, port) = (format!("http://{}", host.address()), other.address().port());
    let browser = driver.browse("ada", &format!("{home}/ok")).await;
    let token = token("ada", &json!({ "role": "owner" }));
    browser.run(&format!("document.cookie = 'id={token}; path=/; SameSite=Lax';")).await;
    let own = "return await (await fetch('/me', { method: 'POST' })).text();";
    assert_eq!(browser.run(own).await, "ada owner true");
    submit(&browser, "POST", &format!("{home}/me")).await;
    shows(&browser, "ada owner true").await;

    // Another port is another origin of the same site: the cookie comes along.
    let same_site = format!("http://127.0.0.1:{port}/ok");
    browser.goto(&same_site).await;
    submit(&browser, "GET", &format!("{home}/me")).await;
    shows(&browser, "ada owner true").await;
    browser.goto(&same_site).await;
    submit(&browser, "POST", &format!("{home}/me")).await;
    shows(&browser, "403 Forbidden: this user may not do that").await;
    assert_eq!(refusals(&host, "cross_site"), 1);
    browser.goto(&same_site).await;
    let fetch = format!(
        "await fetch('{home}/me', {{ method: 'POST', mode: 'no-cors', credentials: 'include' }});"
    );
    browser.run(&fetch).await;
    assert_eq!(refusals(&host, "cross_site"), 2);

    // Of another site the browser sends it with links only.
    let cross_site = format!("http://localhost:{port}/ok");
    browser.goto(&cross_site).await;
    submit(&browser, "POST", &format!("{home}/me")).await;
    shows(&browser, "401 Unauthorized: sign in first").await;
    browser.goto(&cross_site).await;
    submit(&browser, "GET", &format!("{home}/me")).await;
    shows(&browser, "ada owner true").await;
    assert_eq!((refusals(&host, "cross_site"), refusals(&host, "missing")), (2, 1));
    browser.close().await;
    host.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_gets_its_token_as_a_subprotocol() {
    let (host, driver) = (host().await, Driver::start().await);
    let browser = driver.browse("ada", &format!("http://{}/ok", host.address())).await;
    let open = |offered: Value| {
        format!(
            "return await new Promise((done) => {{
                 const socket = new WebSocket(`ws://${{location.host}}/room`, {offered});
                 socket.onopen = () => socket.send('hi');
                 socket.onmessage = ({{ data }}) => done([socket.protocol, data]);
                 socket.onclose = ({{ code }}) => done(code);
             }});"
        )
    };
    let entry = format!("tidegate.token.{}", token("ada", &json!({})));
    let opened = browser.run(&open(json!(["tidegate", entry]))).await;
    assert_eq!(opened, json!(["tidegate", "ada  true: hi [\"tidegate\"] \"tidegate\""]));
    let opened = browser.run(&open(json!(["chat", entry]))).await;
    assert_eq!(opened, json!(["chat", "ada  true: hi [\"chat\"] \"chat\""]));
    assert_eq!(browser.run(&open(json!(["tidegate"]))).await, 1006);
    browser.close().await;
    host.stop().await;
}
