//! Orders whose work is done by jobs, each of which counts once.

use serde::{Deserialize, Serialize};
use test_guests::ok;
use tidegate_sdk::{Context, Result, channel, export, http};

#[derive(Serialize, Deserialize)]
struct Order {
    id: String,
}

/// Takes an order, and leaves its work to a job.
#[http("POST /order/{id}")]
fn order(cx: &mut Context, id: String) -> Result<&'static str> {
    let store = cx.store();
    store.set(&format!("order:{id}"), &true)?;
    store.add("ordered", 1)?;
    cx.send("once.pack", &Order { id })?;
    Ok("taken")
}

#[channel("once.pack", retries = 100)]
fn pack(cx: &mut Context, order: Order) -> Result<()> {
    let store = cx.store();
    store.add(&format!("packed:{}", order.id), 1)?;
    // Read and set, so that runs beside it conflict.
    let packed = store.counter("packed")? + 1;
    store.set("packed", &packed)?;
    cx.send("once.mail", &order)?;
    Ok(())
}

#[channel("once.mail", retries = 100)]
fn mail(cx: &mut Context, order: Order) -> Result<()> {
    let store = cx.store();
    store.add(&format!("mailed:{}", order.id), 1)?;
    store.add("mailed", 1)?;
    Ok(())
}

/// How many orders, packages and letters there are.
#[http("GET /totals")]
fn totals(cx: &mut Context) -> Result<String> {
    let store = cx.store();
    let (ordered, packed) = (store.counter("ordered")?, store.counter("packed")?);
    Ok(format!("{ordered} {packed} {}", store.counter("mailed")?))
}

/// Whether an order was taken, how often it was packed and how often mailed.
#[http("GET /order/{id}")]
fn look(cx: &mut Context, id: &str) -> Result<String> {
    let store = cx.store();
    let is_taken = store.get(&format!("order:{id}"))?.unwrap_or(false);
    let packed = store.counter(&format!("packed:{id}"))?;
    Ok(format!("{is_taken} {packed} {}", store.counter(&format!("mailed:{id}"))?))
}

export! { order, pack, mail, totals, look, ok }

fn main() {}
