//! Writes what could pass for lines of somebody else, or change how a terminal shows them.

use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Error, Result, export, http};

/// A line feed, a carriage return, an escape code, the end of a line in Unicode, and a mark that turns the
/// direction of what follows.
const FORGED: &str = "a\nERROR forged\rERROR forged\u{1b}[2J\u{9b}31m\u{85}ERROR forged\u{2028}ERROR forged\u{202e}b";

#[http("GET /log")]
fn log(cx: &mut Context) -> &'static str {
    cx.info(FORGED);
    "logged"
}

#[http("GET /print")]
fn print() -> &'static str {
    println!("{FORGED}");
    "printed"
}

#[http("GET /fail")]
fn fail() -> Result<&'static str> {
    Err(Error::failed(FORGED))
}

#[http("GET /panic")]
fn panic() -> &'static str {
    panic!("{FORGED}")
}

export! { log, print, fail, panic, Watch, ok }

fn main() {}
