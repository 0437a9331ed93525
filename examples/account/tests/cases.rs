//! Runs `cases.json` natively, and what needs the cookies of browsers.

use serde_json::{Value, json};
use tidegate_sdk::testing::{TestHost, TestRequest, TestResponse, cases};

fn host() -> TestHost {
    TestHost::new(account::consumers()).named("account").granted_sessions()
}

fn form(host: &TestHost, path: &str, body: &str) -> TestRequest {
    let form = "application/x-www-form-urlencoded";
    host.request("POST", path).header("content-type", form).body(body)
}

/// Sends a form. Returns the response and where it leads.
fn submit(host: &TestHost, path: &str, body: &str) -> (TestResponse, String) {
    let response = form(host, path, body).send();
    let place = response.header("location").unwrap();
    (response, place)
}

fn me(host: &TestHost, cookies: &TestResponse) -> Value {
    let response = host.request("GET", "/account/me").cookies_of(cookies).send();
    serde_json::from_slice(&response.bytes()).unwrap()
}

#[test]
fn cases_hold_natively() {
    let mut host = host();
    if let Err(error) = cases::run(include_str!("../cases.json"), &mut host) {
        panic!("{error}");
    }
    assert_eq!(host.faults(), []);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn a_user_sees_the_browsers_and_signs_the_others_out() {
    let host = host();
    let (first, _) = submit(&host, "/account/register", "name=ada&password=high+tide");
    let (second, _) = submit(&host, "/account/login", "name=ada&password=high+tide");
    let (bob, _) = submit(&host, "/account/register", "name=bob&password=low+tide+");
    assert_eq!(me(&host, &first)["name"], "ada");
    let sessions = me(&host, &first)["sessions"].as_array().unwrap().clone();
    assert_eq!(sessions.len(), 2);
    assert_eq!(sessions.iter().filter(|session| session["own"] == true).count(), 1);
    let tab = host.websocket("/account/tabs").cookies_of(&second).connect().unwrap();
    tab.expect_json(&json!({ "type": "roll" }));
    // By the id of a session of hers bob ends nothing.
    let body = format!("id={}", sessions[0]["id"].as_str().unwrap());
    assert_eq!(form(&host, "/account/end", &body).cookies_of(&bob).send().status(), 303);
    assert_eq!(me(&host, &second)["name"], "ada");
    assert_eq!(form(&host, "/account/end-others", "").cookies_of(&first).send().status(), 303);
    assert_eq!(me(&host, &second)["name"], Value::Null);
    assert_eq!(tab.closed().unwrap().code, 4401);
    assert_eq!(me(&host, &first)["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(form(&host, "/account/logout", "").cookies_of(&first).send().status(), 303);
    assert_eq!(me(&host, &first), json!({ "name": null, "sessions": [] }));
    assert_eq!(host.faults(), []);
}

#[test]
fn pages_of_one_user_know_each_other_and_no_others() {
    let host = host();
    let (ada, _) = submit(&host, "/account/register", "name=ada&password=high+tide");
    let (bob, _) = submit(&host, "/account/register", "name=bob&password=high+tide");
    let open = |cookies| host.websocket("/account/tabs").cookies_of(cookies).connect().unwrap();
    let (first, other) = (open(&ada), open(&bob));
    first.expect_json(&json!({ "type": "roll" }));
    other.expect_json(&json!({ "type": "roll" }));
    let second = open(&ada);
    first.expect_json(&json!({ "type": "roll" }));
    second.expect_json(&json!({ "type": "roll" }));
    second.send("two");
    first.expect_json(&json!({ "type": "here", "tab": "two" }));
    assert_eq!(other.receive(), None);
}

#[test]
fn guesses_are_bounded_by_name_and_right_ones_are_forgotten() {
    let host = host();
    submit(&host, "/account/register", "name=ada&password=high+tide");
    let guess = |password: &str| {
        submit(&host, "/account/login", &format!("name=ada&password={password}")).1
    };
    for _ in 0..5 {
        assert_eq!(guess("wrong+tide"), "/account?problem=wrong");
    }
    assert_eq!(guess("high+tide"), "/account");
    for _ in 0..10 {
        assert_eq!(guess("wrong+tide"), "/account?problem=wrong");
    }
    assert_eq!(guess("high+tide"), "/account?problem=tries", "the right one, too");
    host.advance(std::time::Duration::from_secs(15 * 60));
    assert_eq!(guess("high+tide"), "/account");
}
