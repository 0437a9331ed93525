//! A program with all that it starts, which end when nobody waits for them any more.

use std::{io, process::ExitStatus};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, ChildStdout, Command};

/// A program that runs. Dropping it ends the program and what it has started.
#[derive(Debug)]
pub(super) struct ProcessGroup(Child);

impl ProcessGroup {
    /// Starts a program.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        Ok(Self(command.process_group(0).spawn()?))
    }

    /// Takes what the program prints, if it is piped.
    pub(super) fn take_output(&mut self) -> Option<ChildStdout> {
        self.0.stdout.take()
    }

    /// Waits for the end.
    pub(super) async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(pid) = pid {
            // It may have ended just now.
            let _gone_already = kill_process_group(pid, Signal::TERM);
        }
    }
}
