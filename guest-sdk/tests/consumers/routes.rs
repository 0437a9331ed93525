//! Guards and prefixes: which consumer a request is for.

use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Frame, Handshake, Result, Socket, Websocket, export, http, websocket};

#[http("GET /")]
fn open() -> &'static str {
    "open"
}

#[http("GET /", header("X-Version", "2"))]
fn second() -> &'static str {
    "second"
}

#[http("GET /", header("x-version", "2"), header("x-beta", "yes"))]
fn beta() -> &'static str {
    "beta"
}

#[http("GET /", host = "*.Example.com")]
fn domain() -> &'static str {
    "domain"
}

#[http("GET /", host = "*.eu.example.com")]
fn longer_domain() -> &'static str {
    "longer domain"
}

#[http("GET /", host = "api.example.com")]
fn api() -> &'static str {
    "api"
}

#[http("GET /", host = "api.example.com", header("x-version", "2"))]
fn second_api() -> &'static str {
    "second api"
}

#[http("PUT|DELETE /only", host = "api.example.com")]
fn only() -> &'static str {
    "only"
}

#[http("GET /only", host = "www.example.com")]
fn only_www() -> &'static str {
    "only www"
}

#[http("GET /{any}")]
fn any(any: String) -> String {
    any
}

struct Echo;

#[websocket("/ws", host = "api.example.com", header("x-version", "2"))]
impl Websocket for Echo {
    type State = ();
    type Incoming = Frame;

    fn connect(&self, socket: &mut Socket<()>) -> Result<Handshake> {
        socket.send(format!("under {:?}", socket.prefix()))?;
        Ok(Handshake::accept())
    }

    fn receive(&self, socket: &mut Socket<()>, frame: Frame) -> Result<()> {
        Ok(socket.send(frame)?)
    }
}

struct Other;

#[websocket("/ws")]
impl Websocket for Other {
    type State = ();
    type Incoming = Frame;

    fn receive(&self, _: &mut Socket<()>, _: Frame) -> Result<()> {
        Ok(())
    }
}

mod items {
    use super::*;

    #[http("GET /")]
    pub(super) fn list(cx: &mut Context) -> String {
        format!("list under {}", cx.prefix())
    }

    #[http("GET /{id}")]
    pub(super) fn item(id: u32, cx: &mut Context) -> String {
        cx.scope().map(|scope| format!("{id} {}", scope.path())).unwrap_or_default()
    }
}

mod old {
    use super::*;

    #[http("GET /{id}")]
    pub(super) fn old_item(id: u32) -> String {
        format!("old {id}")
    }
}

mod plain {
    tidegate_sdk::export! {
        super::open, super::second, super::beta, super::domain, super::longer_domain, super::api,
        super::second_api, super::only, super::only_www, super::any, super::Echo, super::Other,
    }
}

export! {
    open,
    "/api" => {
        items::list, items::item,
        "/v1/b%C3%A4" => { old::old_item },
        Echo
    }
    any,
}

fn get(host: &str, headers: &[(&str, &str)]) -> String {
    let test = TestHost::new(plain::consumers());
    let mut request = test.request("GET", "/").header("host", host);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    request.send().text()
}

#[test]
fn of_routes_whose_guards_hold_the_more_exact_host_and_then_more_fields_win() {
    for (host, headers, expected) in [
        ("localhost", &[][..], "open"),
        ("localhost", &[("x-version", "1")], "open"),
        ("localhost", &[("x-version", "2")], "second"),
        ("localhost", &[("x-version", "1"), ("x-version", "2")], "open"),
        ("localhost", &[("x-beta", "yes")], "open"),
        ("localhost", &[("x-beta", "yes"), ("x-version", "2")], "beta"),
        ("www.example.com", &[("x-beta", "yes"), ("x-version", "2")], "domain"),
        ("example.com", &[], "open"),
        ("PARIS.eu.example.com.:8000", &[], "longer domain"),
        ("api.example.COM:8000", &[], "api"),
        ("api.example.com", &[("x-version", "2")], "second api"),
    ] {
        assert_eq!(get(host, headers), expected, "{host} {headers:?}");
    }
}

#[test]
fn a_path_whose_guards_do_not_hold_is_not_found_and_hides_the_others() {
    let test = TestHost::new(plain::consumers());
    let send = |method: &str, host: &str| {
        let response = test.request(method, "/only").header("host", host).send();
        (response.status(), response.header("allow").unwrap_or_default())
    };
    assert_eq!(send("GET", "localhost"), (404, String::new()));
    assert_eq!(send("PUT", "api.example.com"), (200, String::new()));
    assert_eq!(send("GET", "api.example.com"), (405, "DELETE, PUT".to_owned()));
    assert_eq!(send("PUT", "www.example.com"), (405, "GET, HEAD".to_owned()));
    assert_eq!(send("HEAD", "www.example.com"), (200, String::new()));
    assert_eq!(test.get("/other").text(), "other");
}

#[test]
fn a_websocket_is_found_by_its_guards_too() {
    let host = TestHost::new(plain::consumers());
    let open = |version| {
        let handshake = host.websocket("/ws").header("host", "api.example.com:80");
        handshake.header("x-version", version).connect().unwrap()
    };
    open("2").expect_text("under \"\"");
    open("3").expect_nothing();
}

#[test]
fn a_prefix_goes_before_the_paths_of_a_group_and_of_the_groups_in_it() {
    let host = TestHost::new(consumers());
    for (path, text) in [
        ("/", "open"),
        ("/api", "list under /api"),
        ("/api/7", "7 /api/7"),
        ("/api/v1/b%c3%a4/7", "old 7"),
        ("/any", "any"),
    ] {
        let response = host.get(path);
        assert_eq!((response.status(), response.text().as_str()), (200, text), "{path}");
    }
    for path in ["/api/", "/7/7", "/v1/7", "/api/v1"] {
        assert_eq!(host.get(path).status(), 404, "{path}");
    }
    let handshake = host.websocket("/api/ws").header("host", "api.example.com");
    handshake.header("x-version", "2").connect().unwrap().expect_text("under \"/api\"");
    assert!(host.websocket("/ws").connect().is_err());
}
