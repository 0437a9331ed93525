//! Log lines and output of one invocation, truncated with a note of how much is missing.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// How much a guest may write in one go: the figure of wasmtime's own streams.
const WRITE_PERMIT: usize = 64 * 1024;

/// The longest reason of a failure that is kept, in bytes.
const LONGEST_REASON: usize = 4 * 1024;

/// How the line after a panic's message begins.
const BACKTRACE_NOTE: &str = "note: run with `RUST_BACKTRACE=1`";
/// Bytes of the latest output that are kept to find a panic, which is printed last.
const PRINTED_LAST: usize = 16 * 1024;

/// What a guest logged and printed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogLines {
    /// The text, a line feed after each line. What could end a line or turn its direction is escaped,
    /// so that no line can pass for another one.
    pub text: String,
    /// Bytes that found no room.
    pub truncated_bytes: usize,
}

impl LogLines {
    /// Removes the advice to set `RUST_BACKTRACE`, which a guest cannot follow.
    pub(super) fn leave_out_backtrace_note(&mut self) {
        if let Some(at) = self.text.rfind(BACKTRACE_NOTE) {
            let end = self.text.get(at..).and_then(|rest| rest.find('\n'));
            let end = end.map_or(self.text.len(), |length| at + length + 1);
            self.text.replace_range(at..end, "");
        }
    }
}

/// Collects lines. Clones are the same collection: the guest's streams have one each.
#[derive(Clone, Debug)]
pub(super) struct LogSink(Arc<Mutex<Collected>>);

#[derive(Debug)]
struct Collected {
    limit: usize,
    lines: LogLines,
    /// The latest output, unescaped, also when the lines have no room for it.
    printed_last: String,
}

impl LogSink {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Mutex::new(Collected {
            limit,
            lines: LogLines::default(),
            printed_last: String::new(),
        })))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Collected) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn line(&self, level: &str, message: &str) {
        self.with(|collected| {
            collected.add(level);
            collected.add(" ");
            collected.add(message.trim_end_matches('\n'));
            collected.end_line();
        });
    }

    fn output(&self, bytes: &[u8]) {
        self.with(|collected| {
            let text = String::from_utf8_lossy(bytes);
            collected.keep_last(&text);
            for line in text.split_inclusive('\n') {
                let (line, ended) = match line.strip_suffix('\n') {
                    Some(line) => (line, true),
                    None => (line, false),
                };
                collected.add(line);
                if ended {
                    collected.end_line();
                }
            }
        });
    }

    /// Takes what was collected; the next run starts with nothing.
    pub(super) fn take(&self) -> LogLines {
        self.with(|collected| {
            collected.printed_last = String::new();
            std::mem::take(&mut collected.lines)
        })
    }

    /// Returns the panic that was printed last, in one line: `panicked at src/lib.rs:7:5: on purpose`.
    pub(super) fn panic(&self) -> Option<String> {
        self.with(|collected| panic(&collected.printed_last))
    }
}

impl Collected {
    fn add(&mut self, text: &str) {
        let room = self.limit.saturating_sub(self.lines.text.len());
        let fits = text.floor_char_boundary(room);
        let (kept, lost) = text.split_at(fits);
        escape(kept, &mut self.lines.text);
        self.lines.truncated_bytes += lost.len();
    }

    fn keep_last(&mut self, text: &str) {
        let last = &mut self.printed_last;
        // A panic begins with an empty line, unless something stood before it on its line.
        if last.is_empty() {
            last.push('\n');
        }
        last.push_str(text);
        if last.len() > 2 * PRINTED_LAST {
            let cut = last.ceil_char_boundary(last.len() - PRINTED_LAST);
            last.replace_range(..cut, "");
        }
    }

    fn end_line(&mut self) {
        if self.lines.text.len() < self.limit {
            self.lines.text.push('\n');
        }
    }
}

/// What could end a line, or change how it is shown: control characters, Unicode's ends of lines and
/// paragraphs, and its marks that turn the direction of what follows.
fn is_deceptive(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || matches!(c, '\u{2028}' | '\u{2029}') || c.is_control() && c != '\t'
}

/// Escapes what could make a line pass for something else.
pub(crate) fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        if is_deceptive(c) {
            into.extend(c.escape_default());
        } else {
            into.push(c);
        }
    }
}

fn panic(printed: &str) -> Option<String> {
    let (_, panic) = printed.rsplit_once("\nthread '")?;
    let (_, panic) = panic.split_once("panicked at ")?;
    let panic = panic.split(BACKTRACE_NOTE).next()?;
    let (place, message) = panic.split_once('\n').unwrap_or((panic, ""));
    Some(one_line(format!("panicked at {place} {}", message.trim()).trim()))
}

/// A guest's text as part of a line, cut to what somebody reads.
pub(super) fn one_line(text: &str) -> String {
    let kept = text.get(..text.floor_char_boundary(LONGEST_REASON)).unwrap_or_default();
    let mut line = String::with_capacity(kept.len());
    escape(kept, &mut line);
    if kept.len() < text.len() {
        line.push_str(" ...");
    }
    line
}

impl IsTerminal for LogSink {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogSink {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LogSink {
    async fn ready(&mut self) {}
}

impl OutputStream for LogSink {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_PERMIT)
    }
}

impl AsyncWrite for LogSink {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.output(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_cut_and_counted() {
        let sink = LogSink::new(10);
        sink.line("info", "123456");
        sink.line("info", "more");
        let lines = sink.take();
        assert_eq!(lines.text, "info 12345");
        assert_eq!(lines.truncated_bytes, 1 + "info more".len());
        assert_eq!(sink.take(), LogLines::default());
    }

    #[test]
    fn a_line_cannot_forge_another_one() {
        let sink = LogSink::new(1_000);
        sink.line("info", "a\nerror b\u{1b}[31m");
        assert_eq!(sink.take().text, "info a\\nerror b\\u{1b}[31m\n");
        sink.line("info", "a\u{2028}b\u{202e}c\td");
        assert_eq!(sink.take().text, "info a\\u{2028}b\\u{202e}c\td\n");
        sink.output(b"one\ntw");
        sink.output(b"o\n");
        assert_eq!(sink.take().text, "one\ntwo\n");
    }

    #[test]
    fn the_reason_of_a_failure_is_one_line_of_4_kib() {
        assert_eq!(one_line("a\nb"), "a\\nb");
        assert_eq!(one_line(&"é".repeat(1_000_000)).len(), 4 * 1024 + " ...".len());
    }

    #[test]
    fn a_panic_is_one_line_whatever_was_printed_before_and_without_the_note() {
        let note = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace";
        let sink = LogSink::new(200);
        sink.output(b"thread 'a' panicked at nothing\n");
        sink.output(&vec![b'x'; 100_000]);
        // As the standard library writes it: piece by piece.
        for piece in ["\nthread '", "<unnamed>", "' panicked at ", "src/lib.rs:29:5", ":\non\n"] {
            sink.output(piece.as_bytes());
        }
        sink.output(format!("purpose\n{note}\n").as_bytes());
        let panic = sink.panic();
        assert_eq!(panic.as_deref(), Some("panicked at src/lib.rs:29:5: on\\npurpose"));
        sink.take();
        assert_eq!(sink.panic(), None, "of the run before");
        sink.output(format!("thread 'main' panicked at a.rs:1:2:\n\n{note}\nmore\n").as_bytes());
        assert_eq!(sink.panic().as_deref(), Some("panicked at a.rs:1:2:"));
        let mut lines = sink.take();
        lines.leave_out_backtrace_note();
        assert_eq!(lines.text, "thread 'main' panicked at a.rs:1:2:\n\nmore\n");
        sink.output(b"panicked at nothing");
        assert_eq!(sink.panic(), None);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        let sink = LogSink::new(6);
        sink.output("aé€".as_bytes());
        sink.output("é".as_bytes());
        assert_eq!(sink.take().text, "aé€");
    }
}
