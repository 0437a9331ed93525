use tidegate_sdk::{Context, Request, http};

#[http("GET /hello")]
fn not_in_the_path(name: String) -> String {
    name
}

#[http("GET /hello/{name}")]
fn not_taken() -> &'static str {
    ""
}

#[http("GET /hello")]
fn two_requests(one: Request, other: &Request) -> String {
    format!("{one:?} {other:?}")
}

#[http("GET /hello")]
fn shared_context(cx: &Context) -> String {
    cx.module().to_owned()
}

#[http("GET /{a}/{b}")]
fn pattern((a, b): (String, String)) -> String {
    a + &b
}

fn main() {}
