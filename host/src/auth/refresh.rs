//! Keys that change while the host serves: fetched from a URL, and read again from files.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt as _;
use tokio::{
    select,
    time::{Duration, Instant, sleep_until},
};

use super::{
    Auth, KeyUrl,
    section::{ASKED_FOR_A_KEY_PAUSE, Replaced, Section},
};
use crate::outage::Outage;

/// The shortest time for which a set counts as new, whatever its answer says.
const REFRESH_MIN: Duration = Duration::from_secs(60);
/// The pause after a fetch that failed, which doubles each time.
const RETRY_PAUSE_FIRST: Duration = Duration::from_secs(1);
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// A JWK Set as it came.
#[derive(Clone, Debug)]
pub struct FetchedSet {
    /// The body of the answer.
    pub body: Bytes,
    /// How long it counts as new, as the answer says.
    pub max_age: Option<Duration>,
}

/// Fetches the JWK Set of a section.
#[async_trait]
pub trait KeyFetcher: Send + Sync {
    /// Fetches the set. The error says why it cannot be had, without what is secret. Dropping the future ends the
    /// request.
    async fn fetch(&self) -> Result<FetchedSet, String>;
}

impl Auth {
    /// Where the keys of sections are fetched from, each with the place of its section.
    pub fn urls(&self) -> impl Iterator<Item = (usize, &KeyUrl)> {
        let sections = self.sections.iter().enumerate();
        sections.filter_map(|(at, section)| Some((at, section.config.url.as_ref()?)))
    }

    /// Fetches the keys of a section again and again. The application runs it for each of [`urls`](Self::urls), as long
    /// as tokens are checked. Dropping the future leaves the keys as they are.
    pub async fn keep_fetched(self: Arc<Self>, section: usize, fetcher: impl KeyFetcher) {
        let Some(section) = self.sections.get(section) else { return };
        let Some(of) = section.config.url.clone() else { return };
        let (mut outage, mut pause) = (Outage::default(), RETRY_PAUSE_FIRST);
        loop {
            let begun = Instant::now();
            let next = match self.fetch(section, &fetcher).await {
                Ok(max_age) => {
                    if outage.ends() {
                        tracing::info!(
                            section = section.config.name,
                            "the keys of tokens are fetched again"
                        );
                    }
                    pause = RETRY_PAUSE_FIRST;
                    max_age.map_or(of.refresh, |age| age.clamp(REFRESH_MIN, of.refresh))
                }
                Err(error) => {
                    if let Some(failures) = outage.fails() {
                        tracing::warn!(
                            section = section.config.name, %error, failures,
                            "the keys of tokens cannot be fetched; {}, and the URL is asked again",
                            match section.has_fetched() {
                                true => "those that were fetched last stay in use",
                                false => "there are none, so that tokens get 503",
                            }
                        );
                    }
                    let now = pause;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                    now
                }
            };
            section.fetching.ends(begun);
            // Whoever asked meanwhile has waited for this one.
            section.fetching.wanted.notified().now_or_never().unwrap_or_default();
            let due = Instant::now() + next;
            select! {
                () = sleep_until(due) => {}
                () = section.fetching.wanted.notified() => {
                    // Not each made-up token is a request.
                    sleep_until(due.min(begun + ASKED_FOR_A_KEY_PAUSE)).await;
                }
            }
        }
    }

    async fn fetch(
        &self,
        section: &Section,
        fetcher: &impl KeyFetcher,
    ) -> Result<Option<Duration>, String> {
        let FetchedSet { body, max_age } = fetcher.fetch().await?;
        let replaced = section.take_fetched(&body).map_err(|error| error.to_string())?;
        if replaced == Replaced::Changed {
            self.forget();
            tracing::info!(
                section = section.config.name,
                "the keys of tokens were fetched, and have changed"
            );
        }
        Ok(max_age)
    }

    /// Reads keys of files again. Those that cannot be used change nothing, and are logged.
    pub fn reread(&self) {
        self.sections.iter().for_each(|section| self.reread_of(section));
    }

    fn reread_of(&self, of: &Section) {
        let section = of.config.name();
        match of.reread() {
            Ok(Replaced::Changed) => {
                self.forget();
                tracing::info!(section, "the keys of tokens were read again, and have changed");
            }
            Ok(Replaced::Same) => {}
            Err(error) => {
                tracing::error!(section, %error, "the keys of tokens in use stay in use");
            }
        }
    }
}
