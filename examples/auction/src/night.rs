//! Sales: counted as items close, and summed up each night.

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Context, Response, Result, Stored, Tick, channel, http};

use crate::item::{self, Item};

/// The keys of nights begin with this.
const PREFIX: &str = "night:";
/// The number of items that were sold since the last night.
const SOLD: &str = "sold";
/// Their prices together, in cents.
const PAID: &str = "paid";

/// The sales between a night and the one before.
#[derive(Serialize, Deserialize)]
struct Night {
    /// When it was summed up, in milliseconds since 1970.
    until: u64,
    sold: i64,
    paid: i64,
}

impl Stored for Night {}

/// Counts an item that closes. Nothing is read, so items that close at the same time do not disturb each other.
pub(crate) fn count(cx: &Context, item: &Item) -> Result<()> {
    if let Some(price) = item.price() {
        cx.store().add(SOLD, 1)?;
        cx.store().add(PAID, i64::try_from(price)?)?;
    }
    Ok(())
}

/// Stores the sales since the last night, and counts from 0 again. The schedule is in `export!`.
#[channel("auction.night", retries = 20)]
pub(crate) fn sum_up(cx: &mut Context, tick: &Tick) -> Result<()> {
    let store = cx.store();
    let (sold, paid) = (store.counter(SOLD)?, store.counter(PAID)?);
    store.add(SOLD, -sold)?;
    store.add(PAID, -paid)?;
    let until = item::millis(tick.due());
    store.set(&format!("{PREFIX}{until:016}"), &Night { until, sold, paid })?;
    Ok(())
}

/// All nights, the first one first.
#[http("GET /auction/nights")]
pub(crate) fn nights(cx: &mut Context) -> Result<Response> {
    let nights = cx.store().list::<Night>(PREFIX);
    let nights: Vec<Night> =
        nights.map(|entry| entry.map(|(_, it)| it)).collect::<Result<_, _>>()?;
    Ok(Response::json(&nights))
}
