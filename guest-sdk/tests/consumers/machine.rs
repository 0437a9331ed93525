//! What a test host grants of a machine: environment, secrets, directories, a clock.

use std::fs;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::testing::TestHost;
use tidegate_sdk::{Context, Error, Request, Result, channel, export, http};

#[http("GET /variable/{name}")]
fn variable(cx: &mut Context, name: &str) -> String {
    cx.variable(name).unwrap_or_else(|| "none".to_owned())
}

#[http("PUT /note/{name}")]
fn write(cx: &mut Context, name: &str, request: &Request) -> Result<(u16, &'static str)> {
    let file = cx.path(format!("/data/{name}"));
    fs::write(file, request.text()?).map_err(|error| Error::failed(error.to_string()))?;
    Ok((201, "kept"))
}

#[http("GET /read")]
fn read(cx: &mut Context, request: &Request) -> Result<String> {
    let path = request.query("path").unwrap_or_default();
    fs::read_to_string(cx.path(&*path)).map_err(|_| Error::not_found("nothing there"))
}

#[derive(Serialize, Deserialize)]
struct Alarm {
    asked_at: u64,
}

fn seconds(cx: &Context) -> u64 {
    cx.now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs()
}

#[http("POST /alarm")]
fn set(cx: &mut Context) -> Result<&'static str> {
    let alarm = Alarm { asked_at: seconds(cx) };
    cx.send_later("alarm", &alarm, Duration::from_secs(60))?;
    Ok("set")
}

#[channel("alarm")]
fn ring(cx: &mut Context, alarm: &Alarm) {
    cx.info(format!("{} after {}", seconds(cx), alarm.asked_at));
}

export! { variable, write, read, set, ring }

#[test]
fn variables_are_those_of_the_test_host_and_no_others() {
    let host = TestHost::new(consumers()).environment("MODE", "test").secret("KEY", "hush");
    assert_eq!(host.get("/variable/MODE").text(), "test");
    assert_eq!(host.get("/variable/KEY").text(), "hush");
    assert_eq!(host.get("/variable/PATH").text(), "none", "that of the process is not granted");
}

#[test]
fn a_granted_directory_is_where_the_test_says_and_nothing_else_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let host = TestHost::new(consumers()).directory("/data", directory.path());
    assert_eq!(host.request("PUT", "/note/a").body("tea").send().status(), 201);
    assert_eq!(fs::read_to_string(directory.path().join("a")).unwrap(), "tea");
    assert_eq!(host.get("/read?path=/data/a").text(), "tea");
    for elsewhere in ["/etc/hostname", "/data/../a", "data/a", "/database"] {
        assert_eq!(host.get(&format!("/read?path={elsewhere}")).status(), 404, "{elsewhere}");
    }
}

#[test]
fn the_clock_stands_still_and_is_moved() {
    let host = TestHost::new(consumers()).at(UNIX_EPOCH + Duration::from_secs(1_000));
    assert_eq!(host.request("POST", "/alarm").send().text(), "set");
    host.advance(Duration::from_secs(500));
    assert_eq!(host.logs()[0].text, "1060 after 1000");
    assert_eq!(host.request("POST", "/alarm").send().text(), "set");
    host.advance(Duration::from_secs(60));
    assert_eq!(host.logs()[1].text, "1560 after 1500");
}
