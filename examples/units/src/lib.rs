//! Lengths in other units: a request is taken apart by the parameters of functions, and prefixes and
//! guards say which function.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Context, Form, Json, Multipart, Query, Response, cookie::Cookie, export, http};

mod digits;
mod refusal;
mod unit;

use digits::Digits;
use refusal::Refusal;
use unit::Unit;

/// The most that a table may have, in bytes.
const TABLE: usize = 64 * 1024;

/// What is to be converted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Length {
    value: f64,
    from: Unit,
    to: Unit,
}

impl Length {
    fn converted(&self, digits: Digits) -> f64 {
        digits.round(self.from.convert(self.value, self.to))
    }
}

#[derive(Serialize)]
struct Converted {
    value: f64,
    unit: Unit,
}

#[http("GET /")]
fn usage(cx: &mut Context) -> String {
    format!("see {}/convert?value=1&from=mile&to=metre\n", cx.prefix())
}

/// Where this was served before.
#[http("GET /", host = "*.old.example")]
fn moved(cx: &mut Context) -> Response {
    Response::new(308).header("location", format!("https://new.example{}", cx.prefix()))
}

#[http("GET /convert")]
fn convert(Query(length): Query<Length>, digits: Digits) -> Json<Converted> {
    Json(Converted { value: length.converted(digits), unit: length.to })
}

/// The same for who asks for text.
#[http("GET /convert", header("accept", "text/plain"))]
fn convert_to_text(Query(length): Query<Length>, digits: Digits) -> String {
    format!("{} {}\n", length.converted(digits), length.to)
}

#[derive(Deserialize)]
struct Choice {
    digits: u8,
}

#[http("POST /digits")]
fn choose(Form(choice): Form<Choice>) -> Result<Response, Refusal> {
    let digits = Digits::new(choice.digits).ok_or(Refusal::Digits)?;
    Ok(Response::new(204).cookie(Cookie::new(digits::COOKIE, digits.to_string())))
}

/// A file with a number on each line.
#[http("POST /{from}/{to}")]
fn table(
    from: Unit,
    to: Unit,
    form: Multipart<1, TABLE>,
    digits: Digits,
) -> Result<String, Refusal> {
    let text = form.get("file").and_then(|part| part.text().ok()).ok_or(Refusal::NoFile)?;
    let convert = |(at, line): (usize, &str)| {
        let value = line.trim().parse().map_err(|_| Refusal::NoNumber { line: at + 1 })?;
        Ok(format!("{}\n", Length { value, from, to }.converted(digits)))
    };
    text.lines().enumerate().map(convert).collect()
}

export! {
    "/units" => {
        usage,
        moved,
        convert,
        convert_to_text,
        choose,
        "/table" => { table },
    },
}
