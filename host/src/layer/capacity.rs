//! How many messages a channel holds, by the pattern that its name matches.

use globset::{Glob, GlobMatcher};

use crate::message::ChannelName;

/// Exceptions that hold unless the settings have others: frames come in bursts, and requests to servers outside
/// wait for nobody's slot.
pub const BUILT_IN: [(&str, usize); 2] = [("websocket.receive.*", 1_000), ("http.fetch.*", 1_000)];

/// A pattern that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pattern:?} is not a valid pattern of channel names: {reason}")]
pub struct PatternError {
    pattern: String,
    reason: String,
}

/// A default and exceptions by pattern; the first pattern that matches decides.
#[derive(Clone, Debug)]
pub struct Capacities {
    default: usize,
    patterns: Vec<(GlobMatcher, usize)>,
}

impl Capacities {
    /// Capacities with a default and exceptions such as `("websocket.receive.*", 1000)`.
    pub fn new<'a>(
        default: usize,
        patterns: impl IntoIterator<Item = (&'a str, usize)>,
    ) -> Result<Self, PatternError> {
        let patterns = patterns
            .into_iter()
            .map(|(pattern, capacity)| match Glob::new(pattern) {
                Ok(glob) => Ok((glob.compile_matcher(), capacity)),
                Err(error) => Err(PatternError::new(pattern, &error)),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { default, patterns })
    }

    /// How many messages a channel holds.
    pub fn of(&self, channel: &ChannelName) -> usize {
        let fits = |(pattern, _): &&(GlobMatcher, usize)| pattern.is_match(channel.as_str());
        self.patterns.iter().find(fits).map_or(self.default, |(_, capacity)| *capacity)
    }
}

impl PatternError {
    pub(crate) fn new(pattern: &str, error: &globset::Error) -> Self {
        Self { pattern: pattern.to_owned(), reason: error.kind().to_string() }
    }
}

impl Default for Capacities {
    fn default() -> Self {
        Self::new(100, BUILT_IN).expect("the built-in patterns are valid")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_decides() {
        let capacities = Capacities::new(5, [("a.b.*", 1), ("a.*", 2)]).unwrap();
        let of = |name: &str| capacities.of(&ChannelName::parse(name).unwrap());
        assert_eq!((of("a.b.c"), of("a.c"), of("b")), (1, 2, 5));
    }

    #[test]
    fn a_channel_holds_100_messages_and_one_of_frames_1000() {
        let of = |name: &str| Capacities::default().of(&ChannelName::parse(name).unwrap());
        assert_eq!((of("jobs.make"), of("http.request.chat")), (100, 100));
        assert_eq!(of("websocket.receive.chat"), 1_000);
    }

    #[test]
    fn a_pattern_that_cannot_be_read_is_named() {
        let error = Capacities::new(5, [("a[", 1)]).unwrap_err();
        assert!(error.to_string().starts_with("\"a[\" is not a valid pattern"), "{error}");
    }
}
