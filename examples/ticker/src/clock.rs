//! The clock: a consumer that keeps itself going.
//!
//! Each second has a group, its *turn*, with one member: the channel of `tick`. The alarm of the
//! second sends the tick to the turn and takes the member out. However often a clock was started for
//! that second, the channel is a member once, and the first alarm takes the turn; another finds
//! nobody there, and its chain ends. Only two alarms that run at the very same moment can both get
//! through; then the second ticks twice, and they meet again at the next turn.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Context, Result, SendError, channel};

use crate::{WATCHERS, ticks};

/// The message of an alarm, and of the tick that it sends.
#[derive(Serialize, Deserialize)]
pub(crate) struct Turn {
    second: u64,
}

impl Turn {
    fn group(&self) -> String {
        format!("turn.{}", self.second)
    }
}

/// The second since 1970.
pub(crate) fn now() -> u64 {
    since_1970().as_secs()
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Makes sure that the next second ticks. Where a clock goes already, nothing else happens.
pub(crate) fn start(cx: &mut Context) -> Result<(), SendError> {
    set(cx, now() + 1)
}

/// Sets the alarm of a second.
fn set(cx: &mut Context, second: u64) -> Result<(), SendError> {
    let turn = Turn { second };
    cx.group_add_channel(turn.group(), "ticker.tick")?;
    // At most a second, or a clock that was set back would make it wait for long.
    let wait = Duration::from_secs(second).saturating_sub(since_1970()).min(Duration::from_secs(1));
    cx.send_later("ticker.alarm", &turn, wait)
}

#[channel("ticker.alarm")]
pub(crate) fn alarm(cx: &mut Context, turn: &Turn) -> Result<()> {
    cx.group_send(turn.group(), turn)?;
    cx.group_discard_channel(turn.group(), "ticker.tick")?;
    Ok(())
}

#[channel("ticker.tick")]
pub(crate) fn tick(cx: &mut Context, turn: &Turn) -> Result<()> {
    // A chain that is behind catches up, so that nobody who watches lacks a tick.
    let now = now().max(turn.second);
    for event in ticks::missed(turn.second.checked_sub(1), now) {
        cx.group_send(WATCHERS, &event)?;
    }
    set(cx, now + 1)?;
    Ok(())
}
