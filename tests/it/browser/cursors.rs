//! The example `cursors` in two windows: who is there, where they point, and what they draw.

use serde_json::{Value, json};
use tests::{Browser, Driver, Host, Process, example, must};

use crate::TIDEGATE;

/// Joins under a name.
async fn join(window: &Browser, name: &str) {
    window.fill("name", name).await;
    window.click("join").await;
    window.shows(&format!("//*[@id='people']/li[@class='self' and .='{name} (you)']")).await;
}

/// Waits until a script of the page says so.
async fn until(window: &Browser, what: &str, holds: &str) {
    must(what, async { while window.run(&format!("return {holds};")).await != true {} }).await;
}

async fn people(window: &Browser) -> Value {
    let listed = "[...document.querySelectorAll('#people li')].map((item) => item.textContent)";
    window.run(&format!("return {listed};")).await
}

/// Moves the pointer over the board so many times, as a hand does, and draws on the way if it is pressed.
async fn moves(window: &Browser, times: u32, pressed: bool) {
    let script = format!(
        "const board = document.getElementById('board');
         const {{ left, top, width, height }} = board.getBoundingClientRect();
         const fire = (type, part) => board.dispatchEvent(new PointerEvent(type, {{
           clientX: left + width * part, clientY: top + height / 2, pointerId: 1, cancelable: true,
         }}));
         if ({pressed}) {{
           board.setPointerCapture = undefined;
           fire('pointerdown', 0);
         }}
         for (let i = 1; i <= {times}; i += 1) {{
           fire('pointermove', (0.5 * i) / {times});
           await new Promise((done) => requestAnimationFrame(done));
         }}
         if ({pressed}) fire('pointerup', 0.5);"
    );
    window.run(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_see_who_is_there_where_they_point_and_what_they_draw() {
    let host = Host::builder().example("cursors").start().await;
    let driver = Driver::start().await;
    let page = format!("http://{}/cursors/tide", host.address());
    let ann = driver.browse("ann", &page).await;
    let bob = driver.browse("bob", &page).await;
    let painted = "(() => {
        const canvas = document.getElementById('drawing');
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value) => value > 0);
    })()";
    join(&ann, "Ann").await;
    moves(&bob, 5, true).await;
    let is_painted = bob.run(&format!("return {painted};")).await;
    assert_eq!(is_painted, false, "nobody would see what somebody draws who is not here");
    join(&bob, "Bob").await;
    ann.shows("//*[@id='people']/li[.='Bob']").await;
    bob.shows("//*[@id='people']/li[.='Ann']").await;
    let changes = "document.getElementById('people').dataset.changes";
    let before = ann.run(&format!("return {changes};")).await;
    let version = async || {
        let api = host.admin();
        api.done("GET", "groups/cursors.board.tide/members", "").await
    };
    let members = version().await;

    moves(&bob, 40, false).await;
    until(
        &ann,
        "the pointer is where it was last",
        "document.querySelector('.pointer')?.style.left === '50%'",
    )
    .await;
    assert_eq!(ann.run("return document.querySelector('.pointer').textContent;").await, "Bob");
    moves(&bob, 40, true).await;
    until(&ann, "the line is there", painted).await;
    // Pointers change nothing of who is there.
    assert_eq!(ann.run(&format!("return {changes};")).await, before);
    assert_eq!(version().await, members);

    // A second window of the same browser is the same person, and a page that is loaded again is no change.
    bob.goto(&page).await;
    bob.shows("//*[@id='people']/li[@class='self' and .='Bob (you)']").await;
    assert_eq!(people(&ann).await, json!(["Ann (you)", "Bob"]));
    bob.goto("about:blank").await;
    until(&ann, "Bob is gone", "document.querySelectorAll('#people li').length === 1").await;
    assert_eq!(ann.run("return document.querySelectorAll('.pointer').length;").await, 0);
    assert_eq!(ann.complaints().await, []);
    ann.close().await;
    bob.close().await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_that_was_offline_and_a_host_that_was_killed_come_back_to_the_right_list() {
    let cursors = format!("cursors={}", example("cursors").display());
    let first = Process::serve(TIDEGATE, &["--module", &cursors]).await;
    let address = first.address;
    let driver = Driver::start().await;
    let page = format!("http://{address}/cursors/tide");
    let ann = driver.browse("ann", &page).await;
    let bob = driver.browse("bob", &page).await;
    join(&ann, "Ann").await;
    join(&bob, "Bob").await;
    ann.shows("//*[@id='people']/li[.='Bob']").await;
    bob.close().await;
    first.signal("KILL").await;
    drop(first);
    ann.shows("//*[@id='status'][contains(., 'connection lost')]").await;
    let second = Process::serve_at(address, TIDEGATE, &["--module", &cursors]).await;
    ann.shows("//*[@id='status' and .='connected']").await;
    // Nobody is there of whom only the host that was killed knew.
    until(&ann, "only Ann is there", "document.querySelectorAll('#people li').length === 1").await;
    assert_eq!(people(&ann).await, json!(["Ann (you)"]));
    ann.close().await;
    drop(second);
}
