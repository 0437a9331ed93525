//! Orders and their notifications, natively. The test plays the service.

use std::time::{Duration, UNIX_EPOCH};

use tidegate_sdk::SignatureScheme;
use tidegate_sdk::testing::{TestHost, TestResponse, TestSocket, json};

const SECRET: &str = "a secret";
const ASKED: &str = "POST https://notify.example/messages";

/// A host that may reach the service.
fn host() -> TestHost {
    with_secret()
        .environment("NOTIFY_URL", "https://notify.example/messages")
        .reaching("notify.example")
}

fn with_secret() -> TestHost {
    TestHost::new(notify::consumers())
        .named("notify")
        .secret("ORDERS_SECRET", SECRET)
        .at(UNIX_EPOCH)
}

fn body(id: &str, item: &str) -> String {
    json!({ "id": id, "item": item, "email": "ada@example.com" }).to_string()
}

/// Delivers a webhook as the shop does.
fn deliver(host: &TestHost, body: &str) -> TestResponse {
    deliver_signed(host, body, SECRET, body)
}

fn deliver_signed(host: &TestHost, body: &str, secret: &str, signed: &str) -> TestResponse {
    let (name, value) = SignatureScheme::GitHub.sign(secret, signed.as_bytes(), UNIX_EPOCH);
    let request = host.request("POST", "/hooks/orders").header("content-type", "application/json");
    request.header(name, value).body(body).send()
}

/// A page that has joined.
fn page(host: &TestHost) -> TestSocket {
    let page = host.websocket("/notify/watch").connect().expect("the page is accepted");
    page.send("orders");
    let told: serde_json::Value = page.receive_json();
    assert_eq!(told["type"], "orders");
    page
}

fn shown(id: &str, attempts: u32, notification: serde_json::Value) -> serde_json::Value {
    json!({ "id": id, "item": "Lamp", "came": 0, "attempts": attempts, "notification": notification })
}

#[test]
fn a_signed_order_is_taken_and_its_notification_is_shown_live() {
    let host = host();
    let page = page(&host);
    let taken = deliver(&host, &body("A-1", "Lamp"));
    assert_eq!((taken.status(), taken.text().as_str()), (202, "taken\n"));
    let order = shown("A-1", 0, json!({ "state": "asked" }));
    page.expect_json(&json!({ "type": "order", "order": order }));

    let asked = host.fetch(ASKED);
    assert_eq!(asked.header("idempotency-key"), Some("order-A-1"));
    let expected = json!({ "to": "ada@example.com", "text": "Thank you. Lamp is on its way." });
    assert_eq!(asked.json::<serde_json::Value>(), expected);
    asked.answer_json(201, &json!({ "id": "n-7" }));
    let order = shown("A-1", 1, json!({ "state": "sent", "id": "n-7" }));
    page.expect_json(&json!({ "type": "order", "order": order }));
    page.expect_nothing();
    assert_eq!((host.faults(), host.fetches()), (vec![], vec![]));
}

#[test]
fn an_order_that_the_shop_has_not_signed_is_refused_and_leaves_nothing() {
    let host = host();
    let (lamp, yacht) = (body("A-1", "Lamp"), body("A-1", "Yacht"));
    let unsigned = host.request("POST", "/hooks/orders").header("content-type", "application/json");
    assert_eq!(unsigned.body(lamp.as_str()).send().status(), 403);
    assert_eq!(deliver_signed(&host, &lamp, "another secret", &lamp).status(), 403);
    assert_eq!(deliver_signed(&host, &yacht, SECRET, &lamp).status(), 403);
    assert_eq!((host.data().keys(), host.fetches()), (vec![], vec![]));
}

#[test]
fn an_order_that_is_delivered_twice_is_notified_once() {
    let host = host();
    assert_eq!(deliver(&host, &body("A-1", "Lamp")).status(), 202);
    let again = deliver(&host, &body("A-1", "Lamp"));
    assert_eq!((again.status(), again.text().as_str()), (200, "known\n"));
    host.fetch(ASKED).answer_json(201, &json!({ "id": "n-1" }));
    assert_eq!(deliver(&host, &body("A-1", "Lamp")).status(), 200);
    assert_eq!(host.fetches(), Vec::<String>::new());
}

#[test]
fn of_two_deliveries_at_the_same_time_one_is_notified() {
    let host = host();
    // The other one commits first, after this one has found nothing.
    let order: serde_json::Value = json!({
        "id": "A-1", "item": "Lamp", "email": "ada@example.com", "came": 0, "attempts": 0,
        "notification": { "state": "asked" },
    });
    host.before_commit(move |data| data.set("order:A-1", &order));
    assert_eq!(deliver(&host, &body("A-1", "Lamp")).status(), 200);
    assert_eq!(host.fetches(), Vec::<String>::new());
}

#[test]
fn a_busy_service_is_asked_again_with_the_same_key() {
    let host = host();
    let page = page(&host);
    assert_eq!(deliver(&host, &body("A-1", "Lamp")).status(), 202);
    assert_eq!(page.receive_json::<serde_json::Value>()["order"]["attempts"], 0);
    for _ in 0..2 {
        let asked = host.fetch(ASKED);
        assert_eq!(asked.header("idempotency-key"), Some("order-A-1"));
        asked.answer(503, "busy");
        page.expect_nothing();
    }
    // The process that asks ends, and another one goes on.
    host.fetch(ASKED).lose();
    host.fetch(ASKED).answer_json(200, &json!({ "id": "n-7" }));
    let order = shown("A-1", 4, json!({ "state": "sent", "id": "n-7" }));
    page.expect_json(&json!({ "type": "order", "order": order }));
}

#[test]
fn each_result_has_its_state() {
    let long = json!({ "id": "n".repeat(65) }).to_string();
    for (status, answer, attempts, state) in [
        (200, r#"{"id": "n-7"}"#, 1, json!({ "state": "sent", "id": "n-7" })),
        (204, "", 1, json!({ "state": "sent", "id": null })),
        (200, &long, 1, json!({ "state": "sent", "id": null })),
        (422, "no such address", 1, json!({ "state": "refused", "status": 422 })),
        (503, "busy", 6, json!({ "state": "refused", "status": 503 })),
    ] {
        let host = host();
        deliver(&host, &body("A-1", "Lamp"));
        for _ in 0..attempts {
            host.fetch(ASKED).answer(status, answer);
        }
        assert_eq!(last_order(&host), shown("A-1", attempts, state));
    }
    for (reason, attempts) in [("tls", 1), ("connect", 6), ("timeout", 6)] {
        let host = host();
        deliver(&host, &body("A-1", "Lamp"));
        for _ in 0..attempts {
            host.fetch(ASKED).fail(reason);
        }
        let state = json!({ "state": "failed", "reason": reason });
        assert_eq!(last_order(&host), shown("A-1", attempts, state));
        let logged = host.logs().iter().any(|line| line.text.contains(reason));
        assert!(logged, "{:?}", host.logs());
    }
}

#[test]
fn a_result_that_nobody_knows_has_its_state() {
    let host = host();
    deliver(&host, &body("A-1", "Lamp"));
    // Requests with retries have no such result; those of a version without them may.
    let unknown = json!({ "result": "unknown", "value": "A-1", "attempts": 1 });
    host.send("notify.sent", &unknown).expect("it is a message");
    assert_eq!(last_order(&host), shown("A-1", 1, json!({ "state": "unknown" })));
}

/// The order that a page gets first.
fn last_order(host: &TestHost) -> serde_json::Value {
    let page = host.websocket("/notify/watch").connect().expect("the page is accepted");
    page.send("orders");
    page.receive_json::<serde_json::Value>()["orders"][0].clone()
}

#[test]
fn a_page_that_opens_later_gets_the_last_orders_the_newest_first() {
    let host = host();
    for number in 1..=21 {
        assert_eq!(deliver(&host, &body(&format!("A-{number}"), "Lamp")).status(), 202);
        host.advance(Duration::from_secs(1));
    }
    let page = host.websocket("/notify/watch").connect().expect("the page is accepted");
    page.send("orders");
    let told: serde_json::Value = page.receive_json();
    let ids = told["orders"].as_array().expect("a list of orders").iter();
    let ids: Vec<_> = ids.map(|order| order["id"].as_str().expect("an id").to_owned()).collect();
    assert_eq!(ids, (2..=21).rev().map(|number| format!("A-{number}")).collect::<Vec<_>>());
    assert!(!told.to_string().contains("ada@example.com"), "{told}");
}

#[test]
fn orders_that_break_a_rule_are_refused_with_the_rule() {
    let host = host();
    let order = |id: &str, item: &str, email: &str| {
        json!({ "id": id, "item": item, "email": email }).to_string()
    };
    for (body, rule) in [
        (order("", "Lamp", "a@b"), "an id has"),
        (order("a/b", "Lamp", "a@b"), "an id has"),
        (order(&"a".repeat(65), "Lamp", "a@b"), "an id has"),
        (order("A-1", " ", "a@b"), "an item has"),
        (order("A-1", &"x".repeat(81), "a@b"), "an item has"),
        (order("A-1", "Lamp", "ada"), "an email has"),
        (order("A-1", "Lamp", "a@b\nc"), "an email has"),
        (json!({ "id": "A-1" }).to_string(), "item"),
    ] {
        let refused = deliver(&host, &body);
        assert_eq!(refused.status(), 400, "{body}");
        assert!(refused.text().contains(rule), "{body}: {}", refused.text());
    }
    assert_eq!((host.data().keys(), host.fetches()), (vec![], vec![]));
}

#[test]
fn without_its_grants_no_order_is_taken_and_the_fault_names_the_setting() {
    let elsewhere = with_secret().environment("NOTIFY_URL", "https://notify.example/messages");
    let secretless = TestHost::new(notify::consumers()).named("notify");
    for (host, setting) in [
        (secretless, "modules.notify.grants.secrets"),
        (with_secret(), "modules.notify.grants.environment"),
        (elsewhere, "modules.notify.grants.http"),
    ] {
        assert_eq!(deliver(&host, &body("A-1", "Lamp")).status(), 500);
        let faults = host.faults();
        assert!(faults.iter().any(|fault| fault.text.contains(setting)), "{setting}: {faults:?}");
        assert_eq!((host.data().keys(), host.fetches()), (vec![], vec![]));
    }
}

#[test]
fn the_page_may_reach_the_shop_of_the_demo_and_nobody_else() {
    let host = host().environment("SHOP_URL", "http://127.0.0.1:8025/orders");
    let policy = host.get("/notify").header("content-security-policy").expect("it has a policy");
    assert!(policy.ends_with("connect-src 'self' http://127.0.0.1:8025/orders"), "{policy}");
    let page = host.websocket("/notify/watch").connect().expect("the page is accepted");
    page.send("orders");
    let shop = &page.receive_json::<serde_json::Value>()["shop"];
    assert_eq!(shop, "http://127.0.0.1:8025/orders");
}
