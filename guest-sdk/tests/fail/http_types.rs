use tidegate_sdk::{export, http};

struct Id;

#[http("GET /answer")]
fn answer() -> u32 {
    42
}

#[http("GET /id/{id}")]
fn id(id: Id) -> &'static str {
    let _ = id;
    ""
}

export! { answer, id }

fn main() {}
