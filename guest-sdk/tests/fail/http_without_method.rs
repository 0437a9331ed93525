use tidegate_sdk::{export, http};

#[http("/hello")]
fn hello() -> &'static str {
    "Hello!"
}

export! { hello }

fn main() {}
