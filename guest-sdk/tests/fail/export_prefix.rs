use tidegate_sdk::{channel, http};

#[http("GET /hello")]
fn hello() -> &'static str {
    ""
}

#[channel("work")]
fn work() {}

mod relative {
    tidegate_sdk::export! { "api" => { super::hello } }
}

mod slash {
    tidegate_sdk::export! { "/api/" => { super::hello } }
}

mod nothing {
    tidegate_sdk::export! { "/" => { super::hello } }
}

mod parameter {
    tidegate_sdk::export! { "/rooms/{room}" => { super::hello } }
}

mod query {
    tidegate_sdk::export! { "/api" => { "/a?b" => { super::hello } } }
}

mod empty {
    tidegate_sdk::export! { super::hello, "/api" => {} }
}

mod syntax {
    tidegate_sdk::export! { "/api": { super::hello } }
}

mod of_channel {
    tidegate_sdk::export! { "/api" => { super::work } }
}

fn main() {}
