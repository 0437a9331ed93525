//! An order, the rules for it, and the state of its notification.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use tidegate_sdk::{Answer, FetchFailure, Fetched, Stored};

/// The keys of the list of orders begin with this.
pub(crate) const RECENT: &str = "recent:";

/// The longest id that an order or a notification may have, in characters.
const ID_LENGTH_MAX: usize = 64;
/// The longest name of an item, in characters.
const ITEM_LENGTH_MAX: usize = 80;
/// The longest address, in characters.
const EMAIL_LENGTH_MAX: usize = 254;

/// The key of an order.
pub(crate) fn key(id: &str) -> String {
    format!("order:{id}")
}

/// An order as the shop sends it. Other fields are passed over: a shop adds some over time.
#[derive(Deserialize)]
pub(crate) struct NewOrder {
    pub(crate) id: String,
    pub(crate) item: String,
    pub(crate) email: String,
}

impl NewOrder {
    /// Checks the order. An error is the rule that it breaks.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if !is_id(&self.id) {
            return Err("an id has 1 to 64 of a-z, A-Z, 0-9 and -\n");
        }
        if self.item.trim().is_empty() || self.item.chars().count() > ITEM_LENGTH_MAX {
            return Err("an item has 1 to 80 characters\n");
        }
        let is_long = self.email.chars().count() > EMAIL_LENGTH_MAX;
        if is_long || !self.email.contains('@') || self.email.contains(char::is_whitespace) {
            return Err("an email has an @, no space, and at most 254 characters\n");
        }
        Ok(())
    }
}

fn is_id(text: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (1..=ID_LENGTH_MAX).contains(&text.len()) && text.chars().all(is_allowed)
}

/// An order as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    id: String,
    item: String,
    email: String,
    /// When it came, in milliseconds since 1970.
    came: u64,
    /// How often the service was asked; 0 until there is a result.
    attempts: u32,
    notification: Notification,
}

impl Stored for Order {}

/// The state of a notification.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Notification {
    /// There is no result yet.
    Asked,
    /// The service has taken it.
    Sent {
        /// The service's name for it. None: the answer has none.
        id: Option<String>,
    },
    /// The service answered with a status that is no success.
    Refused { status: u16 },
    /// The service did not answer. The reason is a word of [`FetchFailure`].
    Failed { reason: String },
    /// Nobody can say whether the service has taken it.
    Unknown,
}

/// The service's answer to a notification that it has taken.
#[derive(Deserialize)]
struct Accepted {
    id: String,
}

/// An order as the page shows it: without the address, which is nobody else's business.
#[derive(Serialize)]
pub(crate) struct Shown<'a> {
    id: &'a str,
    item: &'a str,
    came: u64,
    attempts: u32,
    notification: &'a Notification,
}

impl Order {
    pub(crate) fn new(order: NewOrder, now: SystemTime) -> Self {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            id: order.id,
            item: order.item,
            email: order.email,
            came: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            attempts: 0,
            notification: Notification::Asked,
        }
    }

    /// A key that sorts before those of earlier orders.
    pub(crate) fn recent_key(&self) -> String {
        format!("{RECENT}{:016x}:{}", u64::MAX - self.came, self.id)
    }

    /// Notes the result of its notification.
    pub(crate) fn conclude<V>(&mut self, fetched: &Fetched<V>) {
        self.attempts = fetched.attempts();
        self.notification = match fetched.answer() {
            Ok(answer) if answer.is_success() => Notification::Sent { id: service_id(answer) },
            Ok(answer) => Notification::Refused { status: answer.status() },
            Err(FetchFailure::Failed { reason, .. }) => {
                Notification::Failed { reason: reason.clone() }
            }
            Err(_) => Notification::Unknown,
        };
    }

    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown {
            id: &self.id,
            item: &self.item,
            came: self.came,
            attempts: self.attempts,
            notification: &self.notification,
        }
    }
}

fn service_id(answer: &Answer) -> Option<String> {
    let accepted: Accepted = answer.json().ok()?;
    is_id(&accepted.id).then_some(accepted.id)
}
