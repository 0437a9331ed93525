//! Runs `cases.json` natively. The host's tests run the same file against the compiled module.

use tidegate_sdk::testing::{TestHost, cases};

#[test]
fn cases_hold_natively() {
    let mut host = TestHost::new(cursors::consumers()).named("cursors");
    if let Err(error) = cases::run(include_str!("../cases.json"), &mut host) {
        panic!("{error}");
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}
