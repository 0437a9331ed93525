//! When an open WebSocket has to be looked at although nothing happens on it: pings, idleness, age, the end of
//! its user's token, the use of its session.

use std::time::Duration;

use tokio::time::Instant;

use crate::interface::config::Liveness;

/// What is known of a client's signs of life.
#[derive(Debug)]
pub(super) struct Alive {
    config: Liveness,
    opened: Instant,
    /// When anything came from the client.
    heard: Instant,
    /// When a message went in either direction.
    used: Instant,
    pinged: Option<Instant>,
    /// When the token of its user no longer counts, or its session ends.
    expires: Option<Instant>,
    /// How often it is to be noted that its session is used.
    renewal: Option<Duration>,
    /// When that was noted.
    renewed: Instant,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    Ping,
    /// The ping was not answered.
    Dead,
    Idle,
    Old,
    /// The token of its user has expired, or its session is over.
    Expired,
    /// It is to be noted that its session is used.
    Renew,
}

impl Alive {
    pub(super) fn new(
        config: &Liveness,
        expires: Option<Instant>,
        renewal: Option<Duration>,
    ) -> Self {
        let (config, now) = (config.clone(), Instant::now());
        Self {
            config,
            opened: now,
            heard: now,
            used: now,
            pinged: None,
            expires,
            renewal,
            renewed: now,
        }
    }

    /// Something came from the client.
    pub(super) fn heard(&mut self) {
        self.heard = Instant::now();
        self.pinged = None;
    }

    /// Its client has come back, and its user expires then.
    pub(super) fn comes_back(&mut self, expires: Option<Instant>) {
        self.heard();
        self.used();
        self.expires = expires;
    }

    /// When its user expires, or its session ends.
    pub(super) const fn expires(&self) -> Option<Instant> {
        self.expires
    }

    /// A message went in either direction.
    pub(super) fn used(&mut self) {
        self.used = Instant::now();
    }

    /// What is due now. A client that is not read cannot be blamed for its silence.
    pub(super) fn due(&mut self, is_read: bool) -> Option<Due> {
        let now = Instant::now();
        let Liveness { ping_interval, ping_timeout, idle, age } = self.config;
        if self.expires.is_some_and(|at| now >= at) {
            return Some(Due::Expired);
        }
        if self.renewal.is_some_and(|span| now >= self.renewed + span) {
            self.renewed = now;
            return Some(Due::Renew);
        }
        if age.is_some_and(|age| now >= self.opened + age) {
            return Some(Due::Old);
        }
        if idle.is_some_and(|idle| now >= self.used + idle) {
            return Some(Due::Idle);
        }
        if !is_read {
            self.heard = now;
            self.pinged = None;
            return None;
        }
        match self.pinged {
            Some(pinged) => (now >= pinged + ping_timeout).then_some(Due::Dead),
            None if now >= self.heard + ping_interval => {
                self.pinged = Some(now);
                Some(Due::Ping)
            }
            None => None,
        }
    }

    /// When to look again, if nothing happens before.
    pub(super) fn next(&self) -> Instant {
        let Liveness { ping_interval, ping_timeout, idle, age } = self.config;
        let sign = match self.pinged {
            Some(pinged) => pinged + ping_timeout,
            None => self.heard + ping_interval,
        };
        let idle = idle.map(|idle| self.used + idle);
        let age = age.map(|age| self.opened + age);
        let renewal = self.renewal.map(|span| self.renewed + span);
        [idle, age, self.expires, renewal].into_iter().flatten().fold(sign, Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn alive(idle: Option<u64>, age: Option<u64>) -> Alive {
        let config = Liveness {
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            idle: idle.map(Duration::from_secs),
            age: age.map(Duration::from_secs),
        };
        Alive::new(&config, None, None)
    }

    /// Lets time pass to the next look, and says what is due and how many seconds have passed.
    async fn look(alive: &mut Alive) -> (Option<Due>, u64) {
        advance(alive.next() - Instant::now()).await;
        (alive.due(true), alive.opened.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_pinged_and_given_up_when_it_does_not_answer() {
        let mut alive = alive(None, None);
        assert_eq!(look(&mut alive).await, (Some(Due::Ping), 25));
        advance(Duration::from_secs(9)).await;
        alive.heard();
        assert_eq!(look(&mut alive).await, (Some(Due::Ping), 59), "an answer starts anew");
        assert_eq!(look(&mut alive).await, (Some(Due::Dead), 69));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_is_not_read_is_not_blamed() {
        let mut alive = alive(None, None);
        assert_eq!(look(&mut alive).await, (Some(Due::Ping), 25));
        advance(Duration::from_secs(10)).await;
        assert_eq!(alive.due(false), None);
        assert_eq!(look(&mut alive).await, (Some(Due::Ping), 60));
    }

    #[tokio::test(start_paused = true)]
    async fn idleness_counts_messages_and_age_counts_nothing() {
        let mut alive = alive(Some(10), Some(30));
        advance(Duration::from_secs(8)).await;
        alive.used();
        alive.heard();
        assert_eq!(look(&mut alive).await, (Some(Due::Idle), 18));
        alive.used();
        advance(Duration::from_secs(9)).await;
        alive.used();
        assert_eq!(look(&mut alive).await, (Some(Due::Old), 30));
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_token_is_due_whatever_the_client_does() {
        let mut alive = alive(None, None);
        alive.expires = Some(Instant::now() + Duration::from_secs(20));
        advance(Duration::from_secs(19)).await;
        alive.used();
        alive.heard();
        assert_eq!(alive.due(true), None);
        assert_eq!(look(&mut alive).await, (Some(Due::Expired), 20));
        assert_eq!(alive.due(false), Some(Due::Expired));
    }

    #[tokio::test(start_paused = true)]
    async fn the_use_of_a_session_is_due_again_and_again() {
        let mut alive = alive(None, None);
        alive.renewal = Some(Duration::from_secs(20));
        assert_eq!(look(&mut alive).await, (Some(Due::Renew), 20));
        assert_eq!(look(&mut alive).await, (Some(Due::Ping), 25));
        alive.heard();
        assert_eq!(look(&mut alive).await, (Some(Due::Renew), 40));
    }
}
