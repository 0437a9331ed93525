//! Which channels a worker reads.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use globset::{Glob, GlobSet, GlobSetBuilder};
use tokio::sync::watch;

use super::Shared;
use crate::{
    layer::{Owners, PatternError},
    message::ModuleName,
    routing::EventChannels,
};

/// Patterns of channels that a worker reads, and of those that it leaves to others.
#[derive(Clone, Debug, Default)]
pub struct ChannelFilter {
    /// If there are some, only channels that match one are read.
    only: Option<GlobSet>,
    exclude: GlobSet,
}

impl ChannelFilter {
    /// Parses patterns such as `thumbnails.*`. Without `only` every channel is read that is not excluded.
    pub fn new(only: &[String], exclude: &[String]) -> Result<Self, PatternError> {
        let only = if only.is_empty() { None } else { Some(set(only)?) };
        Ok(Self { only, exclude: set(exclude)? })
    }

    fn reads(&self, channel: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.is_match(channel))
            && !self.exclude.is_match(channel)
    }
}

fn set(patterns: &[String]) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = Glob::new(pattern).map_err(|error| PatternError::new(pattern, &error))?;
        set.add(glob);
    }
    set.build().map_err(|error| PatternError::new(&patterns.join(" "), &error))
}

/// Tells the dispatch which channels to read as modules come and go.
pub(super) async fn follow(shared: Arc<Shared>, mut changes: watch::Receiver<u64>) {
    while changes.changed().await.is_ok() {
        read(&shared);
    }
}

/// Tells the dispatch which channels to read now.
pub(super) fn read(shared: &Shared) {
    let modules = shared.registry.snapshot();
    let owners = shared.channels.of(&modules.owners, &shared.registry.withheld());
    shared.dispatch.read(owners, Arc::clone(&modules.lasting));
    shared.layer.offer();
}

/// Modules whose messages are left to other workers.
type Withheld = HashSet<ModuleName>;

/// Adds the channels of events without a route and applies a filter, once for each map of channels:
/// layers know a map by its address.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    filter: ChannelFilter,
    last: Mutex<Option<Last>>,
}

/// The latest map, and its sources.
#[derive(Debug)]
struct Last {
    owners: Arc<Owners>,
    withheld: Arc<Withheld>,
    filtered: Arc<Owners>,
}

impl Filtered {
    pub(super) fn new(filter: ChannelFilter) -> Self {
        Self { filter, last: Mutex::default() }
    }

    /// Returns the channels to read, without those of modules that are left to other workers.
    pub(super) fn of(&self, owners: &Arc<Owners>, withheld: &Arc<Withheld>) -> Arc<Owners> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = &*last
            && Arc::ptr_eq(&last.owners, owners)
            && Arc::ptr_eq(&last.withheld, withheld)
        {
            return Arc::clone(&last.filtered);
        }
        let mut filtered = Owners::clone(owners);
        if !owners.is_empty() {
            // A worker without modules would find routes for none.
            for channel in EventChannels::unrouted().all() {
                filtered.insert(channel.clone(), ModuleName::unrouted());
            }
        }
        filtered.retain(|channel, module| {
            !withheld.contains(module) && self.filter.reads(channel.as_str())
        });
        let filtered = Arc::new(filtered);
        let (owners, withheld) = (Arc::clone(owners), Arc::clone(withheld));
        *last = Some(Last { owners, withheld, filtered: Arc::clone(&filtered) });
        filtered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ChannelName;

    #[test]
    fn a_worker_reads_what_matches_and_is_not_excluded() {
        let channel = |name: &str| ChannelName::parse(name).unwrap();
        let module = ModuleName::parse("m").unwrap();
        let names = ["http.request.m", "thumbnails.make", "thumbnails.slow"];
        let owners: Arc<Owners> =
            Arc::new(names.iter().map(|name| (channel(name), module.clone())).collect());
        let read = |only: &[&str], exclude: &[&str]| {
            let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
            let (only, exclude): (Vec<String>, Vec<String>) = (words(only), words(exclude));
            let filtered = Filtered::new(ChannelFilter::new(&only, &exclude).unwrap());
            let none = Arc::default();
            let map = filtered.of(&owners, &none);
            assert!(Arc::ptr_eq(&map, &filtered.of(&owners, &none)), "the same map");
            let mut read: Vec<_> = map.keys().map(ToString::to_string).collect();
            read.sort();
            read
        };
        let unrouted = [
            "http.disconnect",
            "http.request",
            "websocket.connect",
            "websocket.disconnect",
            "websocket.receive",
        ];
        let mut all = [&names[..], &unrouted].concat();
        all.sort_unstable();
        assert_eq!(read(&[], &[]), all);
        assert_eq!(read(&["thumbnails.*"], &["*.slow"]), ["thumbnails.make"]);
        assert_eq!(read(&[], &["http.*", "websocket.*"]), ["thumbnails.make", "thumbnails.slow"]);
        assert_eq!(read(&["http.request"], &[]), ["http.request"]);
        let filtered = Filtered::default();
        let left = filtered.of(&owners, &Arc::new(HashSet::from([module.clone()])));
        assert!(left.values().all(|of| of.is_unrouted()), "its messages are left to others");
        assert_eq!(filtered.of(&owners, &Arc::default()).len(), all.len(), "and taken again");
        let none = filtered.of(&Arc::default(), &Arc::default());
        assert!(none.is_empty(), "who has no modules routes nothing");
        assert!(ChannelFilter::new(&["a[".to_owned()], &[]).is_err());
    }
}
