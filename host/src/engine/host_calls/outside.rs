//! `tidegate:channels/outside`: requests to servers elsewhere, asked for with the run's transaction.

use bytes::Bytes;
use http::Uri;
use wasmtime::component::HasData;

use super::channel::check_later;
use crate::{
    capability::{
        outside::Fetch,
        store::{Parcel, Transaction},
    },
    engine::{
        Limits,
        bindings::fetching::tidegate::channels::outside::{FetchError, Host, Request},
        instance::{Effects, Job, Run},
    },
    message::{ChannelName, seal_relayed},
};

/// What a result without an answer takes besides the value of its request, which is as large as a message at most.
const RESULT_BYTES: usize = 2 * 1024;

/// Sees the transaction and whose it is.
pub(in crate::engine) struct OutsideCalls<'a> {
    effects: &'a mut Effects,
    job: Option<&'a Job>,
    limits: &'a Limits,
}

impl HasData for OutsideCalls<'static> {
    type Data<'a> = OutsideCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn outside_calls(&mut self) -> OutsideCalls<'_> {
        OutsideCalls { effects: &mut self.effects, job: self.job.as_ref(), limits: &self.limits }
    }
}

impl<'a> OutsideCalls<'a> {
    fn job(&self) -> Result<&'a Job, FetchError> {
        let none = || FetchError::Forbidden("no request is made while routes are read".into());
        self.job.ok_or_else(none)
    }

    fn transaction(&mut self) -> Result<&mut Transaction, FetchError> {
        let job = self.job()?;
        Ok(self.effects.transaction.get_or_insert_with(|| job.lent.transaction()))
    }

    fn put(&mut self, request: Request) -> Result<(), FetchError> {
        let lent = &self.job()?.lent;
        let Request { method, url, headers, body, then, value, timeout, retries } = request;
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let mut fetch = Fetch::new(&method, url, pairs, &then)
            .and_then(|fetch| fetch.with_retries(retries))
            .map_err(invalid)?;
        if let Some(millis) = timeout {
            fetch = fetch.with_timeout(millis).map_err(invalid)?;
        }
        (fetch.body, fetch.value) = (Bytes::from(body), Bytes::from(value));
        check_later(&fetch.then, lent, "the result comes").map_err(FetchError::Forbidden)?;
        let admitted = lent.grants.outside.check(&fetch.url).map_err(|refusal| {
            self.effects.outside_refusals.add(refusal.reason());
            FetchError::Forbidden(format!("{refusal} (modules.{}.grants.http)", lent.module))
        })?;
        if Uri::try_from(admitted.target.url().as_str()).is_err() {
            let rule = "the URL has characters that a request cannot have; write them as %XX";
            return Err(FetchError::Invalid(rule.to_owned()));
        }
        let content = fetch.content().map_err(invalid)?;
        // The value has to be a single one.
        Fetch::read(&content).map_err(invalid)?;
        let limit = self.limits.message_bytes.saturating_sub(RESULT_BYTES);
        let bytes = content.as_bytes().len();
        if bytes > limit {
            let rule = format!("a request has at most {limit} bytes in all; this one has {bytes}");
            return Err(FetchError::Invalid(rule));
        }
        let job = self.job()?;
        let payload = seal_relayed(Some(job.lent.process), job.correlation, &content);
        let target = ChannelName::of_fetches(&job.lent.module).to_string();
        self.transaction()?.request(Parcel { target, payload }).map_err(invalid)
    }
}

fn invalid(error: impl std::fmt::Display) -> FetchError {
    FetchError::Invalid(error.to_string())
}

impl Host for OutsideCalls<'_> {
    fn fetch(&mut self, request: Request) -> wasmtime::Result<Result<(), FetchError>> {
        let done = self.put(request);
        self.effects.sends_refused += u64::from(done.is_err());
        Ok(done)
    }
}
