//! Signals that end a command.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

/// A command was stopped before it was done.
#[derive(Debug, thiserror::Error)]
#[error("stopped before it was done")]
pub(super) struct Interrupted;

/// Resolves at SIGINT or SIGTERM.
pub(super) async fn stop_signal() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
