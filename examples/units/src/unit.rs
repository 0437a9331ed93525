//! Units of length.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A unit of length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    Metre,
    Foot,
    Fathom,
    Mile,
}

impl Unit {
    const ALL: [Self; 4] = [Self::Metre, Self::Foot, Self::Fathom, Self::Mile];

    fn metres(self) -> f64 {
        match self {
            Self::Metre => 1.0,
            Self::Foot => 0.3048,
            Self::Fathom => 1.8288,
            // The one at sea.
            Self::Mile => 1852.0,
        }
    }

    pub(crate) fn convert(self, value: f64, to: Self) -> f64 {
        value * self.metres() / to.metres()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metre => "metre",
            Self::Foot => "foot",
            Self::Fathom => "fathom",
            Self::Mile => "mile",
        })
    }
}

impl FromStr for Unit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.into_iter().find(|unit| unit.to_string() == text);
        named.ok_or("no such unit")
    }
}
