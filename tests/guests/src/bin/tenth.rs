//! Its second version fails one request in ten.

use test_guests::{ok, version};
use tidegate_sdk::{export, http};

#[http("GET /order/{number}")]
fn order(number: u32) -> String {
    assert!(version() < 2 || number % 10 != 3, "no stock for order {number}");
    format!("order {number}")
}

export! { order, ok }

fn main() {}
