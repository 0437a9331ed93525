use tidegate_sdk::http;

#[http("GET /async")]
async fn waits() -> &'static str {
    ""
}

#[http("GET /generic/{id}")]
fn generic<T: std::str::FromStr>(id: T) -> &'static str {
    drop(id);
    ""
}

#[http("GET /struct")]
struct Hello;

#[http("GET /option", disconect = waits)]
fn misspelled() -> &'static str {
    ""
}

fn main() {}
