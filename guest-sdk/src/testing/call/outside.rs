//! The requests of one invocation to servers elsewhere.

use super::{Call, SharedCall};
use crate::host::layer::SendError;
use crate::host::outgoing::{Answered, Failed};
use crate::host::outside::{FetchError, Request};
use crate::host::{OutgoingHost, OutsideHost};
use crate::testing::{outside, rules};

impl Call {
    fn may_fetch(&self, request: &Request) -> Result<(), FetchError> {
        outside::check(request).map_err(FetchError::Invalid)?;
        rules::channel(&request.then).map_err(|error| FetchError::Invalid(text(error)))?;
        if request.then.contains('!') {
            return Err(FetchError::Forbidden(format!(
                "{} is a reply channel: its connection may be over when the result comes; have it sent to a \
                 channel of your own, and send from there to a group",
                request.then
            )));
        }
        self.may_send(&request.then).map_err(|error| FetchError::Forbidden(text(error)))?;
        self.may_reach(&request.url)
    }

    fn may_reach(&self, url: &str) -> Result<(), FetchError> {
        let world = self.world.borrow();
        let server = outside::server(url).map_err(FetchError::Invalid)?;
        if world.reachable.iter().any(|granted| outside::names(granted, &server)) {
            return Ok(());
        }
        Err(FetchError::Forbidden(format!(
            "no entry of the grants names the host of \"{server}\"; add \"{server}\" to modules.{}.grants.http, and \
             in a test `.reaching(\"{server}\")`",
            world.module
        )))
    }
}

fn text(error: SendError) -> String {
    crate::SendError::from(error).to_string()
}

impl OutsideHost for SharedCall {
    fn fetch(&mut self, request: &Request) -> Result<(), FetchError> {
        let mut call = self.0.borrow_mut();
        call.may_fetch(request)?;
        call.transaction.get_or_insert_default().fetch(request.clone());
        Ok(())
    }
}

impl OutgoingHost for SharedCall {
    fn fetch_now(&mut self, request: &Request) -> Result<Answered, Failed> {
        let mut call = self.0.borrow_mut();
        call.is_final = true;
        call.may_reach(&request.url).map_err(|error| match error {
            FetchError::Invalid(text) => ("invalid", text),
            FetchError::Forbidden(text) => ("refused", text),
        })?;
        call.world.borrow_mut().prepared_answer(request)
    }
}
