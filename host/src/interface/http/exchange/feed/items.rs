//! Messages of a group as JSON, each an element of an array or of an event.

use bytes::Bytes;
use data_encoding::BASE64;

use crate::message::{Content, Frame, Reply, replies_from};

/// Adds what a message of a history has for clients. Others, for code of the module, are left out.
pub(super) fn add_content(content: &Content, items: &mut Vec<String>) {
    for reply in replies_from(content).into_iter().flatten() {
        add_reply(&reply, items);
    }
}

/// Adds what a message has for clients: JSON as it is, other text as a string, bytes as the string of their Base64.
pub(super) fn add_reply(reply: &Reply, items: &mut Vec<String>) {
    match reply {
        Reply::Send(Frame::Text(text)) => items.push(of_text(text)),
        Reply::Send(Frame::Binary(bytes)) => items.push(quoted(&BASE64.encode(bytes))),
        Reply::StreamChunk(bytes) => items.push(of_bytes(bytes)),
        Reply::Respond(response) => items.push(of_bytes(&response.body)),
        _ => {}
    }
}

/// An array of them.
pub(super) fn array(items: &[String]) -> String {
    format!("[{}]", items.join(","))
}

fn of_bytes(bytes: &Bytes) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| quoted(&BASE64.encode(bytes)), of_text)
}

fn of_text(text: &str) -> String {
    // Strictly: a reader that refuses one message could read none behind it.
    if serde_json::from_str::<serde_json::Value>(text).is_err() {
        return quoted(text);
    }
    // A line break of JSON stands between its parts, and would end a line of an event.
    text.trim().replace(['\n', '\r'], " ")
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_json_in_one_line() {
        let text = |text: &str| Reply::Send(Frame::Text(text.to_owned()));
        for (reply, expected) in [
            (text(r#"{"a": 1}"#), vec![r#"{"a": 1}"#]),
            (text(" [1,\r\n2]\n"), vec!["[1,  2]"]),
            (text("12345678901234567890.5"), vec!["12345678901234567890.5"]),
            (text("ahoy"), vec![r#""ahoy""#]),
            (text(""), vec![r#""""#]),
            (text("{\"a\": 1} x"), vec![r#""{\"a\": 1} x""#]),
            (text("\"a\nb\""), vec![r#""\"a\nb\"""#]),
            (Reply::Send(Frame::Binary(Bytes::from_static(b"\xff\x00"))), vec![r#""/wA=""#]),
            (Reply::StreamChunk(Bytes::from_static(b"true")), vec!["true"]),
            (Reply::StreamChunk(Bytes::from_static(b"\xff")), vec![r#""/w==""#]),
            (text("1e999"), vec![r#""1e999""#]),
            (text(r#""\ud800""#), vec![r#""\"\\ud800\"""#]),
            (Reply::StreamEnd, vec![]),
        ] {
            let mut items = Vec::new();
            add_reply(&reply, &mut items);
            assert_eq!(items, expected, "{reply:?}");
        }
        assert_eq!(array(&[]), "[]");
        assert_eq!(array(&["1".to_owned(), "\"a\"".to_owned()]), "[1,\"a\"]");
    }
}
