//! Runs `cases.json` natively. The host's tests run the same file against the compiled module.

use tidegate_sdk::testing::{TestHost, cases};

fn hold(json: &str) {
    let mut host = TestHost::new(chat::consumers()).named("chat");
    if let Err(error) = cases::run(json, &mut host) {
        panic!("{error}");
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn cases_hold_natively() {
    hold(include_str!("../cases.json"));
}

/// Apart, since a host of its own has nothing to remember before.
#[test]
fn who_comes_later_is_shown_the_last_lines() {
    hold(include_str!("remembered.json"));
}
