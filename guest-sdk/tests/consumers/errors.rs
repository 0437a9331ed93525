//! Errors of an application that become responses.

#![expect(clippy::needless_pass_by_value, reason = "a consumer takes by value what is made for it")]

use std::fmt;

use serde_json::{Value, json};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Error, IntoReply, Problem, Reply, Response, Result, export, http};

/// Takes faults in, so that `?` works on whatever [`Error`] takes.
enum Refusal {
    SoldOut { left: u32 },
    Gone,
    Fault(Error),
}

impl<E> From<E> for Refusal
where
    Error: From<E>,
{
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

impl IntoReply for Refusal {
    fn into_reply(self) -> Result<Reply> {
        match self {
            Self::SoldOut { left } => {
                Problem::new(409, "Sold out").with("left", &left).into_reply()
            }
            Self::Gone => Response::new(410).into_reply(),
            Self::Fault(error) => Err(error),
        }
    }
}

#[http("POST /buy/{what}")]
fn buy(cx: &mut Context, what: String) -> Result<&'static str, Refusal> {
    cx.group_send("watchers", &Response::new(204))?;
    match what.as_str() {
        "whale" => Err(Refusal::SoldOut { left: 0 }),
        "dodo" => Err(Refusal::Gone),
        number => {
            number.parse::<u32>()?;
            Ok("bought")
        }
    }
}

/// An error that others know too: a fault where it is turned into [`Error`], a response where it is
/// returned.
#[derive(Debug)]
struct Late;

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too late")
    }
}

impl std::error::Error for Late {}

impl IntoReply for Late {
    fn into_reply(self) -> Result<Reply> {
        Ok(Response::text(self.to_string()).status(425).into())
    }
}

#[http("GET /late")]
fn late() -> Result<&'static str, Late> {
    Err(Late)
}

#[http("GET /late-fault")]
fn late_fault() -> Result<&'static str> {
    Err(Late)?
}

#[http("GET /problem/{member}")]
fn problem(member: String) -> Result<Problem, Problem> {
    let problem = Problem::new(422, "Odd")
        .kind("https://example.com/odd")
        .detail("It is odd.")
        .instance("/problem/1");
    match member.as_str() {
        "returned" => Ok(problem),
        // JSON has no key that is a list.
        "unwritable" => Err(problem.with("map", &std::collections::BTreeMap::from([([1], 2)]))),
        name => Err(problem.with(name, &[1, 2])),
    }
}

export! { buy, late, late_fault, problem }

fn host() -> TestHost {
    TestHost::new(consumers())
}

#[test]
fn an_error_answers_with_the_status_it_says_and_what_was_sent_before_goes_out() {
    let host = host();
    let response = host.request("POST", "/buy/whale").send();
    assert_eq!(response.status(), 409);
    assert_eq!(response.header("content-type").as_deref(), Some("application/problem+json"));
    let expected = json!({ "title": "Sold out", "status": 409, "left": 0 });
    assert_eq!(response.json::<Value>(), expected);
    assert_eq!(host.request("POST", "/buy/dodo").send().status(), 410);
    assert_eq!(host.request("POST", "/buy/7").send().text(), "bought");
    assert_eq!(host.group_messages("watchers").len(), 3);
    assert_eq!(host.faults(), []);
}

#[test]
fn a_fault_within_such_an_error_is_a_fault() {
    let host = host();
    assert_eq!(host.request("POST", "/buy/x").send().status(), 500);
    assert_eq!(host.faults()[0].text, "invalid digit found in string");
    assert_eq!(host.group_messages("watchers").len(), 0);
}

#[test]
fn an_error_of_the_standard_kind_answers_where_it_is_returned_as_itself() {
    let host = host();
    let response = host.get("/late");
    assert_eq!((response.status(), response.text().as_str()), (425, "too late"));
    assert_eq!(host.faults(), []);
    assert_eq!(host.get("/late-fault").status(), 500);
    assert_eq!(host.faults()[0].text, "too late");
}

#[test]
fn a_problem_has_the_members_of_the_rfc_and_its_own() {
    let mut expected = json!({
        "type": "https://example.com/odd", "title": "Odd", "status": 422, "detail": "It is odd.",
        "instance": "/problem/1",
    });
    let response = host().get("/problem/returned");
    assert_eq!(response.status(), 422);
    assert_eq!(response.json::<Value>(), expected);
    expected["list"] = json!([1, 2]);
    assert_eq!(host().get("/problem/list").json::<Value>(), expected);
    let unwritable = host().get("/problem/unwritable");
    assert_eq!((unwritable.status(), unwritable.text().as_str()), (500, ""));
}
