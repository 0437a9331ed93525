//! Runs the consumers natively, without WebAssembly and without a host.

use tidegate_sdk::testing::TestHost;

fn host() -> TestHost {
    TestHost::new(module_name::consumers()).named("module-name")
}

#[test]
fn each_message_is_answered_and_counted() {
    let host = host();
    let socket = host.websocket("/module-name/socket").connect().unwrap();
    socket.send("ahoy");
    socket.send("again");
    socket.expect_text("1: you said ahoy");
    socket.expect_text("2: you said again");
}

#[test]
fn connections_are_counted_apart() {
    let host = host();
    let one = host.websocket("/module-name/socket").connect().unwrap();
    let other = host.websocket("/module-name/socket").connect().unwrap();
    one.send("ahoy");
    other.send("ahoy");
    one.expect_text("1: you said ahoy");
    other.expect_text("1: you said ahoy");
}

#[test]
fn the_page_is_there() {
    let page = host().get("/module-name");
    assert_eq!(page.status(), 200);
    assert!(page.text().contains("<title>module-name</title>"));
}
