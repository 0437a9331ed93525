use tidegate_sdk::http;

#[http("get /lower")]
fn lower() -> &'static str {
    ""
}

#[http("GET|GET /twice")]
fn twice() -> &'static str {
    ""
}

#[http("GET,POST /comma")]
fn comma() -> &'static str {
    ""
}

fn main() {}
