//! The connections of users, as one invocation reaches them.

use super::{Item, SharedCall};
use crate::Close;
use crate::host::OnlineHost;
use crate::host::layer::SendError;
use crate::host::online::OnlineError;
use crate::host::reply::ReplyError;
use crate::payload;
use crate::testing::{rules, users};

fn refused(error: SendError) -> OnlineError {
    OnlineError::Invalid(crate::SendError::from(error).to_string())
}

fn check(user: &str) -> Result<(), OnlineError> {
    users::check_id(user).map_err(|rule| OnlineError::Invalid(rule.to_owned()))
}

impl OnlineHost for SharedCall {
    fn user_send(&mut self, user: &str, content: &[u8]) -> Result<(), OnlineError> {
        check(user)?;
        rules::content(content).map_err(refused)?;
        let item = Item::UserSend { user: user.to_owned(), content: content.to_owned() };
        self.0.borrow_mut().put(item);
        Ok(())
    }

    fn user_close(&mut self, user: &str, code: u16, reason: &str) -> Result<(), OnlineError> {
        check(user)?;
        rules::close(code, reason).map_err(|error| match error {
            ReplyError::WrongEvent(text) | ReplyError::Invalid(text) => OnlineError::Invalid(text),
        })?;
        let content = payload::encode(&Close::new(code, reason))
            .map_err(|error| OnlineError::Invalid(error.to_string()))?;
        self.0.borrow_mut().put(Item::UserSend { user: user.to_owned(), content });
        Ok(())
    }

    fn user_connections(&mut self, user: &str) -> Result<u64, OnlineError> {
        check(user)?;
        let call = self.0.borrow();
        let count = call.world.borrow().connections_of(user).len();
        Ok(count as u64)
    }
}
