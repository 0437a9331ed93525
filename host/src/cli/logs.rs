//! `tidegate logs`: records of runs, and what consumers logged.

use std::{
    collections::{HashSet, VecDeque},
    io::Write as _,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use tokio::time::{Instant, sleep_until};

use super::{
    host::Host,
    output::{json, plain},
};
use crate::{
    admin::client::{AdminClient, AskError, Heard, Record},
    message::ModuleName,
};

/// Records that a host keeps at most, and ids of printed ones that are remembered.
const RECORDS_MAX: usize = 1_000;
/// The pause before a host is asked again, at first and at most.
const RECONNECT_PAUSE_FIRST: Duration = Duration::from_millis(250);
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(5);

/// The arguments of `logs`.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Only of this module
    #[arg(value_name = "NAME", value_parser = ModuleName::parse)]
    name: Option<ModuleName>,
    /// Follow new records, also after the host was away
    #[arg(long, short)]
    follow: bool,
    /// How many of the past; a host keeps the latest 1,000
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,
    #[command(flatten)]
    host: Host,
    /// Print each record as a line of JSON
    #[arg(long)]
    json: bool,
}

/// Prints records.
pub(super) fn run(arguments: Arguments) -> Result<()> {
    let Arguments { name, follow: goes_on, limit, host, json: as_json } = arguments;
    let printer = |record: &Record| if as_json { json(record) } else { print(record) };
    host.ask(async |client| {
        if goes_on {
            return Tail::new(client, name, printer).follow(limit).await;
        }
        for record in client.records(name.as_ref(), limit).await? {
            printer(&record)?;
        }
        Ok(())
    })
}

/// Follows the records of a host.
pub(super) struct Tail<P> {
    client: AdminClient,
    name: Option<ModuleName>,
    print: P,
    printed: Printed,
    /// The module may come later.
    may_come: bool,
}

impl<P: FnMut(&Record) -> Result<()>> Tail<P> {
    /// Prints with that function.
    pub(super) fn new(client: AdminClient, name: Option<ModuleName>, print: P) -> Self {
        Self { client, name, print, printed: Printed::default(), may_come: false }
    }

    /// The same, of a module that is not there yet.
    pub(super) fn of_new_module(client: AdminClient, name: ModuleName, print: P) -> Self {
        Self { may_come: true, ..Self::new(client, Some(name), print) }
    }

    /// Prints so many of the past, and then all that come, until it cannot print or the host refuses.
    /// A host that goes away is waited for, if it was there at first.
    pub(super) async fn follow(mut self, limit: usize) -> Result<()> {
        let (mut limit, mut pause, mut known) = (limit, RECONNECT_PAUSE_FIRST, false);
        loop {
            let mut was_there = false;
            let ended = match self.listen(limit, &mut was_there).await {
                Ok(()) => "the stream of records has ended".to_owned(),
                Err(error) if is_of_connection(&error) && (was_there || known) => error.to_string(),
                Err(error) => return Err(error),
            };
            if was_there {
                notice(&format!("{ended}; trying again"));
                // All records that were missed meanwhile are shown.
                (limit, pause, known) = (RECORDS_MAX, RECONNECT_PAUSE_FIRST, true);
            }
            sleep_until(Instant::now() + pause).await;
            pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
        }
    }

    /// Prints missed records, and then new ones until the stream ends.
    async fn listen(&mut self, limit: usize, was_there: &mut bool) -> Result<()> {
        // The stream first: records between it and the list are in both.
        let mut stream = self.client.record_stream(self.name.as_ref()).await?;
        let past = match self.client.records(self.name.as_ref(), RECORDS_MAX).await {
            Err(AskError::Refused { problem, .. })
                if self.may_come && problem.code == "no-such-module" =>
            {
                Vec::new()
            }
            past => past?,
        };
        *was_there = true;
        let shown = past.len().saturating_sub(limit);
        for (at, record) in past.iter().enumerate() {
            if self.printed.is_new(record) && at >= shown {
                (self.print)(record)?;
            }
        }
        while let Some(heard) = stream.next().await? {
            match heard {
                Heard::Record(record) if self.printed.is_new(&record) => (self.print)(&record)?,
                Heard::Record(_) => {}
                Heard::Missed(count) => {
                    notice(&format!("{count} records came faster than they were read"));
                }
            }
        }
        Ok(())
    }
}

fn is_of_connection(error: &anyhow::Error) -> bool {
    error.downcast_ref::<AskError>().is_some_and(AskError::is_of_connection)
}

/// The printed records, as far back as a host can list them.
#[derive(Default)]
struct Printed {
    known: HashSet<String>,
    order: VecDeque<String>,
}

impl Printed {
    /// Notes a record. Returns whether it is new.
    fn is_new(&mut self, record: &Record) -> bool {
        // A host that was started again counts from the beginning.
        let key = format!("{} {}", record.started_at, record.id);
        if !self.known.insert(key.clone()) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > 2 * RECORDS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

/// Prints a notice beside the records.
fn notice(text: &str) {
    // A terminal that is gone shows nothing.
    drop(writeln!(std::io::stderr(), "tidegate: {text}"));
}

/// Prints a record: a line, and one for each that the consumer logged.
pub(super) fn print(record: &Record) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}", line(record))?;
    for logged in &record.log {
        writeln!(out, "    {:6} {}", plain(&logged.level), plain(&logged.text))?;
    }
    if record.log_truncated {
        writeln!(out, "    (more than limits.log_bytes was logged)")?;
    }
    Ok(out.flush()?)
}

fn line(record: &Record) -> String {
    let Record { module, version, consumer, channel, outcome, started_at, .. } = record;
    let instead = record.in_place_of.map(|failed| format!(" (in place of {failed}, which failed)"));
    let instead = instead.unwrap_or_default();
    let milliseconds = record.wall_us as f64 / 1_000.0;
    let mut line = format!(
        "{started_at} {module}@{version} {consumer} {channel}: {outcome}{instead}, {milliseconds:.1} ms, \
         {} fuel",
        record.fuel
    );
    if outcome != "ok" {
        let detail = record.detail.as_deref().unwrap_or_default();
        line = format!("{line}, id {}: {detail}", record.correlation_id);
    }
    plain(&line)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(id: u64, started_at: &str) -> Record {
        serde_json::from_value(json!({
            "id": id.to_string(), "module": "tide", "version": 2, "consumer": "Echo",
            "channel": "websocket.receive.tide", "outcome": "trap", "detail": "a\nb",
            "started_at": started_at, "wall_us": 1_250, "fuel": 7, "correlation_id": "0a",
        }))
        .unwrap()
    }

    #[test]
    fn a_record_is_printed_once_and_one_of_another_process_is_another() {
        let mut printed = Printed::default();
        assert!(printed.is_new(&record(1, "now")));
        assert!(!printed.is_new(&record(1, "now")));
        assert!(printed.is_new(&record(1, "later")));
        for id in 0..10_000 {
            printed.is_new(&record(id, "then"));
        }
        assert_eq!((printed.known.len(), printed.order.len()), (2 * RECORDS_MAX, 2 * RECORDS_MAX));
    }

    #[test]
    fn a_fault_is_one_line_with_its_id() {
        assert_eq!(
            line(&record(1, "now")),
            "now tide@2 Echo websocket.receive.tide: trap, 1.2 ms, 7 fuel, id 0a: a\\nb"
        );
    }
}
