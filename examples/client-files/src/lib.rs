//! Files that browsers load from the examples: those of a page, and the JavaScript client as it is published.

use std::hash::{DefaultHasher, Hasher as _};

use tidegate_sdk::{Request, Response};

/// Names and contents.
pub type Files = &'static [(&'static str, &'static str)];

/// Names of files in a folder, with their contents. The folder is relative to the file that the macro stands in.
#[macro_export]
macro_rules! files {
    ($folder:literal, $($name:literal)*) => {
        &[$(($name, include_str!(concat!($folder, $name)))),*]
    };
}

/// The JavaScript client.
pub const CLIENT: Files = files![
    "../../../clients/js/src/",
    "codes.js" "connection.js" "delay.js" "errors.js" "events.js" "index.js" "options.js"
    "platform.js" "positions.js" "presence.js" "queue.js" "resume.js" "socket.js" "streams.js"
    "token.js"
];

/// The file of that name. The browser keeps it, and asks each time whether it is still the same.
pub fn serve(files: Files, name: &str, request: &Request) -> Response {
    let Some((_, text)) = files.iter().find(|(file, _)| *file == name) else {
        return Response::text("There is no such file.\n").status(404);
    };
    let tag = tag(text);
    let kept = request.header("if-none-match").unwrap_or_default();
    // A proxy that compresses makes the tag a weak one.
    let same = kept.split(',').any(|kept| kept.trim().trim_start_matches("W/") == tag);
    let content_type = if name.ends_with(".css") { "text/css" } else { "text/javascript" };
    let response = if same { Response::new(304) } else { Response::new(200).body(*text) };
    response
        .header("content-type", format!("{content_type}; charset=utf-8"))
        .header("cache-control", "no-cache")
        .header("etag", tag)
        .header("x-content-type-options", "nosniff")
}

fn tag(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    format!("\"{:016x}\"", hasher.finish())
}
