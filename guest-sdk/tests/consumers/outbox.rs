//! What becomes of the things that a consumer sent.

use std::collections::BTreeMap;

use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{
    Context, Error, Frame, Group, Request, Response, Result, SendError, channel, export, http,
};

type Fields = BTreeMap<String, u32>;

fn fields(value: u32) -> Fields {
    BTreeMap::from([("value".to_owned(), value)])
}

#[channel("work")]
fn work(content: Fields) {
    drop(content);
}

#[http("POST /fail/{how}")]
fn fail(cx: &mut Context, how: &str) -> Result<&'static str> {
    cx.send("work", &fields(1))?;
    if how == "late" {
        cx.flush()?;
        cx.send("work", &fields(2))?;
    }
    match how {
        "panic" => panic!("on purpose"),
        "answer" => Err(Error::not_found("nothing here\n")),
        _ => Err(Error::failed("on purpose")),
    }
}

#[http("POST /many/{entries}")]
fn many(cx: &mut Context, entries: u32) -> Result<&'static str> {
    for number in 0..entries {
        cx.send("work", &fields(number))?;
    }
    Ok("sent\n")
}

#[http("POST /large")]
fn large(cx: &mut Context) -> Result<&'static str> {
    for _ in 0..9 {
        cx.send("work", &BTreeMap::from([("text", "x".repeat(1024 * 1024))]))?;
    }
    Ok("sent\n")
}

#[http("POST /send")]
fn send(cx: &mut Context, request: &Request) -> String {
    let to = request.query("to").unwrap_or_default();
    match cx.send(&to, &fields(1)) {
        Ok(()) => "sent".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

#[http("POST /group")]
fn group(cx: &mut Context, request: &Request) -> String {
    let to = request.query("to").unwrap_or_default();
    match cx.group_send(Group::named(to), &fields(1)) {
        Ok(()) => "sent".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

#[http("POST /payload/{kind}")]
fn payload(cx: &mut Context, kind: &str) -> Result<&'static str, SendError> {
    match kind {
        "text" => cx.send("work", &"just text"),
        "list" => cx.send("work", &[1, 2, 3]),
        "numbers" => cx.send("work", &BTreeMap::from([(1, 2)])),
        "large-number" => cx.send("work", &BTreeMap::from([("value", u64::MAX)])),
        "deep" => {
            let mut value = serde_json::json!({});
            for _ in 0..32 {
                value = serde_json::json!({ "inner": value });
            }
            cx.send("work", &value)
        }
        "huge" => cx.send("work", &BTreeMap::from([("text", "x".repeat(1_200_000))])),
        _ => cx.send("work", &fields(1)),
    }?;
    Ok("sent\n")
}

#[http("POST /delay")]
fn delay(cx: &mut Context) -> Result<&'static str> {
    let hour = std::time::Duration::from_secs(60 * 60);
    cx.send_later("work", &fields(2), hour * 2)?;
    cx.send_later("work", &fields(1), hour)?;
    assert!(cx.send_later("work", &fields(3), hour * 25).is_err());
    Ok("later\n")
}

export! { work, fail, many, large, send, group, payload, delay }

fn post(host: &TestHost, path: &str) -> tidegate_sdk::testing::TestResponse {
    host.request("POST", path).send()
}

#[test]
fn after_a_fault_nothing_is_sent() {
    for how in ["error", "panic"] {
        let host = TestHost::new(consumers());
        let response = post(&host, &format!("/fail/{how}"));
        assert_eq!(response.status(), 500, "{how}");
        assert!(!response.text().contains("on purpose"), "the client sees the inside: {how}");
        assert_eq!(host.messages("work"), [], "{how}");
        assert!(host.faults()[0].text.contains("on purpose"), "{how}");
    }
}

#[test]
fn the_fault_of_a_panic_has_its_message_and_place() {
    let host = TestHost::new(consumers());
    assert_eq!(post(&host, "/fail/panic").status(), 500);
    let text = &host.faults()[0].text;
    let place = text.strip_prefix("panicked at ").unwrap();
    let (place, message) = place.split_once(": ").unwrap();
    assert!(place.contains("outbox.rs:29:"), "{place}");
    assert_eq!(message, "on purpose");
}

#[test]
fn what_was_flushed_before_a_fault_is_sent() {
    let host = TestHost::new(consumers());
    assert_eq!(post(&host, "/fail/late").status(), 500);
    let sent: Vec<Fields> = host.messages("work").iter().map(|sent| sent.read()).collect();
    assert_eq!(sent, [fields(1)]);
}

#[test]
fn an_error_that_answers_is_no_fault() {
    let host = TestHost::new(consumers());
    let response = post(&host, "/fail/answer");
    assert_eq!((response.status(), response.text().as_str()), (404, "nothing here\n"));
    assert_eq!(host.messages("work").len(), 1);
    assert_eq!(host.faults(), []);
}

#[test]
fn an_outbox_has_999_messages_and_an_answer_but_no_more() {
    let host = TestHost::new(consumers());
    assert_eq!(post(&host, "/many/999").status(), 200);
    assert_eq!(host.messages("work").len(), 999);
    assert_eq!(post(&host, "/many/1001").status(), 500);
    assert_eq!(host.messages("work").len(), 999);
    assert!(host.faults()[0].text.contains("the limit is 1000"));
}

#[test]
fn an_outbox_has_8_mib() {
    let host = TestHost::new(consumers());
    assert_eq!(post(&host, "/large").status(), 500);
    assert!(host.faults()[0].text.contains("the limit is 8388608"));
}

#[test]
fn a_module_sends_where_it_may() {
    let host = TestHost::new(consumers()).named("shop").granted("mail.out");
    let table = [
        ("work", "sent"),
        ("mail.out", "sent"),
        ("node!gone", "sent"),
        ("stock.count", "Forbidden"),
        ("http.request", "Forbidden"),
        ("http.request.shop", "Forbidden"),
        ("websocket.receive", "Forbidden"),
        ("", "InvalidName"),
        ("two%20words", "InvalidName"),
        ("a!b!c", "InvalidName"),
        ("!", "InvalidName"),
    ];
    for (to, expected) in table {
        let text = post(&host, &format!("/send?to={to}")).text();
        assert!(text.starts_with(expected), "{to}: {text}");
    }
    let longest = "x".repeat(100);
    assert!(post(&host, &format!("/send?to={longest}")).text().starts_with("InvalidName"));
}

#[test]
fn a_module_sends_to_its_own_groups() {
    let host = TestHost::new(consumers()).named("shop").granted("alerts.all");
    let table = [
        ("shop.visitors", "sent"),
        ("alerts.all", "sent"),
        ("alerts.some", "Forbidden"),
        ("shop2.visitors", "Forbidden"),
        ("shop", "Forbidden"),
        ("shop.a!b", "InvalidName"),
    ];
    for (to, expected) in table {
        let text = post(&host, &format!("/group?to={to}")).text();
        assert!(text.starts_with(expected), "{to}: {text}");
    }
}

#[test]
fn content_is_a_map_with_text_keys() {
    let table = [
        ("text", "a message is a map with text keys: send a struct with named fields, or a map"),
        ("list", "a message is a map with text keys: send a struct with named fields, or a map"),
        ("numbers", "a map has a key that is not text; use text keys"),
        ("large-number", "the integer 18446744073709551615 is beyond 64 bits with sign"),
        ("deep", "maps and lists are nested deeper than 32"),
        ("huge", "content of 1200011 bytes, and the limit is 1114112"),
    ];
    for (kind, expected) in table {
        let host = TestHost::new(consumers());
        assert_eq!(post(&host, &format!("/payload/{kind}")).status(), 500);
        assert_eq!(host.faults()[0].text, expected, "{kind}");
    }
    let host = TestHost::new(consumers());
    assert_eq!(post(&host, "/payload/map").status(), 200);
}

#[test]
fn delayed_messages_come_when_they_are_due() {
    let host = TestHost::new(consumers());
    assert_eq!(post(&host, "/delay").status(), 200);
    let sent = || host.messages("work").iter().map(|sent| sent.read()).collect::<Vec<Fields>>();
    assert_eq!(sent(), []);
    host.advance(std::time::Duration::from_secs(60 * 60 - 1));
    assert_eq!(sent(), []);
    host.advance(std::time::Duration::from_secs(1));
    assert_eq!(sent(), [fields(1)]);
    host.advance(std::time::Duration::from_secs(60 * 60));
    assert_eq!(sent(), [fields(1), fields(2)]);
}

#[test]
fn messages_for_connections_have_the_names_of_asgi() {
    let frame = rmp_serde::to_vec_named(&Frame::binary([0, 255])).unwrap();
    assert_eq!(frame, b"\x82\xa4type\xaewebsocket.send\xa5bytes\xc4\x02\x00\xff");
    let response = Response::new(201).header("x-a", "b").body("c");
    let response = rmp_serde::to_vec_named(&response).unwrap();
    assert_eq!(
        response,
        b"\x84\xa4type\xadhttp.response\xa6status\xcc\xc9\
          \xa7headers\x91\x92\xc4\x03x-a\xc4\x01b\xa4body\xc4\x01c"
    );
}
