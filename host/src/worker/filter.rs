//! Which channels a worker reads.

use std::sync::{Arc, Mutex, PoisonError};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::{
    layer::{Owners, PatternError},
    message::ModuleName,
    routing::EventChannels,
};

/// Patterns of channels that a worker reads, and of those that it leaves to others.
#[derive(Clone, Debug, Default)]
pub struct ChannelFilter {
    /// If there are some, only what matches one is read.
    only: Option<GlobSet>,
    exclude: GlobSet,
}

impl ChannelFilter {
    /// Reads patterns such as `thumbnails.*`. Without `only` everything is read that is not excluded.
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

/// Adds the channels of events without a route and applies a filter, once for each map of channels:
/// layers know a map by its address.
#[derive(Debug, Default)]
pub(super) struct Filtered {
    filter: ChannelFilter,
    last: Mutex<Option<(Arc<Owners>, Arc<Owners>)>>,
}

impl Filtered {
    pub(super) fn new(filter: ChannelFilter) -> Self {
        Self { filter, last: Mutex::default() }
    }

    pub(super) fn of(&self, owners: &Arc<Owners>) -> Arc<Owners> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((from, filtered)) = &*last
            && Arc::ptr_eq(from, owners)
        {
            return Arc::clone(filtered);
        }
        let mut filtered = Owners::clone(owners);
        if !owners.is_empty() {
            // A worker without modules would find routes for none.
            for channel in EventChannels::unrouted().all() {
                filtered.insert(channel.clone(), ModuleName::unrouted());
            }
        }
        filtered.retain(|channel, _| self.filter.reads(channel.as_str()));
        let filtered = Arc::new(filtered);
        *last = Some((Arc::clone(owners), Arc::clone(&filtered)));
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
            let mut read: Vec<_> = filtered.of(&owners).keys().map(ToString::to_string).collect();
            read.sort();
            assert!(Arc::ptr_eq(&filtered.of(&owners), &filtered.of(&owners)), "the same map");
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
        let none = Filtered::default().of(&Arc::default());
        assert!(none.is_empty(), "who has no modules routes nothing");
        assert!(ChannelFilter::new(&["a[".to_owned()], &[]).is_err());
    }
}
