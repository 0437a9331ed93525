//! `tidegate drain`

use std::io::Write as _;

use anyhow::Result;

use super::host::Host;

/// Asks a process that serves to stop.
pub(super) fn run(host: Host) -> Result<()> {
    host.ask(async |client| {
        client.drain().await?;
        let address = client.address();
        writeln!(
            std::io::stdout(),
            "the process at {address} is stopping; that takes up to drain.delay and drain.grace"
        )?;
        Ok(())
    })
}
