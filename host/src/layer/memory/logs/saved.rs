//! Histories in a file, between the orderly end of a process and the start of its successor.
//!
//! The file is there only while no process serves: a successor removes it before it hands anything out. So a position
//! that a client has of the process before counts with the successor, and a process that was killed leaves no file
//! that would prove what was not kept.

use std::{
    fmt,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};
use tokio::time::Instant;

use super::{Log, Logs, OfModule, cost};
use crate::{
    message::{Content, Epoch, GroupName, ModuleName},
    whole_file,
};

/// Begins the file. Another one is of another form.
const MAGIC: &[u8] = b"tidegate history 1\n";
/// Bytes of the checksum at its end.
const CHECKSUM_BYTES: usize = 4;

/// A module with its groups, the one that was sent to longest ago first.
#[derive(Debug, Serialize, Deserialize)]
struct SavedModule {
    name: String,
    groups: Vec<SavedGroup>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedGroup {
    name: String,
    epoch: String,
    last: u64,
    /// The moments of sending in milliseconds since 1970, and the messages.
    messages: Vec<(u64, SavedContent)>,
}

/// Bytes, which serde would have as a list of numbers.
#[derive(Debug)]
struct SavedContent(Content);

impl Serialize for SavedContent {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0.as_bytes())
    }
}

impl<'de> Deserialize<'de> for SavedContent {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OfBytes;

        impl Visitor<'_> for OfBytes {
            type Value = SavedContent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a message")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<SavedContent, E> {
                let content = Content::parse(Bytes::copy_from_slice(bytes));
                content.map(SavedContent).map_err(E::custom)
            }
        }

        from.deserialize_bytes(OfBytes)
    }
}

/// Sums what is written.
struct Summed<W> {
    to: W,
    sum: crc32fast::Hasher,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.sum.update(bytes.get(..written).unwrap_or(bytes));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A moment of the clock of this process and the same one as others tell it.
#[derive(Clone, Copy)]
struct Now {
    instant: Instant,
    since_1970: Duration,
}

impl Now {
    fn new() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { instant: Instant::now(), since_1970 }
    }

    fn millis(self, moment: Instant) -> u64 {
        let age = self.instant.saturating_duration_since(moment);
        u64::try_from(self.since_1970.saturating_sub(age).as_millis()).unwrap_or(u64::MAX)
    }

    /// The moment of this clock; none if it is from before there was one. One that is ahead is now.
    fn instant(self, millis: u64) -> Option<Instant> {
        let age = self.since_1970.saturating_sub(Duration::from_millis(millis));
        self.instant.checked_sub(age)
    }
}

impl Logs {
    /// Writes all histories to a file for the next process: whole or not at all. Returns how many groups that are.
    pub(in crate::layer::memory) fn save(&self, path: &Path) -> io::Result<usize> {
        let now = Now::new();
        let modules: Vec<_> = self.modules.iter().map(|(name, of)| of.saved(name, now)).collect();
        let groups = modules.iter().map(|module| module.groups.len()).sum();
        if groups == 0 {
            return Ok(0);
        }
        whole_file::replace(path, |file| write(file, &modules)).map(|()| groups)
    }

    /// Takes up the histories that the process before has left. Returns how many groups that are. With an error there are
    /// none.
    pub(in crate::layer::memory) fn restore(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (now, mut count, mut modules) = (Now::new(), 0, Vec::new());
        for SavedModule { name, groups } in read(bytes)? {
            let name = ModuleName::parse(&name).map_err(invalid)?;
            let mut module = OfModule::default();
            for group in groups {
                module.restore(group, now)?;
                count += 1;
            }
            modules.push((name, module));
        }
        self.modules.extend(modules);
        Ok(count)
    }
}

impl OfModule {
    fn saved(&self, name: &ModuleName, now: Now) -> SavedModule {
        let in_order = self.silent.iter().chain(self.sent.values());
        let saved = |group: &GroupName| Some(self.logs.get(group)?.saved(group, now));
        SavedModule { name: name.to_string(), groups: in_order.filter_map(saved).collect() }
    }

    fn restore(&mut self, saved: SavedGroup, now: Now) -> io::Result<()> {
        let group = GroupName::parse(&saved.name).map_err(invalid)?;
        let log = Log::restored(saved, now)?;
        self.bytes += log.bytes;
        if log.messages.is_empty() {
            self.silent.insert(group.clone());
            self.logs.insert(group, log);
        } else {
            self.turn += 1;
            self.sent.insert(self.turn, group.clone());
            self.logs.insert(group, Log { turn: Some(self.turn), ..log });
        }
        Ok(())
    }
}

impl Log {
    fn saved(&self, group: &GroupName, now: Now) -> SavedGroup {
        let messages = self.messages.iter();
        let saved = |(moment, content): &(Instant, Content)| {
            (now.millis(*moment), SavedContent(content.clone()))
        };
        SavedGroup {
            name: group.to_string(),
            epoch: self.epoch.to_string(),
            last: self.last,
            messages: messages.map(saved).collect(),
        }
    }

    fn restored(saved: SavedGroup, now: Now) -> io::Result<Self> {
        let SavedGroup { name: _, epoch, last, messages } = saved;
        let epoch: Epoch = epoch.parse().map_err(invalid)?;
        if messages.len() as u64 > last {
            return Err(invalid("a group has more messages than it was sent"));
        }
        let mut log = Self { epoch, last, ..Self::new() };
        // Without a hole to the last one.
        for (millis, SavedContent(content)) in messages.into_iter().rev() {
            let Some(moment) = now.instant(millis) else { break };
            log.bytes += cost(&content);
            log.messages.push_front((moment, content));
        }
        Ok(log)
    }
}

fn write(file: &mut File, modules: &[SavedModule]) -> io::Result<()> {
    let mut to = Summed { to: BufWriter::new(file), sum: crc32fast::Hasher::new() };
    to.write_all(MAGIC)?;
    rmp_serde::encode::write(&mut to, modules).map_err(io::Error::other)?;
    let Summed { mut to, sum } = to;
    to.write_all(&sum.finalize().to_be_bytes())?;
    to.flush()
}

fn read(bytes: &[u8]) -> io::Result<Vec<SavedModule>> {
    let (body, sum) = bytes
        .len()
        .checked_sub(CHECKSUM_BYTES)
        .map(|at| bytes.split_at(at))
        .ok_or_else(|| invalid("it is too short"))?;
    if crc32fast::hash(body).to_be_bytes() != sum {
        return Err(invalid("its checksum is another one"));
    }
    let body = body.strip_prefix(MAGIC).ok_or_else(|| invalid("it is of another form"))?;
    rmp_serde::from_slice(body).map_err(invalid)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::{
        layer::histories::Kept,
        message::{After, HistoryBounds, HistoryRule, Page, Position, Start},
    };

    use super::*;

    fn kept() -> Kept {
        let rule = HistoryRule { messages: 10, age: Duration::from_secs(60), bytes: 10_000 };
        let bounds = HistoryBounds { groups: 3, bytes: 100_000 };
        Kept { module: ModuleName::parse("m").unwrap(), rule, bounds }
    }

    fn group(name: &str) -> GroupName {
        GroupName::parse(name).unwrap()
    }

    fn content(number: u8) -> Content {
        Content::parse(Bytes::from(vec![0x81, 0xa1, b'n', number])).unwrap()
    }

    fn after(logs: &mut Logs, name: &str, position: Position, now: Instant) -> Page {
        let start = Start { after: After::Position(position), latest: 0 };
        logs.page(&group(name), &start, 100, (&kept(), now))
    }

    #[tokio::test(start_paused = true)]
    async fn a_position_of_the_process_before_counts_with_the_one_after_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let (mut logs, now) = (Logs::default(), Instant::now());
        let first = logs.append(&group("m.a"), &content(1), &kept(), now);
        logs.append(&group("m.b"), &content(2), &kept(), now);
        let second = logs.append(&group("m.a"), &content(3), &kept(), now);
        assert_eq!(logs.save(&path).unwrap(), 2);
        assert_eq!(logs.save(&path).unwrap(), 2, "again");

        let mut logs = Logs::default();
        assert_eq!(logs.restore(&fs::read(&path).unwrap()).unwrap(), 2);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        let page = after(&mut logs, "m.a", first, now);
        assert!(page.is_complete && page.last == 2, "{page:?}");
        assert_eq!(page.messages.iter().map(|it| &it.content).collect::<Vec<_>>(), [&content(3)]);
        let third = logs.append(&group("m.a"), &content(4), &kept(), now);
        assert_eq!(third, Position { offset: 3, ..second });
        // The quietest one goes first, as before.
        for name in ["m.c", "m.d"] {
            logs.append(&group(name), &content(0), &kept(), now);
        }
        let module = &logs.modules[&kept().module];
        assert!(!module.logs.contains_key(&group("m.b")));
        assert!(module.logs.contains_key(&group("m.a")));
        assert_eq!(module.bytes, module.logs.values().map(|log| log.bytes).sum::<usize>());
    }

    #[tokio::test(start_paused = true)]
    async fn messages_have_their_age_and_groups_without_messages_their_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let (mut logs, now) = (Logs::default(), Instant::now());
        let old = now.checked_sub(Duration::from_secs(50)).unwrap();
        let first = logs.append(&group("m.a"), &content(1), &kept(), old);
        let last = logs.append(&group("m.b"), &content(2), &kept(), old);
        // All messages of it are gone.
        let page = after(&mut logs, "m.b", last, now + Duration::from_secs(60));
        assert!(page.is_complete && page.messages.is_empty(), "{page:?}");
        logs.save(&path).unwrap();
        let mut logs = Logs::default();
        logs.restore(&fs::read(&path).unwrap()).unwrap();
        let before = Position { offset: 0, ..first };
        let soon = now + Duration::from_secs(9);
        assert_eq!(after(&mut logs, "m.a", before, soon).messages.len(), 1);
        let later = now + Duration::from_secs(11);
        let page = after(&mut logs, "m.a", before, later);
        assert!(page.messages.is_empty() && !page.is_complete, "{page:?}");
        assert!(after(&mut logs, "m.a", first, later).is_complete);
        assert!(after(&mut logs, "m.b", last, later).is_complete);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_of_a_file_that_is_not_whole_is_believed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        let (mut logs, now) = (Logs::default(), Instant::now());
        logs.append(&group("m.a"), &content(1), &kept(), now);
        logs.save(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[length] ^= 1;
            for bytes in [whole.get(..length).unwrap(), &flipped] {
                let mut logs = Logs::default();
                let error = logs.restore(bytes).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
                assert!(logs.modules.is_empty());
            }
        }
        // Sums that fit, and contents that do not.
        let number = |last: u64| {
            let messages = vec![(0, SavedContent(content(1)))];
            let (name, epoch) = ("m.a".to_owned(), Epoch::random().to_string());
            let groups = vec![SavedGroup { name, epoch, last, messages }];
            vec![SavedModule { name: "m".to_owned(), groups }]
        };
        for (modules, is_right) in [(number(1), true), (number(0), false)] {
            whole_file::replace(&path, |file| write(file, &modules)).unwrap();
            assert_eq!(Logs::default().restore(&fs::read(&path).unwrap()).is_ok(), is_right);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_histories_there_is_no_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("history");
        assert_eq!(Logs::default().save(&path).unwrap(), 0);
        assert!(!path.exists());
        let nowhere = directory.path().join("nowhere/history");
        let (mut logs, now) = (Logs::default(), Instant::now());
        logs.append(&group("m.a"), &content(1), &kept(), now);
        assert!(logs.save(&nowhere).is_err());
    }
}
