//! `tidegate:channels/log`: lines for the record.

use wasmtime::component::HasData;

use crate::engine::{
    bindings::tidegate::channels::log::{Host, Level},
    instance::Run,
    log::LogSink,
};

/// Sees the lines of a run.
pub(in crate::engine) struct LogCalls<'a>(&'a LogSink);

impl HasData for LogCalls<'static> {
    type Data<'a> = LogCalls<'a>;
}

impl Run {
    pub(in crate::engine) fn log_calls(&mut self) -> LogCalls<'_> {
        LogCalls(&self.log)
    }
}

impl Host for LogCalls<'_> {
    fn log(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.0.line(level, &message);
        Ok(())
    }
}
