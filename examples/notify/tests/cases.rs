//! Runs `cases.json` natively. The host's tests run the same file against the compiled module.

use tidegate_sdk::testing::{TestHost, cases};

#[test]
fn cases_hold_natively() {
    let mut host = TestHost::new(notify::consumers())
        .named("notify")
        .secret("ORDERS_SECRET", "a secret of the demo")
        .environment("NOTIFY_URL", "http://127.0.0.1:8025/notifications")
        .environment("SHOP_URL", "http://127.0.0.1:8025/orders")
        .reaching("127.0.0.1:8025");
    if let Err(error) = cases::run(include_str!("../cases.json"), &mut host) {
        panic!("{error}");
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}
