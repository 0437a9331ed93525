//! The page of the admin listener: an operator runs dead letters again, and makes and revokes tokens.

use serde_json::json;
use tests::{Driver, ENTER, ESCAPE, Host};

use super::page::{done, entered, view};
use crate::api::{
    dead_letters::{dead, until_posted},
    open_connections::{auth, room},
    versioned,
};

async fn post() -> Host {
    Host::builder().section("[layer]\nretry_pause = '20ms'\n").guest("letters").start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_found_with_their_fault_run_again_and_dropped() {
    let host = post().await;
    let (api, client) = (host.admin(), host.client());
    dead(&client, &api, &["%3Cb%3Eann", "bob", "cid"]).await;
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    view(&browser, "letters").await;
    browser.shows("//tr[th='letters.post'][td='3'][td='letters']").await;
    browser.run("document.querySelector('main a[href=\"#letters/letters.post\"]').click();").await;
    browser.shows("//*[@id='letters-total'][.='3 dead letters.']").await;
    browser.shows("//main[not(contains(., 'undefined'))]").await;
    browser.shows("//tr[td[contains(., '<b>ann')]]").await;
    // Why it failed: the runs, with their fault.
    browser.run("document.querySelector('main a[href^=\"#records?id=\"]').click();").await;
    browser.shows("//*[@id='records']/tr[2][contains(., 'failed')]").await;
    browser.run("history.back();").await;
    browser.shows("//*[@id='letters-total'][.='3 dead letters.']").await;
    browser.run("document.querySelector('main tbody button').click();").await;
    browser.shows("//dialog//*[@id='letter'][contains(., '<b>ann')]").await;
    browser.press(ESCAPE).await;
    client.request("POST", "/broken/false", &[], "").await;
    browser
        .run("document.querySelector('button[data-key^=\"run-\"]:not(#run-all)').click();")
        .await;
    browser.shows("//*[@id='notices'][contains(., 'waits in letters.post again')]").await;
    until_posted(&client, "%3Cb%3Eann", "1").await;
    browser.shows("//*[@id='letters-total'][.='2 dead letters.']").await;
    browser
        .run("document.querySelector('button[data-key^=\"drop-\"]:not(#drop-all)').click();")
        .await;
    browser.shows("//dialog//pre[contains(., 'bob')]").await;
    assert_eq!(browser.run("return document.activeElement.id;").await, "no", "safe by default");
    browser.click("yes").await;
    browser.shows("//*[@id='letters-total'][.='1 dead letter.']").await;
    browser.click("run-all").await;
    browser.click("yes").await;
    browser
        .shows("//*[@id='notices'][contains(., '1 wait in their channel again, 0 are left')]")
        .await;
    until_posted(&client, "cid", "1").await;
    assert_eq!(client.get("/posted/bob").await.text(), "0");
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_used_and_revoked_by_the_page_alone() {
    let host = post().await;
    dead(&host.client(), &host.admin(), &["ann"]).await;
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    view(&browser, "tokens").await;
    browser.shows("//main//p[.='There are none.']").await;
    browser.click("create").await;
    browser.fill("token-name", "watch").await;
    browser.fill("token-modules", "letters").await;
    browser.click("yes").await;
    browser.shows("//dialog//*[@id='secret'][starts-with(., 'tidegate_')]").await;
    let secret = browser.run("return document.getElementById('secret').textContent;").await;
    browser.click("close").await;
    browser.shows("//tr[th='watch'][td='look'][td='letters']").await;
    // A token that may only look sees no buttons that change something, and no tokens.
    browser.click("leave").await;
    browser.fill("token", secret.as_str().unwrap()).await;
    browser.press(ENTER).await;
    browser.shows("//nav[not(@hidden)]").await;
    let hidden = "return document.getElementById('nav-tokens').hidden;";
    assert_eq!(browser.run(hidden).await, json!(true));
    browser.run("location.hash = 'letters/letters.post';").await;
    browser.shows("//*[@id='letters-total'][.='1 dead letter.']").await;
    let buttons = "return document.querySelectorAll('main .danger, #run-all').length;";
    assert_eq!(browser.run(buttons).await, 0);
    // Revoked elsewhere: the page asks for another one.
    assert_eq!(host.admin().ask("DELETE", "tokens/watch", "").await.status, 204);
    browser.shows("//*[@id='refused'][contains(., 'does not take the token any more')]").await;
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|(source, _)| source == "network"), "{complaints:?}");
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_and_tokens_are_changed_by_keyboard_on_a_dark_phone() {
    let host = post().await;
    let (api, client) = (host.admin(), host.client());
    dead(&client, &api, &["ann"]).await;
    client.request("POST", "/broken/false", &[], "").await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", "about:blank").await;
    browser.as_dark_phone().await;
    browser.goto(&format!("http://{}/", host.app().admin_address())).await;
    browser.shows("//button[@id='enter']").await;
    let token = api.authorization();
    browser.press(token.strip_prefix("Bearer ").unwrap()).await;
    browser.press(ENTER).await;
    browser.shows("//h1[.='Overview']").await;
    let fits = "return document.documentElement.scrollWidth <= 390 && innerWidth === 390;";
    browser.tab_to("Dead letters").await;
    browser.press(ENTER).await;
    browser.shows("//tr[th='letters.post']").await;
    assert_eq!(browser.run(fits).await, true, "the channels");
    browser.tab_to("letters.post").await;
    browser.press(ENTER).await;
    browser.shows("//tr[td[contains(., 'ann')]]").await;
    assert_eq!(browser.run(fits).await, true, "the dead letters");
    browser.tab_to("Run again").await;
    browser.press(ENTER).await;
    until_posted(&client, "ann", "1").await;
    browser.tab_to("Tokens").await;
    browser.press(ENTER).await;
    browser.tab_to("Make a token").await;
    browser.press(ENTER).await;
    browser.shows("//dialog[@open]").await;
    assert_eq!(browser.run(fits).await, true, "the dialog");
    browser.press("ci").await;
    browser.press(ENTER).await;
    browser.shows("//*[@id='secret']").await;
    assert_eq!(browser.run(fits).await, true, "the token");
    browser.press(ESCAPE).await;
    browser.shows("//tr[th='ci']").await;
    let nameless = "return [...document.querySelectorAll('a, button, input, select')].filter((it) => \
         !(it.textContent.trim() || it.getAttribute('aria-label') || it.labels?.length)).length;";
    assert_eq!(browser.run(nameless).await, 0);
    assert_eq!(browser.complaints().await, []);
    browser.close().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_is_turned_page_by_page() {
    let host = Host::builder().guest("users").section(&auth()).start().await;
    let mut sockets = Vec::new();
    for _ in 0..201 {
        sockets.push(host.websocket(&room("ada")).await);
    }
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    view(&browser, "connections").await;
    browser.shows("//*[@id='connections-total'][.='201 connections.']").await;
    let page = async |rows: usize, is_first: bool, is_last: bool| {
        let has = |name: &str, has: bool| match has {
            true => format!("//*[@id='{name}-page']"),
            false => format!("not(//*[@id='{name}-page'])"),
        };
        let (before, after) = (has("previous", !is_first), has("next", !is_last));
        browser.shows(&format!("//main[count(.//tbody/tr)={rows} and {before} and {after}]")).await;
    };
    page(100, true, false).await;
    browser.click("next-page").await;
    page(100, false, false).await;
    browser.click("next-page").await;
    page(1, false, true).await;
    browser.click("previous-page").await;
    page(100, false, false).await;
    browser.click("previous-page").await;
    page(100, true, false).await;
    drop(sockets);
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_of_a_user_are_found_and_closed() {
    let host = Host::builder().guest("users").section(&auth()).start().await;
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    let (mut one, mut two) =
        (host.websocket(&room("ada")).await, host.websocket(&room("ada")).await);
    let mut bob = host.websocket(&room("bob")).await;
    view(&browser, "connections").await;
    browser.shows("//*[@id='connections-total'][.='3 connections.']").await;
    browser.shows("//main[not(contains(., 'undefined'))]").await;
    browser.run("document.querySelector('main tbody button').click();").await;
    browser.shows("//dialog//p[.='It is in none.']").await;
    browser.press(ESCAPE).await;
    browser.fill("connection-user", "ada").await;
    browser.click("filter-connections").await;
    browser.shows("//*[@id='connections-total'][.='2 connections.']").await;
    browser.click("close-all").await;
    browser.shows("//dialog//h2[.='Close the WebSockets of user ada?']").await;
    browser.fill("close-reason", "signed out").await;
    browser.click("yes").await;
    browser.shows("//*[@id='notices'][contains(., '2 WebSockets are being closed.')]").await;
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.closed().await, (1000, "signed out".to_owned()));
    }
    browser.shows("//*[@id='connections-total'][.='0 connections.']").await;
    bob.send("still there").await;
    assert!(bob.text().await.starts_with("bob reader"));
    done(browser, host).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_operator_finds_a_version_that_fails_one_request_in_ten_and_rolls_back() {
    let host = Host::builder().start().await;
    let api = host.admin();
    api.done("PUT", "modules/shop", versioned("tenth", 1)).await;
    // Nobody watches it, so that the operator has to.
    api.done("PUT", "modules/shop?probation=off", versioned("tenth", 2)).await;
    let order = async || {
        let mut failed = 0;
        for number in 0..100 {
            failed += u32::from(host.get(&format!("/order/{number}")).await.status != 200);
        }
        failed
    };
    assert_eq!(order().await, 10);
    let driver = Driver::start().await;
    let browser = entered(&driver, &host).await;
    // The overview says which module, the records what is wrong, the module how to go back.
    browser.shows("//*[@id='look']//li[contains(., 'shop')][contains(., 'of the last')]").await;
    browser.run("document.querySelector('#look a').click();").await;
    browser.shows("//*[@id='records']/tr[10]").await;
    browser.run("document.querySelector('#records button').click();").await;
    browser.shows("//dialog//h2[contains(., 'shop 2: order')]").await;
    browser.shows("//dialog//*[@id='record-fault'][contains(., 'no stock for order')]").await;
    browser.click("close").await;
    browser.run("location.hash = 'modules/shop';").await;
    browser.shows("//tr[th='2'][td='active']").await;
    browser.click("rollback").await;
    browser.click("yes").await;
    browser.shows("//tr[th='1'][td='active']").await;
    assert_eq!(order().await, 0);
    done(browser, host).await;
}
