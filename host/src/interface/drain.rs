//! How connections end when the process stops: after a pause for load balancers, at a rate, told why.

use std::{sync::Arc, time::Duration};

use rand::{RngExt as _, seq::SliceRandom as _};
use tokio::time::{Instant, sleep_until, timeout};

use super::{
    DrainConfig, Hub, Running,
    mailbox::{Mail, Mailbox},
};
use crate::message::Protocol;

/// Without a rate sockets are closed at least this often, however long the grace period is.
const CLOSE_INTERVAL_MAX: Duration = Duration::from_millis(10);
/// The part of the grace period in which sockets are closed; the rest is for disconnect events.
const CLOSING: f32 = 0.8;

impl Running {
    /// Accepts no more, lets requests finish, closes WebSockets with 1001 one after the other, and
    /// waits until consumers know; all within the grace period. Returns how many connections were
    /// left.
    pub async fn stop(self) -> usize {
        let Self { hub, reader, .. } = self;
        let grace = hub.config.drain.grace;
        hub.drain.stop();
        let work = async {
            for mailbox in hub.connections.of(Protocol::Http) {
                mailbox.put(Mail::Drain);
            }
            let sockets = hub.connections.of(Protocol::Websocket);
            tell(sockets, &hub.config.drain, &Mail::Drain).await;
            hub.drain.finished().await;
        };
        let left = match timeout(grace, work).await {
            Ok(()) => 0,
            Err(_) => left(&hub),
        };
        reader.stop();
        reader.finished().await;
        hub.layer.close_inbox(&hub.node).await;
        left
    }
}

fn left(hub: &Hub) -> usize {
    let of = |protocol| hub.connections.of(protocol).len();
    of(Protocol::Http) + of(Protocol::Websocket)
}

/// Tells sockets in no order that they are to end, at a steady rate with jitter: whoever comes back must
/// not do so in waves.
pub(super) async fn tell(mut sockets: Vec<Arc<Mailbox>>, config: &DrainConfig, why: &Mail) {
    sockets.shuffle(&mut rand::rng());
    let started = Instant::now();
    let end = started + config.grace.mul_f32(CLOSING);
    let pause = pause(sockets.len(), config);
    for (number, mailbox) in sockets.into_iter().enumerate() {
        let jitter = rand::rng().random_range(0.0..1.0);
        let turn = started + pause.mul_f64(number as f64 + jitter);
        // Who would come too late is closed all the same, with a close frame.
        sleep_until(turn.min(end)).await;
        mailbox.put(why.clone());
    }
}

fn pause(sockets: usize, config: &DrainConfig) -> Duration {
    if let Some(rate) = config.rate {
        return Duration::from_secs(1) / rate.get();
    }
    let spread = config.grace.mul_f32(CLOSING);
    let each = spread.checked_div(u32::try_from(sockets).unwrap_or(u32::MAX));
    each.unwrap_or_default().min(CLOSE_INTERVAL_MAX)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn config(grace: u64, rate: u32) -> DrainConfig {
        let grace = Duration::from_secs(grace);
        DrainConfig { grace, rate: NonZeroU32::new(rate), ..DrainConfig::default() }
    }

    /// How many of some sockets have been told to go, each second.
    async fn told(sockets: usize, config: DrainConfig) -> Vec<usize> {
        let sockets: Vec<_> = (0..sockets).map(|_| Arc::new(Mailbox::of_socket(0))).collect();
        let (closing, mut seconds) = (tell(sockets.clone(), &config, &Mail::Drain), Vec::new());
        tokio::pin!(closing);
        let started = Instant::now();
        for second in 1.. {
            let over = timeout(Duration::from_secs(1), closing.as_mut()).await.is_ok();
            let told = sockets.iter().filter(|mailbox| mailbox.is_waiting()).count();
            seconds.push(told - seconds.iter().sum::<usize>());
            if over || started.elapsed() > Duration::from_secs(second + 100) {
                return seconds;
            }
        }
        seconds
    }

    #[tokio::test(start_paused = true)]
    async fn sockets_are_closed_at_the_rate_that_is_set() {
        let seconds = told(1_000, config(30, 100)).await;
        assert_eq!(seconds.len(), 10, "{seconds:?}");
        assert!(seconds.iter().all(|told| (95..=105).contains(told)), "{seconds:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_many_are_spread_over_four_fifths_and_few_are_not() {
        let seconds = told(10_000, config(30, 0)).await;
        assert_eq!(seconds.len(), 24, "{seconds:?}");
        assert!(seconds.iter().all(|told| (350..=480).contains(told)), "{seconds:?}");
        assert_eq!(told(50, config(30, 0)).await, [50]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_would_come_too_late_is_closed_before_the_end() {
        let seconds = told(1_000, config(10, 10)).await;
        assert!((8..=9).contains(&seconds.len()), "{seconds:?}");
        assert_eq!(seconds.iter().sum::<usize>(), 1_000);
    }
}
