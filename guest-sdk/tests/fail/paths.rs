use tidegate_sdk::http;

#[http("GET hello")]
fn relative() -> &'static str {
    ""
}

#[http("GET /hello-{name}")]
fn part(name: String) -> String {
    name
}

#[http("GET /{*rest}/more")]
fn rest_in_the_middle(rest: String) -> String {
    rest
}

#[http("GET /{a}/{a}")]
fn twice(a: String) -> String {
    a
}

#[http("GET /{first name}")]
fn no_name() -> &'static str {
    ""
}

#[http("GET /search?q={q}")]
fn query(q: String) -> String {
    q
}

fn main() {}
