use tidegate_sdk::{export, http};

#[http("GET")]
fn hello() -> &'static str {
    "Hello!"
}

#[http]
fn nothing() -> &'static str {
    "Hello!"
}

export! { hello, nothing }

fn main() {}
