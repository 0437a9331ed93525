use tidegate_sdk::{channel, export, http};

#[http("GET /hello")]
fn hello() -> &'static str {
    ""
}

mod more {
    use tidegate_sdk::channel;

    #[channel("work")]
    pub fn first() {}
}

#[channel("work")]
fn second() {}

mod same_name {
    tidegate_sdk::export! { super::hello, super::hello }
}

mod same_channel {
    tidegate_sdk::export! { super::more::first, super::second }
}

export! { hello }

fn main() {}
