//! Guesses the reply channels of other connections.

use test_guests::{Watch, ok};
use tidegate_sdk::{Context, Frame, Result, export, http};

/// Says how many guesses the host took.
#[http("GET /guess")]
fn guess(cx: &mut Context) -> Result<String> {
    let own = cx.reply_channel().expect("a request has one").to_owned();
    let (node, local) = own.split_once('!').expect("a reply channel has two parts");
    // What is near its own, what is simple, what is malformed.
    let number = u128::from_str_radix(local, 16).unwrap_or_default();
    let mut guesses = Vec::new();
    for step in 1..=400 {
        guesses.push(format!("{node}!{:032x}", number.wrapping_add(step)));
        guesses.push(format!("{node}!{:032x}", number.wrapping_sub(step)));
    }
    guesses.extend((0..100).map(|number| format!("{node}!{number:032x}")));
    guesses.extend(["", "*", "!", "../x", "0"].map(|local| format!("{node}!{local}")));
    let frame = Frame::text("a stranger speaks");
    let taken = guesses.iter().filter(|guess| cx.send(guess, &frame).is_ok()).count();
    Ok(taken.to_string())
}

export! { guess, Watch, ok }

fn main() {}
