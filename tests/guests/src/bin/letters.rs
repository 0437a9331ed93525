//! Work that fails as long as the module is told to, and whose dead letters no consumer reads.

use serde::{Deserialize, Serialize};
use test_guests::ok;
use tidegate_sdk::{Context, Error, Result, channel, export, http};

#[derive(Serialize, Deserialize)]
struct Letter {
    name: String,
}

#[http("POST /letters/{name}")]
fn submit(cx: &mut Context, name: String) -> Result<&'static str> {
    cx.send("letters.post", &Letter { name })?;
    Ok("sent")
}

/// Says whether letters fail from now on.
#[http("POST /broken/{flag}")]
fn set_broken(cx: &mut Context, flag: bool) -> Result<&'static str> {
    cx.store().set("broken", &flag)?;
    Ok("set")
}

#[channel("letters.post", retries = 1)]
fn post(cx: &mut Context, letter: Letter) -> Result<()> {
    let store = cx.store();
    if store.get("broken")?.unwrap_or(false) {
        return Err(Error::failed("the post is broken"));
    }
    store.add(&format!("posted:{}", letter.name), 1)?;
    Ok(())
}

/// How often a letter was posted.
#[http("GET /posted/{name}")]
fn posted(cx: &mut Context, name: &str) -> Result<String> {
    Ok(cx.store().counter(&format!("posted:{name}"))?.to_string())
}

export! { submit, set_broken, post, posted, ok }

fn main() {}
