//! A section while the host serves: its keys may change.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use tokio::{
    sync::{Notify, watch},
    time::{Duration, Instant},
};

use super::{
    AuthConfig, TokenError,
    claims::{self, Checked},
    config,
    django::{self, CookieKey},
    jwks,
    key::Key,
    token::Parts,
};
use crate::message::User;

/// How soon a URL is asked again for a token whose key is not known: anybody can make one up.
pub(super) const ASKED_FOR_A_KEY_PAUSE: Duration = Duration::from_secs(60);

/// A section with its keys.
#[derive(Debug)]
pub(super) struct Section {
    pub(super) config: AuthConfig,
    keys: ArcSwap<Keys>,
    /// Held while keys are replaced.
    replacing: Mutex<()>,
    /// Counts changes of keys.
    generation: Arc<AtomicU64>,
    pub(super) fetching: Fetching,
}

#[derive(Debug, PartialEq, Eq)]
struct Keys {
    /// Those of settings and files.
    given: Vec<Key>,
    /// Those of cookies of Django.
    django: Vec<CookieKey>,
    /// Those of the URL; none before the first that could be used.
    fetched: Option<Vec<Key>>,
}

/// What is known of the fetches of a URL.
#[derive(Debug)]
pub(super) struct Fetching {
    /// Told when somebody has a token whose key is not known.
    pub(super) wanted: Notify,
    /// The fetches that have ended, and when the last one began; none while the first has not.
    ended: watch::Sender<(u64, Option<Instant>)>,
}

impl Default for Fetching {
    fn default() -> Self {
        Self { wanted: Notify::new(), ended: watch::Sender::new((0, None)) }
    }
}

impl Fetching {
    /// Notes the end of a fetch that began at a moment.
    pub(super) fn ends(&self, begun: Instant) {
        self.ended.send_modify(|(count, last)| (*count, *last) = (*count + 1, Some(begun)));
    }

    /// Waits for the end of a fetch, if one is under way or begins now.
    async fn next(&self) {
        let mut ended = self.ended.subscribe();
        let may_ask =
            ended.borrow_and_update().1.is_none_or(|at| at.elapsed() >= ASKED_FOR_A_KEY_PAUSE);
        if may_ask {
            self.wanted.notify_one();
            // The sender is in this section, so it is not gone.
            drop(ended.changed().await);
        }
    }
}

/// What became of new keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// They are other ones than before.
    Changed,
    /// They are the same.
    Same,
}

impl Section {
    pub(super) fn new(config: AuthConfig, generation: Arc<AtomicU64>) -> Self {
        let (given, django) = (config.keys.clone(), config.django_keys.clone());
        let keys = Keys { given, django, fetched: None };
        Self {
            config,
            keys: ArcSwap::from_pointee(keys),
            replacing: Mutex::default(),
            generation,
            fetching: Fetching::default(),
        }
    }

    /// Checks a token at a moment, in seconds since 1970.
    pub(super) fn check(&self, parts: &Parts<'_>, now: f64) -> Result<Checked, TokenError> {
        let (algorithm, id) = (parts.algorithm, parts.key_id.as_deref());
        if !self.config.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        // Before the keys are read: what they change to later is another generation.
        let generation = self.generation.load(Ordering::Acquire);
        let keys = self.keys.load();
        let all = keys.given.iter().chain(keys.fetched.iter().flatten());
        let mut fitting = all.filter(|key| key.fits(algorithm, id)).peekable();
        if fitting.peek().is_none() {
            let is_away = self.config.url.is_some() && keys.fetched.is_none();
            return Err(if is_away { TokenError::KeysAway } else { TokenError::Key });
        }
        let signed = parts.signed.as_bytes();
        if !fitting.any(|key| key.verifies(algorithm, signed, &parts.signature)) {
            return Err(TokenError::Signature);
        }
        claims::check(&parts.claims()?, &self.config, now)
            .map(|checked| Checked { generation, ..checked })
    }

    /// Checks a session of Django at a moment, in seconds since 1970.
    pub(super) fn check_django(
        &self,
        cookie: &str,
        now: f64,
    ) -> Result<Option<Arc<User>>, TokenError> {
        let Some(of) = &self.config.django else { return Ok(None) };
        let ids = (&*self.config.user_prefix, self.config.leeway);
        django::check(cookie, (of, &self.keys.load().django), ids, now)
    }

    /// Waits for the keys of the URL, where a token named one that is not known: for the fetch that is under way, or
    /// for one that begins now. Does not wait where the URL was asked a short time ago.
    pub(super) async fn ask_for_keys(&self) {
        if self.config.url.is_some() {
            self.fetching.next().await;
        }
    }

    /// Whether keys of the URL were there at any time.
    pub(super) fn has_fetched(&self) -> bool {
        self.keys.load().fetched.is_some()
    }

    /// Replaces the keys of the URL by those of a JWK Set. One that cannot be used changes nothing.
    pub(super) fn take_fetched(&self, set: &[u8]) -> Result<Replaced, super::KeyError> {
        let fetched = config::usable(&self.config.algorithms, jwks::read(set)?)?;
        Ok(self.replace(|before| Keys {
            given: before.given.clone(),
            django: before.django.clone(),
            fetched: Some(fetched),
        }))
    }

    /// Reads the keys of files again. Those that cannot be used change nothing.
    pub(super) fn reread(&self) -> Result<Replaced, String> {
        let Some(reread) = &self.config.reread else { return Ok(Replaced::Same) };
        let read = reread.read()?;
        let given = config::keys(&self.config.algorithms, &read).map_err(|it| it.to_string())?;
        let django = config::django_keys(&read).map_err(|it| it.to_string())?;
        Ok(self.replace(|before| Keys { given, django, fetched: before.fetched.clone() }))
    }

    fn replace(&self, new: impl FnOnce(&Keys) -> Keys) -> Replaced {
        let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.keys.load_full();
        let after = new(&before);
        // The first set is a change, too: tokens were refused before.
        if after == *before {
            return Replaced::Same;
        }
        self.keys.store(Arc::new(after));
        self.generation.fetch_add(1, Ordering::Release);
        Replaced::Changed
    }
}
