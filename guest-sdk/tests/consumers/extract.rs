//! What HTTP consumers take from a request besides its path.

#![expect(clippy::needless_pass_by_value, reason = "a consumer takes by value what is made for it")]

use std::fmt::Write as _;

use serde::Deserialize;
use tidegate_sdk::cookie::{Cookie, SameSite};
use tidegate_sdk::headers::authorization::{Authorization, Bearer};
use tidegate_sdk::testing::{TestHost, TestResponse};
use tidegate_sdk::{
    Context, Cookies, Error, Form, Frame, FromRequest, Handshake, Header, Json, Multipart, Query,
    Request, Response, Result, Socket, Websocket, export, http, websocket,
};

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Filter {
    page: u32,
    tag: Vec<String>,
    exact: Option<bool>,
}

#[http("GET /query")]
fn query(Query(filter): Query<Filter>) -> String {
    format!("{} {:?} {:?}", filter.page, filter.tag, filter.exact)
}

#[derive(Deserialize)]
struct Sum {
    a: i64,
    b: i64,
}

#[http("POST /json")]
fn json(Json(sum): Json<Sum>) -> String {
    (sum.a + sum.b).to_string()
}

#[http("POST /form")]
fn form(sum: &Form<Sum>) -> String {
    (sum.0.a + sum.0.b).to_string()
}

#[http("GET /bearer")]
fn bearer(Header(token): Header<Authorization<Bearer>>) -> String {
    token.token().to_owned()
}

#[http("GET /optional-bearer")]
fn optional_bearer(token: Option<Header<Authorization<Bearer>>>) -> String {
    token.map_or_else(String::new, |Header(token)| token.token().to_owned())
}

#[http("GET /cookies")]
fn cookies(cookies: Cookies) -> String {
    let all: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!("{:?} {}", cookies.get("a"), all.join("|"))
}

#[http("GET /set")]
fn set() -> Response {
    let open = Cookie::build(("b", "2")).path("/x").same_site(SameSite::None).http_only(false);
    Response::new(204).cookie(("a", "1;\r\nx: y")).cookie(open.secure(false))
}

#[http("POST /parts")]
fn parts(form: Multipart<3, 10>) -> Result<String> {
    let show = |part: &tidegate_sdk::Part| {
        let (file, kind) = (part.file_name(), part.content_type());
        Ok(format!("{} {file:?} {kind:?} {}", part.name(), part.text()?))
    };
    let shown: Result<Vec<String>> = form.parts().map(show).collect();
    assert_eq!(form.get("no such part"), None);
    Ok(shown?.join("\n"))
}

/// A number of the application, in a header field.
struct Level(u8);

impl FromRequest for Level {
    fn from_request(request: &Request, cx: &mut Context) -> Result<Self> {
        cx.info("asked for the level");
        let level = request.header("x-level").and_then(|text| text.parse().ok());
        level.map(Self).ok_or_else(|| Error::response(Response::text("level").status(428)))
    }
}

#[http("PUT /all/{id}")]
fn all(
    level: Level,
    id: u8,
    Json(sum): Json<Sum>,
    cx: &mut Context,
    request: Request,
    Query(filter): Query<Filter>,
) -> String {
    cx.info("ran");
    let length = request.into_body().len();
    format!("{id} {} {} {} {length}", level.0, sum.a, filter.page)
}

#[http("GET /lenient")]
fn lenient(level: Result<Level>, query: Result<Query<Filter>>) -> String {
    let (Err(level), Err(query)) = (level, query) else { return "both".to_owned() };
    let status = level.as_response().map(Response::status_code);
    format!("{status:?} {:?}", query.as_response().map(Response::status_code))
}

struct Strict;

#[websocket("/strict")]
impl Websocket for Strict {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        let Some(scope) = socket.scope() else { return Ok(Handshake::deny()) };
        let Query(filter) = Query::<Filter>::of(scope)?;
        let user = Cookies::of(scope).get("user").unwrap_or_default().to_owned();
        let token = Header::<Authorization<Bearer>>::of(scope)?.is_some();
        socket.send(format!("{} {user} {token}", filter.page))?;
        Ok(Handshake::accept())
    }

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

export! {
    query, json, form, bearer, optional_bearer, cookies, set, parts, all, lenient, Strict,
}

fn host() -> TestHost {
    TestHost::new(consumers())
}

fn post(path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> TestResponse {
    let host = host();
    let request = host.request("POST", path).body(body);
    let response = match content_type {
        "" => request.send(),
        content_type => request.header("content-type", content_type).send(),
    };
    assert_eq!(host.faults(), [], "{path} {content_type}");
    response
}

fn is(response: &TestResponse, status: u16, text: &str) {
    assert_eq!((response.status(), response.text().as_str()), (status, text));
}

#[test]
fn a_query_is_read_by_names_and_a_mistake_is_named_with_its_field() {
    for (query, status, text) in [
        ("", 200, "0 [] None"),
        ("?page=7&tag=a&tag=b+c&exact=true", 200, r#"7 ["a", "b c"] Some(true)"#),
        ("?tag=%C3%BC%26", 200, r#"0 ["ü&"] None"#),
        ("?page=-1", 400, "query: page: invalid digit found in string\n"),
        ("?page=", 400, "query: page: cannot parse integer from empty string\n"),
        (
            "?exact=perhaps",
            400,
            "query: exact: invalid value: string \"perhaps\", expected \"true\", \"on\" or \"false\"\n",
        ),
        (
            "?pgae=1",
            400,
            "query: pgae: unknown field `pgae`, expected one of `page`, `tag`, `exact`\n",
        ),
    ] {
        let response = host().get(&format!("/query{query}"));
        assert_eq!((response.status(), response.text().as_str()), (status, text), "{query}");
    }
}

#[test]
fn json_has_a_content_type_and_says_where_it_does_not_read() {
    let body = r#"{"a": 1, "b": 2}"#;
    for content_type in
        ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json"]
    {
        is(&post("/json", content_type, body), 200, "3");
    }
    for content_type in ["", "text/plain", "application/x-www-form-urlencoded", "text/x+json"] {
        let response = post("/json", content_type, body);
        assert_eq!(response.status(), 415, "{content_type}");
        assert!(response.text().contains("expected `application/json`"), "{}", response.text());
    }
    let wrong = post("/json", "application/json", r#"{"a": 1, "b": "2"}"#);
    let text = "body: invalid type: string \"2\", expected i64 at line 1 column 17\n";
    is(&wrong, 400, text);
}

#[test]
fn a_form_has_a_content_type_and_a_mistake_is_named_with_its_field() {
    const FORM: &str = "application/x-www-form-urlencoded";
    is(&post("/form", FORM, "a=1&b=%32"), 200, "3");
    is(&post("/form", FORM, "a=1&b=x"), 400, "body: b: invalid digit found in string\n");
    is(&post("/form", FORM, "a=1"), 400, "body: missing field `b`\n");
    let text = "header `content-type`: is missing, expected `application/x-www-form-urlencoded`\n";
    is(&post("/form", "", "a=1&b=2"), 415, text);
    assert_eq!(post("/form", "multipart/form-data; boundary=x", "").status(), 415);
}

#[test]
fn a_header_field_is_there_and_well_formed_or_the_client_is_told_which_is_not() {
    let get = |path: &str, value: &str| {
        let host = host();
        let request = host.request("GET", path);
        let request =
            if value.is_empty() { request } else { request.header("Authorization", value) };
        request.send()
    };
    is(&get("/bearer", "Bearer abc"), 200, "abc");
    is(&get("/bearer", ""), 400, "header `authorization`: missing\n");
    is(&get("/bearer", "Basic abc"), 400, "header `authorization`: malformed\n");
    is(&get("/optional-bearer", "Bearer abc"), 200, "abc");
    is(&get("/optional-bearer", ""), 200, "");
    is(&get("/optional-bearer", "Basic abc"), 400, "header `authorization`: malformed\n");
}

#[test]
fn cookies_come_from_all_fields_and_what_is_none_is_left_out() {
    let host = host();
    let request = host.request("GET", "/cookies").header("cookie", "a=1; junk; b=%C3%BC; a=2");
    let request = request.header("cookie", "c=50%; =x;;d=").header("cookie", &b"e=\xff; f=3"[..]);
    is(&request.send(), 200, r#"Some("1") a=1|b=ü|a=2|c=50%|d=|f=3"#);
    is(&host.get("/cookies"), 200, "None ");
}

#[test]
fn a_cookie_that_is_set_is_safe_unless_it_says_otherwise() {
    let response = host().get("/set");
    let cookies: Vec<_> = (response.headers().into_iter())
        .filter(|(name, _)| name == "set-cookie")
        .map(|(_, value)| value)
        .collect();
    let safe = "a=1%3B%0D%0Ax%3A%20y; HttpOnly; SameSite=Lax; Secure; Path=/";
    assert_eq!(cookies, [safe, "b=2; SameSite=None; Path=/x"]);
}

/// The parts with CRLF between lines, as clients send them.
fn body(parts: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (head, content) in parts {
        write!(body, "--xx\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
            .expect("a text takes all");
    }
    body + "--xx--\r\n"
}

const MULTIPART: &str = "multipart/form-data; boundary=xx";

#[test]
fn parts_of_a_body_have_names_files_types_and_bytes() {
    let body = body(&[
        ("name=\"title\"", "Wal\r\n--x"),
        ("name=\"f\"; filename=\"a \u{fc}.txt\"\r\nContent-Type: text/plain; charset=utf-8", "123"),
        ("name=\"\"", ""),
    ]);
    let text = "title None None Wal\r\n--x\n\
                f Some(\"a ü.txt\") Some(\"text/plain; charset=utf-8\") 123\n None None ";
    is(&post("/parts", MULTIPART, body), 200, text);
    is(&post("/parts", MULTIPART, "--xx--\r\n"), 200, "");
}

#[test]
fn a_body_of_too_many_or_too_large_parts_is_refused() {
    let part = |number: usize| vec![("name=\"a\"", "0123456789"); number];
    assert_eq!(post("/parts", MULTIPART, body(&part(3))).status(), 200);
    is(&post("/parts", MULTIPART, body(&part(4))), 413, "body: more than 3 parts\n");
    let large = body(&[("name=\"b\"", "0123456789x")]);
    is(&post("/parts", MULTIPART, large), 413, "body: part `b` is over 10 bytes\n");
}

#[test]
fn a_body_that_is_not_multipart_or_broken_is_the_clients_mistake() {
    for (content_type, status) in [
        ("", 415),
        ("application/json", 415),
        ("multipart/mixed; boundary=xx", 415),
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary", 400),
        ("multipart/form-data; boundary=yy", 400),
    ] {
        let response = post("/parts", content_type, body(&[("name=\"a\"", "1")]));
        assert_eq!(response.status(), status, "{content_type}");
    }
    is(&post("/parts", MULTIPART, body(&[("x=\"a\"", "1")])), 400, "body: part 1 has no name\n");
    let binary = b"--xx\r\nContent-Disposition: form-data; name=a\r\n\r\n\xff\r\n--xx--\r\n";
    let response = post("/parts", MULTIPART, &binary[..]);
    assert_eq!(response.status(), 400);
    assert!(response.text().starts_with("body: part `a`: invalid utf-8"), "{}", response.text());
    let whole = body(&[("name=\"a\"", "1"), ("name=\"b\"; filename=\"f\"", "2")]);
    // The last line may lack its end.
    for end in 0..whole.len() - 2 {
        let (begun, _) = whole.split_at(end);
        assert_eq!(post("/parts", MULTIPART, begun).status(), 400, "{begun:?}");
    }
}

#[test]
fn parameters_of_all_kinds_stand_in_any_order_and_the_path_is_looked_at_first() {
    let host = host();
    let put = |path: &str, level: &str, body: &str| {
        let request = host.request("PUT", path).header("content-type", "application/json");
        request.header("x-level", level).body(body).send()
    };
    let sum = r#"{"a":1,"b":2}"#;
    is(&put("/all/7?page=3", "9", sum), 200, "7 9 1 3 13");
    assert_eq!(host.logs().len(), 2);
    assert_eq!(put("/all/777", "x", "").status(), 404);
    assert_eq!(host.logs().len(), 2, "the path is wrong: nothing else was asked for");
    is(&put("/all/7", "x", ""), 428, "level");
    assert_eq!(put("/all/7", "9", "").status(), 400);
    assert_eq!(put("/all/7?page=x", "9", sum).status(), 400);
    assert!(host.logs().iter().skip(2).all(|line| line.text != "ran"));
    assert_eq!(host.faults(), []);
}

#[test]
fn a_consumer_may_answer_what_it_cannot_take() {
    is(&host().get("/lenient?page=x"), 200, "Some(428) Some(400)");
    let both = host().request("GET", "/lenient").header("x-level", "1").send();
    is(&both, 200, "both");
}

#[test]
fn a_handshake_is_read_alike_and_denied_by_the_same_errors() {
    let host = host();
    let socket = (host.websocket("/strict?page=2").header("cookie", "user=ann"))
        .header("authorization", "Bearer x")
        .connect()
        .unwrap();
    socket.expect_text("2 ann true");
    assert_eq!(host.websocket("/strict?page=x").connect().unwrap_err().status, 403);
    assert_eq!(host.faults(), []);
}
