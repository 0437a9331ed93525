//! The contract's interfaces for native builds: the same names and types as the generated ones,
//! answered by the test host that runs the consumer on this thread.
#![expect(
    missing_docs,
    unreachable_pub,
    reason = "as the generated interfaces, documented in wit/"
)]

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) mod history;
pub(crate) mod invocation;
pub(crate) mod online;
pub(crate) mod outgoing;
pub(crate) mod outside;
pub(crate) mod presence;
pub(crate) mod sessions;
pub(crate) mod store;
pub(crate) mod timers;
pub(crate) mod types;
pub(crate) mod users;

pub(crate) use history::HistoryHost;
pub(crate) use invocation::InvocationHost;
pub(crate) use online::OnlineHost;
pub(crate) use outgoing::OutgoingHost;
pub(crate) use outside::OutsideHost;
pub(crate) use presence::PresenceHost;
pub(crate) use sessions::SessionHost;
pub(crate) use store::StoreHost;
pub(crate) use timers::TimerHost;
use types::{Frame, Handshake, Response, Scope, StreamPart};

/// What a test host does for a consumer. One method for each import of the contract.
pub(crate) trait Host:
    StoreHost
    + TimerHost
    + OutsideHost
    + OutgoingHost
    + InvocationHost
    + OnlineHost
    + PresenceHost
    + HistoryHost
    + SessionHost
{
    fn send(&mut self, channel: &str, content: &[u8]) -> Result<(), layer::SendError>;
    fn send_later(
        &mut self,
        channel: &str,
        content: &[u8],
        delay: u64,
    ) -> Result<(), layer::SendError>;
    fn group_add(&mut self, group: &str, channel: &str) -> Result<(), layer::SendError>;
    fn group_discard(&mut self, group: &str, channel: &str) -> Result<(), layer::SendError>;
    fn group_send(&mut self, group: &str, content: &[u8]) -> Result<(), layer::SendError>;
    fn flush(&mut self) -> Result<(), layer::FlushError>;
    fn respond(&mut self, response: &Response) -> Result<(), reply::ReplyError>;
    fn stream(&mut self, part: &StreamPart) -> Result<(), reply::ReplyError>;
    fn hold(&mut self, timeout: u64, fallback: Option<&Response>) -> Result<(), reply::ReplyError>;
    fn accept(&mut self, handshake: &Handshake) -> Result<(), reply::ReplyError>;
    fn send_frame(&mut self, frame: &Frame) -> Result<(), reply::ReplyError>;
    fn close(&mut self, code: u16, reason: &str) -> Result<(), reply::ReplyError>;
    fn get_scope(&mut self) -> Option<Scope>;
    fn current_user(&mut self) -> Option<users::User>;
    fn get_state(&mut self) -> Option<Vec<u8>>;
    fn set_state(&mut self, state: &[u8]) -> Result<(), connection::StateError>;
    fn log(&mut self, level: log::Level, message: &str);
    // What WASI gives a module.
    fn now(&self) -> SystemTime;
    fn variable(&self, name: &str) -> Option<String>;
    fn path(&self, path: &Path) -> PathBuf;
}

thread_local! {
    static CURRENT: RefCell<Option<Box<dyn Host>>> = const { RefCell::new(None) };
}

/// Runs `run` with `host` answering its calls. Takes the host away again even on a panic.
pub(crate) fn with_host<T>(host: Box<dyn Host>, run: impl FnOnce() -> T) -> T {
    struct Restore(Option<Box<dyn Host>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.with(|current| *current.borrow_mut() = self.0.take());
        }
    }
    let _restore = Restore(CURRENT.with(|current| current.borrow_mut().replace(host)));
    run()
}

/// Whether a test host runs a consumer on this thread, and is not busy with a call of it.
#[cfg(any(feature = "log", feature = "tracing"))]
pub(crate) fn is_running() -> bool {
    CURRENT.with(|current| current.try_borrow().is_ok_and(|current| current.is_some()))
}

fn call<T>(f: impl FnOnce(&mut dyn Host) -> T) -> T {
    CURRENT.with(|current| {
        let mut current = current.borrow_mut();
        let host = current.as_mut().expect(
            "a Context does nothing outside an invocation: run the consumer with testing::TestHost",
        );
        f(host.as_mut())
    })
}

pub(crate) mod layer {
    //! As `interface layer` of the contract.
    use super::call;

    /// Why something was not put into the outbox.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum SendError {
        InvalidName(String),
        Forbidden(String),
        InvalidContent(String),
        TooLarge(SizeLimit),
    }

    /// A size and the limit that it broke.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct SizeLimit {
        pub bytes: u64,
        pub limit: u64,
    }

    /// Why `flush` stopped.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct FlushError {
        pub index: u32,
        pub channel: String,
        pub reason: FlushReason,
    }

    /// What was wrong with an entry.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum FlushReason {
        ChannelFull,
        Unavailable(String),
        Refused(String),
    }

    pub(crate) fn send(channel: &str, content: &[u8]) -> Result<(), SendError> {
        call(|host| host.send(channel, content))
    }

    pub(crate) fn send_later(channel: &str, content: &[u8], delay: u64) -> Result<(), SendError> {
        call(|host| host.send_later(channel, content, delay))
    }

    pub(crate) fn group_add(group: &str, channel: &str) -> Result<(), SendError> {
        call(|host| host.group_add(group, channel))
    }

    pub(crate) fn group_discard(group: &str, channel: &str) -> Result<(), SendError> {
        call(|host| host.group_discard(group, channel))
    }

    pub(crate) fn group_send(group: &str, content: &[u8]) -> Result<(), SendError> {
        call(|host| host.group_send(group, content))
    }

    pub(crate) fn flush() -> Result<(), FlushError> {
        call(|host| host.flush())
    }
}

pub(crate) mod reply {
    //! As `interface reply` of the contract.
    use super::{Frame, Handshake, Response, StreamPart, call};

    /// Why an answer was refused.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum ReplyError {
        WrongEvent(String),
        Invalid(String),
    }

    pub(crate) fn respond(response: &Response) -> Result<(), ReplyError> {
        call(|host| host.respond(response))
    }

    pub(crate) fn stream(part: &StreamPart) -> Result<(), ReplyError> {
        call(|host| host.stream(part))
    }

    pub(crate) fn hold(timeout: u64, fallback: Option<&Response>) -> Result<(), ReplyError> {
        call(|host| host.hold(timeout, fallback))
    }

    pub(crate) fn accept(handshake: &Handshake) -> Result<(), ReplyError> {
        call(|host| host.accept(handshake))
    }

    pub(crate) fn send(frame: &Frame) -> Result<(), ReplyError> {
        call(|host| host.send_frame(frame))
    }

    pub(crate) fn close(code: u16, reason: &str) -> Result<(), ReplyError> {
        call(|host| host.close(code, reason))
    }
}

pub(crate) mod connection {
    //! As `interface connection` of the contract.
    use super::{Scope, call};

    /// Why the state was not set.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum StateError {
        NoConnection,
        TooLarge(u64),
    }

    pub(crate) fn get_scope() -> Option<Scope> {
        call(|host| host.get_scope())
    }

    pub(crate) fn get_state() -> Option<Vec<u8>> {
        call(|host| host.get_state())
    }

    pub(crate) fn set_state(state: &[u8]) -> Result<(), StateError> {
        call(|host| host.set_state(state))
    }
}

pub(crate) mod log {
    //! As `interface log` of the contract.
    use super::call;

    /// How much a line matters.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Level {
        Trace,
        Debug,
        Info,
        Warn,
        Error,
    }

    pub(crate) fn log(level: Level, message: &str) {
        call(|host| host.log(level, message));
    }
}

pub(crate) mod machine {
    //! What a module is granted of a machine.
    use super::{Path, PathBuf, SystemTime, call};

    pub(crate) fn now() -> SystemTime {
        call(|host| host.now())
    }

    pub(crate) fn variable(name: &str) -> Option<String> {
        call(|host| host.variable(name))
    }

    pub(crate) fn path(path: &Path) -> PathBuf {
        call(|host| host.path(path))
    }
}

pub(crate) mod consumer {
    //! As `interface consumer` of the contract.

    /// Why a consumer could not do its work.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Failure {
        StateUnreadable(String),
        Failed(String),
    }
}
