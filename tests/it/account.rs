//! The example `account`: two browsers of one user, who stays signed in whatever becomes of the host.

use std::path::Path;

use tests::{Browser, Driver, Host, Process, example, must};

use crate::TIDEGATE;

/// The settings of the demo, and time enough for a hash on a machine that does other work.
fn settings() -> String {
    let demo = tests::root().join("examples/account/tidegate.toml");
    std::fs::read_to_string(demo).unwrap() + "\n[limits]\ndeadline = '60s'\n"
}

/// Waits until an element is shown whose text has a part.
async fn shows(browser: &Browser, id: &str, text: &str) {
    let script = format!(
        "const it = document.getElementById({id:?});
         return it.checkVisibility() && it.innerText.includes({text:?});"
    );
    must(&format!("{id} says {text:?}"), async {
        // Between two pages there is no such element.
        while browser.try_script(&script).await.is_none_or(|it| it != true) {}
    })
    .await;
}

/// Fills in a form of the page and sends it.
async fn send(browser: &Browser, form: &str, name: &str, password: &str) {
    shows(browser, form, "Name").await;
    browser.fill(&format!("{form}-name"), name).await;
    browser.fill(&format!("{form}-password"), password).await;
    browser.run(&format!("document.querySelector('#{form} button').click();")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_one_browser_out_from_another() {
    let host = Host::builder().example("account").section(&settings()).start().await;
    let page = format!("http://{}/account", host.address());
    let driver = Driver::start().await;
    let first = driver.browse("first", &page).await;
    send(&first, "register", "ada", "high tide").await;
    shows(&first, "title", "Signed in as ada").await;
    shows(&first, "status", "1 page open").await;
    assert_eq!(first.run("return document.cookie;").await, "", "no script reads the cookie");

    let second = driver.browse("second", &page).await;
    send(&second, "login", "ada", "low tide!").await;
    shows(&second, "problem", "not the name and the password").await;
    send(&second, "login", "ada", "high tide").await;
    shows(&second, "title", "Signed in as ada").await;
    for browser in [&first, &second] {
        shows(browser, "status", "2 pages open").await;
    }
    first.goto(&page).await;
    shows(&first, "sessions", "this browser").await;
    assert_eq!(first.run("return document.querySelectorAll('#sessions li').length;").await, 2);
    first.run("document.querySelector('.end').click();").await;
    // The socket of the other page is closed, and it asks who it is.
    shows(&second, "login", "Sign in").await;
    shows(&first, "status", "1 page open").await;

    first.as_dark_phone().await;
    let is_narrow = "return document.documentElement.scrollWidth <= innerWidth;";
    assert_eq!(first.run(is_narrow).await, true);
    assert_eq!(second.run(is_narrow).await, true);
    first.click("logout").await;
    shows(&first, "login", "Sign in").await;
    for browser in [first, second] {
        let complaints = browser.complaints().await;
        assert!(complaints.is_empty(), "{complaints:?}");
        browser.close().await;
    }
    host.stop().await;
}

async fn serve(config: &Path, data: &Path, again: Option<&Process>) -> Process {
    let module = format!("account={}", example("account").display());
    let arguments = [
        "--config",
        config.to_str().unwrap(),
        "--data-dir",
        data.to_str().unwrap(),
        "--module",
        &module,
    ];
    match again {
        Some(before) => Process::serve_at(before.address, TIDEGATE, &arguments).await,
        None => Process::serve(TIDEGATE, &arguments).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_stays_signed_in_over_a_deploy_and_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let (config, data) = (folder.path().join("tidegate.toml"), folder.path().join("data"));
    std::fs::write(&config, settings()).unwrap();
    let host = serve(&config, &data, None).await;
    let page = format!("http://{}/account", host.address);
    let driver = Driver::start().await;
    let browser = driver.browse("ada", &page).await;
    send(&browser, "register", "ada", "high tide").await;
    shows(&browser, "status", "1 page open").await;
    // Another version of the module, while the page is open.
    host.api().deploy("account", &example("account")).await;
    shows(&browser, "status", "1 page open").await;
    host.signal("KILL").await;
    let again = serve(&config, &data, Some(&host)).await;
    // The page comes back by itself.
    shows(&browser, "title", "Signed in as ada").await;
    shows(&browser, "status", "1 page open").await;
    browser.close().await;
    again.signal("TERM").await;
    assert_eq!(again.wait().await, Some(0));
}
