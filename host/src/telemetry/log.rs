//! The process's log: lines on standard error, written by a thread of their own.
//!
//! Nothing that logs ever waits for the log's reader, and nothing fails with it. Lines wait in a queue
//! that is bounded in number and bytes; what finds it full, or cannot be written, is lost and counted.
//!
//! A line is text for people, or an object of JSON for programs ([`LogFormat`]).

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal as _, Write},
    panic::PanicHookInfo,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::BorrowedFd,
    io::Errno,
};
use serde::Deserialize;
use serde_json::json;
use tracing::Level;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter,
    filter::ParseError,
    fmt::{
        MakeWriter, Subscriber,
        format::Writer,
        time::{FormatTime as _, SystemTime},
    },
};

use crate::shutdown::run_at_most;

/// Lines that wait for the writer at most. The queue's memory is taken at the start: 32 bytes each.
const QUEUE_LINES_MAX: usize = 8192;
/// Bytes of all lines that wait at most.
const QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// POSIX: a pipe that polls as writable takes as many bytes without blocking.
const WRITE_BYTES_MAX: usize = 4096;
/// How often a stalled writer looks whether the process ends. Linux accepts nothing shorter than a tick.
const STALL_CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// How long the end of the process waits for lines that are on their way.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);

/// The counts of the log that this process started, if it did.
static STARTED: OnceLock<Arc<Counts>> = OnceLock::new();
/// The form of its lines.
static FORMAT: OnceLock<LogFormat> = OnceLock::new();

/// Lines that were lost since the start: the queue was full, or they could not be written.
pub(super) fn lost_lines() -> u64 {
    STARTED.get().map_or(0, |counts| counts.lost.load(Ordering::Relaxed))
}

/// The form of the lines of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Text, with colours on a terminal.
    #[default]
    Text,
    /// One object of JSON for each line: `timestamp`, `level`, `target`, `message`, and the fields of the event
    /// beside them.
    Json,
}

impl LogFormat {
    /// A line as the subscriber would write it, with one field. For what goes past the queue.
    fn line(self, level: Level, target: &str, message: &str, field: Option<(&str, u64)>) -> String {
        let mut time = String::new();
        // A clock before 1970 has no text; the line goes without it.
        SystemTime.format_time(&mut Writer::new(&mut time)).unwrap_or_default();
        match self {
            Self::Text => {
                let field =
                    field.map_or_else(String::new, |(name, value)| format!(" {name}={value}"));
                format!("{time} {level:>5} {target}: {message}{field}\n")
            }
            Self::Json => {
                let mut line = json!({
                    "timestamp": time, "level": level.as_str(), "target": target, "message": message,
                });
                if let (Some(line), Some((name, value))) = (line.as_object_mut(), field) {
                    line.insert(name.to_owned(), value.into());
                }
                format!("{line}\n")
            }
        }
    }
}

#[derive(Debug, Default)]
struct Counts {
    waiting_lines: AtomicUsize,
    waiting_bytes: AtomicUsize,
    lost: AtomicU64,
    finishing: AtomicBool,
}

impl Counts {
    /// Makes room for a line; without room the line counts as lost.
    fn admit(&self, bytes: usize) -> bool {
        let lines = self.waiting_lines.fetch_add(1, Ordering::AcqRel);
        let waiting = self.waiting_bytes.fetch_add(bytes, Ordering::AcqRel);
        let has_room = lines < QUEUE_LINES_MAX && waiting.saturating_add(bytes) <= QUEUE_BYTES_MAX;
        if !has_room {
            self.leave(bytes);
            self.lose();
        }
        has_room
    }

    fn leave(&self, bytes: usize) {
        self.waiting_lines.fetch_sub(1, Ordering::AcqRel);
        self.waiting_bytes.fetch_sub(bytes, Ordering::AcqRel);
    }

    fn lose(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// The log of the process. [`Log::finish`] writes the lines that still wait.
#[derive(Debug)]
#[must_use = "the last lines are written by `finish`"]
pub struct Log {
    counts: Arc<Counts>,
    writer: WorkerGuard,
}

impl Log {
    /// Starts the log of the process, once, and sends panics there, too. `filter` says which lines pass,
    /// as `RUST_LOG` does.
    pub fn start(filter: &str, format: LogFormat) -> Result<Self, ParseError> {
        let filter = EnvFilter::try_new(filter)?;
        let counts = Arc::clone(STARTED.get_or_init(Arc::default));
        let format = *FORMAT.get_or_init(|| format);
        let fd = rustix::stdio::stderr();
        let output = Output { fd, format, counts: Arc::clone(&counts), reported: 0, cut: false };
        let (queue, writer) = NonBlockingBuilder::default()
            .buffered_lines_limit(QUEUE_LINES_MAX)
            // `Counts` refuses what the queue has no room for, so that nothing waits here.
            .lossy(false)
            .thread_name("tidegate-log")
            .finish(output);
        let lines = Subscriber::builder()
            .with_env_filter(filter)
            .with_writer(Queue { lines: queue, counts: Arc::clone(&counts) })
            .with_ansi(format == LogFormat::Text && io::stderr().is_terminal())
            // It would print them, and panic where that fails.
            .log_internal_errors(false);
        match format {
            LogFormat::Text => lines.init(),
            LogFormat::Json => {
                lines
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .init();
            }
        }
        std::panic::set_hook(Box::new(log_panic));
        Ok(Self { counts, writer })
    }

    /// Checks a filter.
    pub fn check(filter: &str) -> Result<(), ParseError> {
        EnvFilter::try_new(filter).map(drop)
    }

    /// The line on standard error with which a process ends that has failed. It has the form of the log, if that
    /// was started.
    pub fn last_line(message: &str) -> String {
        match FORMAT.get() {
            Some(LogFormat::Json) => {
                LogFormat::Json.line(Level::ERROR, "tidegate::exit", message, None)
            }
            Some(LogFormat::Text) | None => format!("error: {message}\n"),
        }
    }

    /// Writes the lines that wait, for two seconds at most. A reader that stalls loses them.
    pub fn finish(self) {
        let Self { counts, writer } = self;
        counts.finishing.store(true, Ordering::Release);
        // The guard waits for the writer by itself, and prints its failure to do so.
        run_at_most(FINISH_TIMEOUT, move || drop(writer));
    }
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let thread = thread.name().unwrap_or("(unnamed)");
    let backtrace = Backtrace::capture();
    if backtrace.status() == BacktraceStatus::Captured {
        tracing::error!(target: "tidegate::panic", thread, "{panic}\n{backtrace}");
    } else {
        tracing::error!(target: "tidegate::panic", thread, "{panic}");
    }
}

/// Takes lines for the writer.
#[derive(Debug)]
struct Queue {
    lines: NonBlocking,
    counts: Arc<Counts>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

/// One line: the subscriber writes each as a whole.
struct Line<'a>(&'a Queue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let Queue { lines, counts } = self.0;
        if counts.admit(line.len()) && lines.clone().write_all(line).is_err() {
            // The writer is gone: the process ends.
            counts.leave(line.len());
            counts.lose();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Standard error as the writer's thread uses it. No call ever fails.
struct Output {
    fd: BorrowedFd<'static>,
    format: LogFormat,
    counts: Arc<Counts>,
    /// Lost lines that the log has told of.
    reported: u64,
    /// The log ends with a part of a line that could not be written whole.
    cut: bool,
}

impl Output {
    /// Writes bytes as far as they are taken.
    fn put(&self, mut bytes: &[u8]) -> Result<(), usize> {
        let all = bytes.len();
        while !bytes.is_empty() {
            let left = bytes.len();
            self.wait_for_room().map_err(|_| all - left)?;
            let (chunk, _) = bytes.split_at(left.min(WRITE_BYTES_MAX));
            match rustix::io::write(self.fd, chunk) {
                Ok(0) => return Err(all - left),
                Ok(taken) => bytes = bytes.get(taken..).unwrap_or_default(),
                // Another process made the descriptor non-blocking, or a signal came.
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return Err(all - left),
            }
        }
        Ok(())
    }

    /// Waits until the reader takes bytes. Once the process ends, the reader has one more moment.
    fn wait_for_room(&self) -> Result<(), Errno> {
        let span = Timespec::try_from(STALL_CHECK_INTERVAL).map_err(|_| Errno::INVAL)?;
        loop {
            let was_finishing = self.counts.finishing.load(Ordering::Acquire);
            let mut polled = [PollFd::from_borrowed_fd(self.fd, PollFlags::OUT)];
            match poll(&mut polled, Some(&span)) {
                Ok(0) if was_finishing => return Err(Errno::TIMEDOUT),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn write_line(&mut self, line: &[u8]) {
        let result = match self.cut {
            true => self.put(b"\n").and_then(|()| self.put(line)),
            false => self.put(line),
        };
        match result {
            Ok(()) => {
                self.cut = false;
                self.report_losses();
            }
            Err(taken) => {
                self.cut |= taken > 0;
                self.counts.lose();
            }
        }
    }

    /// Tells of lost lines as soon as lines can be written again. Past the queue: that may be full still.
    fn report_losses(&mut self) {
        let lost = self.counts.lost.load(Ordering::Relaxed);
        let lines = lost - self.reported;
        if lines == 0 {
            return;
        }
        let message =
            "log lines were lost: the log could not be written, or its reader was too slow";
        let line = self.format.line(Level::WARN, "tidegate::log", message, Some(("lines", lines)));
        match self.put(line.as_bytes()) {
            Ok(()) => self.reported = lost,
            Err(taken) => self.cut = taken > 0,
        }
    }
}

impl Write for Output {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.counts.leave(line.len());
        self.write_line(line);
        Ok(line.len())
    }

    /// Called when no line waits, and before the end.
    fn flush(&mut self) -> io::Result<()> {
        self.report_losses();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_line_past_the_queue_looks_like_the_others() {
        let line = |format: LogFormat| {
            format.line(Level::WARN, "tidegate::log", "lost \"some\"", Some(("lines", 3)))
        };
        let text = line(LogFormat::Text);
        let (time, rest) = text.split_once(' ').unwrap();
        assert!(humantime::parse_rfc3339(time).is_ok(), "{text}");
        assert_eq!(rest, " WARN tidegate::log: lost \"some\" lines=3\n");
        let json: Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert!(humantime::parse_rfc3339(json["timestamp"].as_str().unwrap()).is_ok(), "{json}");
        assert_eq!(json["level"], "WARN");
        assert_eq!(json["target"], "tidegate::log");
        assert_eq!(json["message"], "lost \"some\"");
        assert_eq!(json["lines"], 3);
    }
}
