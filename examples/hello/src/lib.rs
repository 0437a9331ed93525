//! Greetings over HTTP.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Error, Json, Request, Response, Result, export, http};

#[http("GET /hello/{name}")]
fn hello(name: String) -> Response {
    Response::text(format!("Hello, {name}!\n"))
}

/// A greeting and the language it is in.
#[derive(Serialize)]
struct Greeting {
    language: String,
    text: String,
}

/// Whom to greet, and how.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    name: String,
    #[serde(default = "english")]
    language: String,
}

fn english() -> String {
    "en".to_owned()
}

#[http("POST /hello")]
fn greet(request: &Request) -> Result<Json<Greeting>> {
    let Wish { name, language } = request.json()?;
    let word = match language.as_str() {
        "en" => "Hello",
        "de" => "Hallo",
        "fr" => "Bonjour",
        "tlh" => "nuqneH",
        other => return Err(Error::not_found(format!("no greeting in `{other}`\n"))),
    };
    Ok(Json(Greeting { text: format!("{word}, {name}!"), language }))
}

export! { hello, greet }
