//! An item, and the rules for its bids.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::Stored;

/// A bid is followed by at least so many milliseconds for the next one.
const ANSWER_MILLIS: u64 = 30_000;

/// The keys of items begin with this.
pub(crate) const PREFIX: &str = "item:";

/// The key of an item.
pub(crate) fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The id in a key.
pub(crate) fn id(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A thing that is sold. Amounts are in cents.
#[derive(Serialize, Deserialize)]
pub(crate) struct Item {
    title: String,
    /// The first bid is at least this.
    start: u64,
    /// A further bid is at least so much higher than the one before.
    step: u64,
    /// When no bid is taken any more, in milliseconds since 1970.
    ends: u64,
    /// The highest bid.
    best: Option<Bid>,
    /// How many bids there are.
    pub(crate) bids: u64,
    /// Whether the end was told to those who watch.
    closed: bool,
}

impl Stored for Item {}

/// What somebody is ready to pay.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bid {
    name: String,
    amount: u64,
}

impl Stored for Bid {}

/// Why a bid is not taken.
#[derive(Clone, Copy)]
pub(crate) enum Refusal {
    Name,
    Over,
    TooLow { least: u64 },
}

impl Refusal {
    pub(crate) fn text(self) -> String {
        match self {
            Self::Name => "a name has 1 to 40 characters".to_owned(),
            Self::Over => "the auction of this item is over".to_owned(),
            Self::TooLow { least } => format!("the next bid is at least {least}"),
        }
    }
}

/// An item as clients see it.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    id: &'a str,
    title: &'a str,
    /// The highest bid. Null: there is none.
    price: Option<u64>,
    best: Option<&'a str>,
    bids: u64,
    /// The least that the next bid must be.
    least: u64,
    ends: u64,
    closed: bool,
}

/// The answer to a bid that is not taken.
#[derive(Serialize)]
pub(crate) struct Refused<'a> {
    pub(crate) error: String,
    pub(crate) item: Shown<'a>,
}

impl Item {
    pub(crate) fn new(title: &str, start: u64, step: u64, now: u64, time: Duration) -> Self {
        let time = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            title: title.to_owned(),
            start,
            step,
            ends: now.saturating_add(time),
            best: None,
            bids: 0,
            closed: false,
        }
    }

    fn least(&self) -> u64 {
        match &self.best {
            None => self.start,
            Some(best) => best.amount.saturating_add(self.step),
        }
    }

    /// Takes a bid, if it follows the rules.
    pub(crate) fn take(&mut self, bid: &Bid, now: u64) -> Result<(), Refusal> {
        let name = bid.name.trim();
        if name.is_empty() || name.chars().count() > 40 {
            return Err(Refusal::Name);
        }
        if self.closed || now >= self.ends {
            return Err(Refusal::Over);
        }
        let least = self.least();
        if bid.amount < least {
            return Err(Refusal::TooLow { least });
        }
        self.best = Some(Bid { name: name.to_owned(), amount: bid.amount });
        self.bids += 1;
        self.ends = self.ends.max(now.saturating_add(ANSWER_MILLIS));
        Ok(())
    }

    /// The highest bid, in cents.
    pub(crate) fn price(&self) -> Option<u64> {
        self.best.as_ref().map(|best| best.amount)
    }

    /// When no bid is taken any more.
    pub(crate) fn end(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.ends)
    }

    /// Closes the item, if its time is over.
    pub(crate) const fn close(&mut self, now: u64) -> bool {
        self.closed = now >= self.ends;
        self.closed
    }

    pub(crate) fn shown<'a>(&'a self, id: &'a str) -> Shown<'a> {
        Shown {
            id,
            title: &self.title,
            price: self.price(),
            best: self.best.as_ref().map(|best| best.name.as_str()),
            bids: self.bids,
            least: self.least(),
            ends: self.ends,
            closed: self.closed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bid(amount: u64) -> Bid {
        Bid { name: "Ada".to_owned(), amount }
    }

    #[test]
    fn a_bid_is_a_step_higher_and_in_time() {
        let mut item = Item::new("Lamp", 100, 10, 1_000, Duration::from_secs(60));
        assert!(matches!(item.take(&bid(99), 1_500), Err(Refusal::TooLow { least: 100 })));
        assert!(item.take(&bid(100), 1_500).is_ok());
        assert!(matches!(item.take(&bid(109), 1_500), Err(Refusal::TooLow { least: 110 })));
        assert!(item.take(&bid(110), 2_000).is_ok());
        assert!(matches!(item.take(&bid(200), 61_000), Err(Refusal::Over)));
        assert_eq!((item.bids, item.shown("1").price), (2, Some(110)));
    }

    #[test]
    fn a_late_bid_leaves_others_time_for_an_answer() {
        let mut item = Item::new("Lamp", 1, 1, 0, Duration::from_secs(60));
        assert!(item.take(&bid(1), 30_000).is_ok());
        assert_eq!(item.ends, 60_000);
        assert!(item.take(&bid(2), 59_999).is_ok());
        assert_eq!(item.ends, 89_999);
        assert!(!item.close(89_998), "its timer may have been on its way when the bid came");
        assert!(item.close(89_999));
        assert!(matches!(item.take(&bid(3), 89_999), Err(Refusal::Over)));
    }

    #[test]
    fn who_bids_has_a_name() {
        let mut item = Item::new("Lamp", 1, 1, 0, Duration::from_secs(1));
        for name in ["", "  ", &"x".repeat(41)] {
            let bid = Bid { name: name.to_owned(), amount: 5 };
            assert!(matches!(item.take(&bid, 0), Err(Refusal::Name)));
        }
    }
}
