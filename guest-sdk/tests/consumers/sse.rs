//! Server-sent events.

use std::time::Duration;

use tidegate_sdk::sse::{self, Event};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Reply, Request, Result, SendError, export, http};

#[http("GET /stream")]
fn stream(cx: &mut Context, request: &Request) -> Result<Reply> {
    sse::start(cx)?;
    cx.group_add("streams")?;
    let last = sse::last_event_id(request).unwrap_or("nothing");
    sse::send(cx, &Event::data(format!("after {last}")))?;
    let channel = request.reply_channel().to_owned();
    sse::send(cx, &Event::data(channel).name("channel"))?;
    Ok(cx.hold(Duration::from_secs(60)))
}

#[http("POST /own/{text}")]
fn own(cx: &mut Context, text: String) -> Result<Reply> {
    sse::start(cx)?;
    sse::send(cx, &Event::data("").name(text))?;
    Ok(cx.end_stream()?)
}

#[http("POST /group")]
fn group(cx: &mut Context, request: &Request) -> Result<(u16, String)> {
    let event = Event::data("to all").id(request.text()?);
    match cx.group_send("streams", &event) {
        Ok(()) => Ok((200, "sent".to_owned())),
        Err(error @ SendError::InvalidContent(_)) => Ok((400, error.to_string())),
        Err(error) => Err(error.into()),
    }
}

export! { stream, own, group }

/// What a browser makes of a stream, by the rules of the HTML standard: name, data and id.
fn parse(text: &str) -> Vec<(String, String, String)> {
    let mut events = Vec::new();
    let (mut name, mut data, mut id) = (String::new(), String::new(), String::new());
    for line in text.replace("\r\n", "\n").split(['\r', '\n']) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut name),
            "data" => data.extend([value, "\n"]),
            "id" => value.clone_into(&mut id),
            _ if line.is_empty() => {
                if let Some(data) = data.strip_suffix('\n') {
                    events.push((name.clone(), data.to_owned(), id.clone()));
                }
                name.clear();
                data.clear();
            }
            _ => {}
        }
    }
    events
}

#[test]
fn any_text_arrives_as_it_was_but_for_its_line_breaks() {
    let table = [
        ("plain", "plain"),
        ("", ""),
        (" leading and trailing ", " leading and trailing "),
        ("one\ntwo", "one\ntwo"),
        ("one\r\ntwo\rthree\n", "one\ntwo\nthree\n"),
        ("\n", "\n"),
        ("\r", "\n"),
        ("\n\nid: 9\nevent: forged", "\n\nid: 9\nevent: forged"),
        ("data: nested", "data: nested"),
        (": no comment", ": no comment"),
        ("\u{feff}ä\u{2028}\0", "\u{feff}ä\u{2028}\0"),
    ];
    for (text, expected) in table {
        let event = Event::data(text).name("tide").id("7").to_string();
        let expected = ("tide".to_owned(), expected.to_owned(), "7".to_owned());
        assert_eq!(parse(&event), [expected], "{text:?}");
    }
}

#[test]
fn comments_retry_and_an_id_alone_dispatch_nothing() {
    let silent = [
        Event::comment("still here"),
        Event::comment("one\ndata: two\r\n\rthree"),
        Event::default().retry(Duration::from_millis(1500)),
        Event::default().id("7"),
    ];
    for event in silent {
        assert_eq!(parse(&event.to_string()), [], "{event:?}");
    }
    assert_eq!(Event::default().retry(Duration::from_millis(1500)).to_string(), "retry: 1500\n\n");
}

#[test]
fn a_stream_has_its_header_fields_and_says_where_it_goes_on() {
    let host = TestHost::new(consumers());
    for (last, expected) in
        [(Some("6"), "after 6"), (Some(""), "after nothing"), (None, "after nothing")]
    {
        let mut request = host.request("GET", "/stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let stream = request.send();
        for (name, value) in [
            ("content-type", "text/event-stream"),
            ("cache-control", "no-cache"),
            ("x-accel-buffering", "no"),
        ] {
            assert_eq!(stream.header(name).as_deref(), Some(value));
        }
        assert_eq!(parse(&stream.text())[0].1, expected);
    }
}

#[test]
fn events_reach_held_streams_through_a_group_and_a_reply_channel() {
    let host = TestHost::new(consumers());
    let streams = [host.get("/stream"), host.get("/stream")];
    let sent = host.request("POST", "/group").body("7").send();
    assert_eq!(sent.text(), "sent");
    for stream in &streams {
        let events = parse(&stream.text());
        assert_eq!(events[2], (String::new(), "to all".to_owned(), "7".to_owned()));
        assert!(stream.is_pending());
    }
    let channel = &parse(&streams[0].text())[1].1;
    host.send(channel, &Event::data("to you")).unwrap();
    assert_eq!(parse(&streams[0].text())[3].1, "to you");
    assert_eq!(parse(&streams[1].text()).len(), 3);
    assert_eq!(host.drops(), Vec::<String>::new());
}

#[test]
fn a_name_or_an_id_that_would_break_the_stream_is_not_sent() {
    let host = TestHost::new(consumers());
    let stream = host.get("/stream");
    let before = stream.text();
    for id in ["7\n", "\r7", "7\u{0}"] {
        let refused = host.request("POST", "/group").body(id).send();
        assert_eq!(refused.status(), 400, "{id:?}");
        assert!(refused.text().contains("id of an event"), "{}", refused.text());
    }
    assert_eq!(stream.text(), before);
    assert_eq!(host.request("POST", "/own/tide").send().text(), "event: tide\ndata: \n\n");
    assert_eq!(host.request("POST", "/own/ti%0Ade").send().status(), 500);
    assert!(host.faults()[0].text.contains("has a line break"), "{}", host.faults()[0].text);
}
