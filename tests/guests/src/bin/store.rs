//! Reads and writes the data of its module, as the path says.

use std::time::Duration;

use test_guests::{Watch, announce, ok};
use tidegate_sdk::{Context, Error, Request, Response, Result, export, http};

/// Reads a key as text.
#[http("GET /get/{key}")]
fn get(cx: &mut Context, key: &str) -> Result<String> {
    let text: Option<String> = cx.store().get(key)?;
    text.ok_or_else(|| Error::not_found("nothing"))
}

/// Sets a key to the body, for the seconds in the query.
#[http("PUT /set/{key}")]
fn set(cx: &mut Context, request: &Request, key: &str) -> Result<&'static str> {
    let text = request.text()?.to_owned();
    match request.query("seconds").and_then(|seconds| seconds.parse().ok()) {
        Some(seconds) => cx.store().set_for(key, &text, Duration::from_secs(seconds))?,
        None => cx.store().set(key, &text)?,
    }
    Ok("set")
}

#[http("DELETE /set/{key}")]
fn delete(cx: &mut Context, key: &str) -> Result<&'static str> {
    cx.store().delete(key)?;
    Ok("deleted")
}

#[http("GET /counter/{key}")]
fn counter(cx: &mut Context, key: &str) -> Result<String> {
    Ok(cx.store().counter(key)?.to_string())
}

#[http("POST /add/{key}")]
fn add(cx: &mut Context, key: &str) -> Result<&'static str> {
    cx.store().add(key, 1)?;
    Ok("added")
}

/// Adds by reading and setting.
#[http("POST /increment/{key}")]
fn increment(cx: &mut Context, key: &str) -> Result<String> {
    let number = cx.store().counter(key)? + 1;
    cx.store().set(key, &number)?;
    Ok(number.to_string())
}

/// Keys and values below a prefix.
#[http("GET /list")]
fn list(cx: &mut Context, request: &Request) -> Result<String> {
    let prefix = request.query("prefix").unwrap_or_default();
    let mut text = String::new();
    for entry in cx.store().list::<String>(&prefix) {
        let (key, value) = entry?;
        text += &format!("{key}={value} ");
    }
    Ok(text.trim_end().to_owned())
}

/// Writes many keys.
#[http("POST /fill/{prefix}/{count}")]
fn fill(cx: &mut Context, prefix: &str, count: u32) -> Result<&'static str> {
    for number in 0..count {
        cx.store().set(&format!("{prefix}{number:05}"), &"x".to_owned())?;
    }
    Ok("filled")
}

#[http("GET /count/{prefix}")]
fn count(cx: &mut Context, prefix: &str) -> Result<String> {
    let mut count = 0;
    for key in cx.store().keys(prefix) {
        key?;
        count += 1;
    }
    Ok(count.to_string())
}

/// Sees its own writes, before anybody else does.
#[http("POST /own")]
fn own(cx: &mut Context) -> Result<String> {
    let store = cx.store();
    store.set("own:a", &"one".to_owned())?;
    store.set("own:b", &"two".to_owned())?;
    store.delete("own:a")?;
    store.add("own", 2)?;
    store.add("own", 3)?;
    let a: Option<String> = store.get("own:a")?;
    let b: Option<String> = store.get("own:b")?;
    let keys: Vec<_> = store.keys("own").collect::<Result<_, _>>()?;
    Ok(format!("{a:?} {b:?} {} {keys:?}", store.counter("own")?))
}

/// Writes, and fails in one way or another; `flush` is what comes before.
#[http("POST /fail/{how}")]
fn fail(cx: &mut Context, request: &Request, how: &str) -> Result<&'static str> {
    cx.store().set("failed", &how.to_owned())?;
    if request.query("flush").is_some() {
        cx.flush()?;
        cx.store().set("failed", &"after the flush".to_owned())?;
    }
    match how {
        "error" => Err(Error::failed("on purpose")),
        "panic" => panic!("on purpose"),
        "answer" => Err(Error::response(Response::text("no").status(409))),
        _ => Ok("done"),
    }
}

/// Reads a key, tells whoever watches, waits until another run has changed it, and writes what it read.
#[http("POST /slow/{key}")]
fn slow(cx: &mut Context, request: &Request, key: &str) -> Result<String> {
    let before = cx.store().counter(key)?;
    cx.store().counter("another")?;
    if before == 0 {
        if request.query("flush").is_some() {
            announce(cx)?;
            cx.store().counter(key)?;
        }
        while cx.store().of("store").counter(key)? == 0 {}
        if request.query("fail").is_some() {
            return Err(Error::failed("saw nothing"));
        }
    }
    cx.store().set("seen", &before)?;
    Ok(before.to_string())
}

/// Keys of another module.
#[http("GET /of/{module}/{key}")]
fn of(cx: &mut Context, module: &str, key: &str) -> Result<String> {
    let text: Option<String> = cx.store().of(module).get(key)?;
    Ok(text.unwrap_or_else(|| "nothing".to_owned()))
}

/// The ways of a call to be refused, a line each.
#[http("GET /refused")]
fn refused(cx: &mut Context) -> String {
    let store = cx.store();
    let refused = [
        store.get_bytes("").map(drop),
        store.get_bytes(&"k".repeat(513)).map(drop),
        store.set_bytes("large", vec![0; 256 * 1024 + 1]),
        store.get_many::<String>(&[] as &[&str]).map(drop),
        store.get_many::<String>(&vec!["k"; 1_001]).map(drop),
        store.set_for("brief", &1, Duration::from_micros(999)),
        store.set_for("long", &1, Duration::from_secs(11 * 365 * 24 * 3600)),
        store.set_bytes("bytes", "x").and_then(|()| store.add("bytes", 1)),
        store.of("Other").get_bytes("k").map(drop),
        (0..5_000).try_for_each(|number| store.set(&number.to_string(), &number)),
        store.set_bytes("more", "x"),
    ];
    let told = refused.map(|it| it.map_or_else(|error| error.to_string(), |()| "ok".to_owned()));
    told.join("\n")
}

export! {
    get, set, delete, counter, add, increment, list, fill, count, own, fail, slow, of, refused, Watch, ok
}

fn main() {}
