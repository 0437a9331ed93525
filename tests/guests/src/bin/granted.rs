//! Uses what it may be granted, and says what came of each.

use std::fs;

use test_guests::ok;
use tidegate_sdk::{Context, Frame, Group, export, http};

fn came<T, E: ToString>(
    what: &str,
    outcome: std::result::Result<T, E>,
    show: fn(T) -> String,
) -> String {
    format!("{what}: {}\n", outcome.map_or_else(|error| error.to_string(), show))
}

#[http("GET /use")]
fn use_all(cx: &mut Context) -> String {
    let done = |()| "done".to_owned();
    [
        came("MODE", std::env::var("MODE"), |value| value),
        came("KEY", std::env::var("KEY"), |value| value),
        came("read", fs::read_to_string("/in/note"), |text| text),
        came("outside", fs::read_to_string("/in/way-out"), |text| text),
        came("above", fs::read_to_string("/in/../secret"), |text| text),
        came("change", fs::write("/in/note", "changed"), done),
        came("write", fs::write("/out/note", "written"), done),
        came("channel", cx.send("others.work", &Frame::text("x")), done),
        came("group", cx.group_send(Group::named("others.all"), &Frame::text("x")), done),
    ]
    .concat()
}

export! { use_all, ok }

fn main() {}
