//! Ticks as events. All of a tick follows from its second, so it can be sent again at any time.

use tidegate_sdk::sse::Event;

/// How many ticks are sent again at most.
const MOST: u64 = 60;

/// The tick of a second since 1970. Its id is the second.
fn event(second: u64) -> Event {
    let (hour, minute) = (second / 3600 % 24, second / 60 % 60);
    Event::data(format!("{hour:02}:{minute:02}:{:02} UTC", second % 60)).id(second.to_string())
}

/// What a client lacks that saw the tick `last`, or none: the ticks since, or the one of now. If they
/// are too many, an event `missed` says how many are left out.
pub(crate) fn missed(last: Option<u64>, now: u64) -> Vec<Event> {
    // An id from the future is none of ours.
    let first = last.filter(|&last| last <= now).map_or(now, |last| last + 1);
    let left_out = (now + 1 - first).saturating_sub(MOST);
    let note = (left_out > 0).then(|| Event::data(left_out.to_string()).name("missed"));
    note.into_iter().chain((first + left_out..=now).map(event)).collect()
}

#[cfg(test)]
mod tests {
    use super::{Event, event, missed};

    #[test]
    fn a_tick_follows_from_its_second() {
        assert_eq!(event(0), Event::data("00:00:00 UTC").id("0"));
        assert_eq!(event(1_764_083_471), Event::data("15:11:11 UTC").id("1764083471"));
    }

    #[test]
    fn a_client_gets_what_it_missed_or_is_told_how_much() {
        let ticks = |seconds: std::ops::RangeInclusive<u64>| seconds.map(event).collect::<Vec<_>>();
        assert_eq!(missed(None, 100), ticks(100..=100));
        assert_eq!(missed(Some(100), 100), []);
        assert_eq!(missed(Some(99), 100), ticks(100..=100));
        assert_eq!(missed(Some(97), 100), ticks(98..=100));
        assert_eq!(missed(Some(40), 100), ticks(41..=100));
        assert_eq!(missed(Some(101), 100), ticks(100..=100));
        let with_note = missed(Some(37), 100);
        assert_eq!(with_note[0], Event::data("3").name("missed"));
        assert_eq!(with_note[1..], ticks(41..=100));
        assert_eq!(missed(Some(u64::MAX), 100), ticks(100..=100));
        assert_eq!(missed(Some(0), 1_764_083_471).len(), 61);
    }
}
