use tidegate_sdk::{Json, http};

struct Search {
    page: u32,
}

#[http("GET /search")]
fn search(search: Search) -> String {
    search.page.to_string()
}

#[http("GET /list")]
fn list(ids: Vec<u32>) -> String {
    ids.len().to_string()
}

#[http("POST /search")]
fn post(Json(search): Json<Search>) -> String {
    search.page.to_string()
}

fn main() {}
