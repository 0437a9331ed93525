//! Lines that a module and its dependencies write with the crates `log` and `tracing` go into the
//! record of the invocation, with their level and their target in front.
//!
//! Each line is a call to the host, of which a run has 10,000, so only `info` and worse is taken.

use crate::host;
use crate::host::log::Level;

/// Takes the lines from now on, unless the module has set up something else. Nothing the second time.
pub(crate) fn install() {
    #[cfg(feature = "log")]
    with_log::install();
    #[cfg(feature = "tracing")]
    with_tracing::install();
}

fn put(level: Level, target: &str, text: &str) {
    // A native test also runs code outside of consumers.
    if host::is_running() {
        host::log::log(level, &format!("{target}: {text}"));
    }
}

#[cfg(feature = "log")]
mod with_log {
    use log::{LevelFilter, Log, Metadata, Record};

    use super::{Level, put};

    struct Bridge;

    pub(super) fn install() {
        if log::set_logger(&Bridge).is_ok() {
            log::set_max_level(LevelFilter::Info);
        }
    }

    impl Log for Bridge {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.level() <= log::max_level()
        }

        fn log(&self, record: &Record<'_>) {
            let level = match record.level() {
                log::Level::Error => Level::Error,
                log::Level::Warn => Level::Warn,
                log::Level::Info => Level::Info,
                log::Level::Debug => Level::Debug,
                log::Level::Trace => Level::Trace,
            };
            put(level, record.target(), &record.args().to_string());
        }

        fn flush(&self) {}
    }
}

#[cfg(feature = "tracing")]
mod with_tracing {
    use std::fmt::{self, Write as _};
    use std::sync::atomic::{AtomicU64, Ordering};

    use tracing_core::field::{Field, Visit};
    use tracing_core::span::{Attributes, Id, Record};
    use tracing_core::{Dispatch, Event, Interest, LevelFilter, Metadata, Subscriber, dispatcher};

    use super::{Level, put};

    /// Takes events. Spans get a number, since each must have one, and no line.
    struct Bridge {
        spans: AtomicU64,
    }

    pub(super) fn install() {
        if !dispatcher::has_been_set() {
            let bridge = Dispatch::new(Bridge { spans: AtomicU64::new(1) });
            // Another thread of a native test may have been first.
            drop(dispatcher::set_global_default(bridge));
        }
    }

    impl Subscriber for Bridge {
        fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
            if self.enabled(metadata) { Interest::always() } else { Interest::never() }
        }

        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= LevelFilter::INFO
        }

        fn max_level_hint(&self) -> Option<LevelFilter> {
            Some(LevelFilter::INFO)
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let level = match *event.metadata().level() {
                tracing_core::Level::ERROR => Level::Error,
                tracing_core::Level::WARN => Level::Warn,
                tracing_core::Level::INFO => Level::Info,
                tracing_core::Level::DEBUG => Level::Debug,
                tracing_core::Level::TRACE => Level::Trace,
            };
            let mut text = Text::default();
            event.record(&mut text);
            put(level, event.metadata().target(), text.0.trim_start());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    /// The message, then the fields in their order as `name=value`.
    #[derive(Default)]
    struct Text(String);

    impl Visit for Text {
        fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
            if field.name() == "message" {
                self.0.insert_str(0, &format!("{value:?}"));
            } else if write!(self.0, " {}={value:?}", field.name()).is_err() {
                self.0.push('?');
            }
        }
    }
}
