//! What the README's first section says is what happens, in a browser.

use std::fs;

use tests::{Develop, Driver, lock, root, run};

use crate::{TIDEGATE, dev::edit};

/// The commands after the marker.
fn commands(readme: &str) -> Vec<&str> {
    let marker = "<!-- first-module -->\n```sh\n";
    let (_, rest) = readme.split_once(marker).expect("README.md has the first commands");
    let (commands, _) = rest.split_once("\n```").unwrap();
    commands.lines().collect()
}

/// What stands between two texts.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} after {before:?}")).0
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_section_leads_from_nothing_to_new_behaviour_on_the_open_page() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let [new, cd, dev] = commands(&readme)[..] else { panic!("three commands") };
    let name = new.strip_prefix("tidegate new ").unwrap();
    assert_eq!((cd, dev), (&*format!("cd {name}"), "tidegate dev"));
    let page = between(&readme, "Open <http://127.0.0.1:8000", "> and press Send");
    let first = between(&readme, "the answer is `", "`. In `src/lib.rs` change");
    let from = between(&readme, "change\n`", "` to `");
    let to = between(&readme, "` to `", "`, and save");
    let version = between(&readme, "and says `", "` when the new version");
    let second = between(&readme, "again: the answer is `", "`");

    let directory = tempfile::tempdir().unwrap();
    let made = run(TIDEGATE, directory.path(), &["new", name]).await;
    assert!(made.status.success(), "{made:?}");
    let path = directory.path().join(name);
    lock(&path);
    let mut dev = Develop::start(TIDEGATE, &path).await;
    dev.says("GET").await;
    let driver = Driver::start().await;
    let browser = driver.browse("ann", &format!("http://{}{page}", dev.address)).await;
    browser.shows("//*[@id='status'][contains(., 'connected since')]").await;
    let connected = browser.run("return document.getElementById('status').textContent").await;
    browser.click("send").await;
    browser.shows(&format!("//*[@id='log']/li[. = '{first}']")).await;
    edit(&path, from, to);
    dev.says(version).await;
    browser.click("send").await;
    browser.shows(&format!("//*[@id='log']/li[. = '{second}']")).await;
    let still = browser.run("return document.getElementById('status').textContent").await;
    assert_eq!(still, connected, "the page has connected anew");
    browser.close().await;
    assert_eq!(dev.stop("INT").await, Some(0));
}
