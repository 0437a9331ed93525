use tidegate_sdk::{export, http};

#[http("GET /hello")]
fn hello() -> &'static str {
    ""
}

export! { hello() }

fn main() {}
