//! Tells a service manager, such as systemd, how the process is, by the protocol of `sd_notify(3)`. Without one
//! nothing is done.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};

/// How many signs of life there are in the time within which the service manager wants one.
const SIGNS_OF_LIFE: u32 = 3;

/// Says that the process serves, and where.
pub(super) fn ready(places: &[impl ToString]) {
    let places = places.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let status = if places.is_empty() {
        "running consumers".to_owned()
    } else {
        format!("serving {places}")
    };
    tell(&[NotifyState::Ready, NotifyState::Status(&status)]);
}

/// Says that the process stops, which takes as long as connections are given.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping: connections are ended")]);
}

/// Returns the time within which the service manager wants a sign of life, if it wants any.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|within| !within.is_zero())
}

/// Gives signs of life for ever. As a task of a runtime it stops when that does no more work.
pub(super) async fn give_signs_of_life(within: Duration) {
    let mut ticks = interval(within / SIGNS_OF_LIFE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager cannot be notified; NOTIFY_SOCKET names its socket");
    }
}
