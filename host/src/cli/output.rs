//! Prints results for people and for programs.

use std::{
    future::Future,
    io::{IsTerminal as _, Write as _},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use crate::engine::escape;

/// How long an operation may take before its progress is shown, and the time between two updates.
const PROGRESS_DELAY: Duration = Duration::from_millis(300);
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// Characters of a digest that are shown.
const DIGEST_CHARACTERS: usize = 12;

/// Prints a value as a line of JSON.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(value)?)?;
    Ok(out.flush()?)
}

/// Prints a line.
pub(super) fn say(line: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{line}").context("standard output is closed")
}

/// Says how much of a list was not printed, if there is more.
pub(super) fn say_rest(total: u64, printed: usize) -> Result<()> {
    match total.saturating_sub(printed as u64) {
        0 => Ok(()),
        rest => say(&format!("{rest} more; give --limit")),
    }
}

/// Prints rows in columns as wide as they need to be.
pub(super) fn table(rows: &[Vec<String>]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// The beginning of a digest.
pub(super) fn short(digest: &str) -> &str {
    digest.get(..DIGEST_CHARACTERS).unwrap_or(digest)
}

/// Escapes foreign text within a line: characters that end a line or control a terminal.
pub(super) fn plain(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    escape(text, &mut line);
    line
}

/// Awaits an operation that may take long, and shows its progress on a terminal meanwhile.
pub(super) async fn waiting<T>(what: &str, work: impl Future<Output = T>) -> T {
    if !std::io::stderr().is_terminal() {
        return work.await;
    }
    let began = Instant::now();
    let mut again =
        tokio::time::interval_at(tokio::time::Instant::now() + PROGRESS_DELAY, PROGRESS_INTERVAL);
    tokio::pin!(work);
    let mut said = false;
    let done = loop {
        tokio::select! {
            done = work.as_mut() => break done,
            _ = again.tick() => {
                said = true;
                let seconds = began.elapsed().as_secs();
                // A terminal that is gone shows nothing.
                drop(write!(std::io::stderr(), "\r{what} … {seconds} s"));
            }
        }
    };
    if said {
        drop(write!(std::io::stderr(), "\r\x1b[K"));
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_of_a_consumer_ends_a_line_or_moves_the_cursor() {
        assert_eq!(plain("a\tb ü"), "a\tb ü");
        assert_eq!(plain("a\nerror: \x1b[2Jb\u{9b}"), "a\\nerror: \\u{1b}[2Jb\\u{9b}");
    }
}
