//! Greetings over HTTP.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Json, Response, export, http};

#[http("GET /module-name/{name}")]
fn hello(name: String) -> Response {
    Response::text(format!("Hello, {name}!\n"))
}

/// Whom to greet.
#[derive(Deserialize)]
struct Wish {
    name: String,
}

/// A greeting.
#[derive(Serialize)]
struct Greeting {
    text: String,
}

#[http("POST /module-name")]
fn greet(Json(wish): Json<Wish>) -> Json<Greeting> {
    Json(Greeting {
        text: format!("Hello, {}!", wish.name),
    })
}

export! { hello, greet }
