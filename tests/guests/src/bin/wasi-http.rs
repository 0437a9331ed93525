//! The greeting of `examples/hello` for servers of `wasi:http`, beside which the benchmark of peers runs.

#![expect(clippy::unwrap_used, reason = "a peer of a benchmark stops when it cannot go on")]

use std::io::Read as _;

use serde::{Deserialize, Serialize};
use wasip2::{
    exports::http::incoming_handler::Guest,
    http::types::{
        Fields, IncomingRequest, Method, OutgoingBody, OutgoingResponse, ResponseOutparam,
    },
};

wasip2::http::proxy::export!(Hello);

struct Hello;

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

impl Guest for Hello {
    fn handle(request: IncomingRequest, answer: ResponseOutparam) {
        let is_known = matches!(request.method(), Method::Post)
            && request.path_with_query().as_deref() == Some("/hello");
        let greeting = is_known.then(|| greet(&read(&request))).flatten();
        let fields = Fields::new();
        fields.append("content-type", b"application/json").unwrap();
        let response = OutgoingResponse::new(fields);
        if greeting.is_none() {
            response.set_status_code(404).unwrap();
        }
        let body = response.body().unwrap();
        ResponseOutparam::set(answer, Ok(response));
        let stream = body.write().unwrap();
        stream.blocking_write_and_flush(&greeting.unwrap_or_default()).unwrap();
        drop(stream);
        OutgoingBody::finish(body, None).unwrap();
    }
}

fn read(request: &IncomingRequest) -> Vec<u8> {
    let body = request.consume().unwrap();
    let mut bytes = Vec::new();
    body.stream().unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

fn greet(body: &[u8]) -> Option<Vec<u8>> {
    let Wish { name, language } = serde_json::from_slice(body).ok()?;
    let word = match language.as_str() {
        "en" => "Hello",
        "de" => "Hallo",
        "fr" => "Bonjour",
        "tlh" => "nuqneH",
        _ => return None,
    };
    serde_json::to_vec(&Greeting { language, text: format!("{word}, {name}!") }).ok()
}

fn main() {}
