//! Schedules: when a consumer is run by the clock. The expressions are those of `croner`, the zones those of
//! `jiff`; what they mean where libraries differ is in `docs/consumers.md` and held by the table in `tests`.

use std::{fmt, sync::Arc, time::SystemTime};

use croner::{
    Cron,
    parser::{CronParser, Seconds, Year},
};
use jiff::{Timestamp, Zoned, tz, tz::TimeZone};

mod moments;
#[cfg(test)]
mod tests;

pub use moments::Moments;

/// The longest expression, in bytes. The longest useful ones list the minutes of an hour.
const EXPRESSION_BYTES_MAX: usize = 512;
/// How alike a known zone is to an unknown one, from 0 to 1, to be what was meant.
const ZONE_ALIKE_MIN: f64 = 0.7;

/// What becomes of moments at which no process was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// The last one of them runs as soon as a process is there.
    Once,
    /// They are left out.
    Skip,
}

/// What becomes of a moment while the run of the one before is not over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// It is left out.
    Skip,
    /// It waits for the end of that run.
    Queue,
}

/// When a consumer is run by the clock.
#[derive(Clone)]
pub struct Schedule {
    cron: Arc<Cron>,
    zone: TimeZone,
    missed: Missed,
    overlap: Option<Overlap>,
}

impl fmt::Debug for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schedule").field(&self.to_string()).finish()
    }
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (self.expression(), self.zone(), self.missed, self.overlap)
            == (other.expression(), other.zone(), other.missed, other.overlap)
    }
}

impl Eq for Schedule {}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expression(), self.zone())
    }
}

/// Why an expression and a zone are no schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// The expression is too long.
    #[error("an expression has at most {limit} bytes; this one has {bytes}")]
    TooLong {
        /// The bytes found.
        bytes: usize,
        /// The bytes allowed.
        limit: usize,
    },
    /// The expression does not parse.
    #[error(
        "{expression:?} is no expression: {reason}; write minute, hour, day of the month, month and day of \
         the week, as in \"30 3 * * 1-5\", with seconds before them if you need them"
    )]
    Expression {
        /// The expression.
        expression: String,
        /// The rule that it breaks.
        reason: String,
    },
    /// No moment fits the expression.
    #[error("{expression:?} never comes: no day fits it, as on February 30")]
    Never {
        /// The expression.
        expression: String,
    },
    /// The zone is unknown.
    #[error(
        "{zone:?} is no time zone of the IANA database{}",
        nearest.as_ref().map(|zone| format!("; did you mean {zone}?")).unwrap_or_default()
    )]
    Zone {
        /// The zone.
        zone: String,
        /// A known one that is like it.
        nearest: Option<String>,
    },
}

impl Schedule {
    /// Reads an expression and the name of a zone in the IANA database.
    pub fn parse(expression: &str, zone: &str, missed: Missed) -> Result<Self, ScheduleError> {
        let bytes = expression.len();
        if bytes > EXPRESSION_BYTES_MAX {
            return Err(ScheduleError::TooLong { bytes, limit: EXPRESSION_BYTES_MAX });
        }
        let parser =
            CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let cron = parser.parse(expression).map_err(|error| ScheduleError::Expression {
            expression: expression.to_owned(),
            reason: error.to_string(),
        })?;
        let zone = time_zone(zone)?;
        let schedule = Self { cron: Arc::new(cron), zone, missed, overlap: None };
        if schedule.next_after(SystemTime::now()).is_none() {
            return Err(ScheduleError::Never { expression: expression.to_owned() });
        }
        Ok(schedule)
    }

    /// The same schedule, whose runs do not overlap.
    #[must_use]
    pub fn overlapping(mut self, overlap: Option<Overlap>) -> Self {
        self.overlap = overlap;
        self
    }

    /// What becomes of a moment while the run of the one before is not over. None: both run.
    pub const fn overlap(&self) -> Option<Overlap> {
        self.overlap
    }

    /// The expression, as it was written.
    pub fn expression(&self) -> &str {
        self.cron.as_str()
    }

    /// The name of the zone.
    pub fn zone(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// What becomes of moments at which no process was there.
    pub const fn missed(&self) -> Missed {
        self.missed
    }

    /// Returns the first moment after one. None: no calendar reaches it.
    pub fn next_after(&self, moment: SystemTime) -> Option<SystemTime> {
        let next = self.cron.find_next_occurrence(&self.zoned(moment)?, false).ok()?;
        Some(next.timestamp().into())
    }

    /// Returns the last moment before one.
    pub fn last_before(&self, moment: SystemTime) -> Option<SystemTime> {
        let last = self.cron.find_previous_occurrence(&self.zoned(moment)?, false).ok()?;
        Some(last.timestamp().into())
    }

    /// Returns a moment with the offset of the zone, for people.
    pub fn shown(&self, moment: SystemTime) -> String {
        self.zoned(moment).map(|zoned| zoned.to_string()).unwrap_or_default()
    }

    fn zoned(&self, moment: SystemTime) -> Option<Zoned> {
        Some(Timestamp::try_from(moment).ok()?.to_zoned(self.zone.clone()))
    }
}

fn time_zone(name: &str) -> Result<TimeZone, ScheduleError> {
    // The database of the library, and none of the machine: all processes have the same zones.
    let zones = tz::TimeZoneDatabase::bundled();
    zones.get(name).map_err(|_| {
        let names: Vec<String> = zones.available().map(|zone| zone.to_string()).collect();
        let alike = |known: &String| {
            strsim::jaro_winkler(&known.to_ascii_lowercase(), &name.to_ascii_lowercase())
        };
        let nearest = names.iter().map(|known| (alike(known), known));
        let nearest = nearest.max_by(|(a, _), (b, _)| a.total_cmp(b));
        let nearest = nearest.filter(|(alike, _)| *alike >= ZONE_ALIKE_MIN);
        ScheduleError::Zone {
            zone: name.to_owned(),
            nearest: nearest.map(|(_, known)| known.clone()),
        }
    })
}
