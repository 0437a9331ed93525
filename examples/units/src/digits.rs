//! How many digits behind the point a client wants: an extractor of its own.

use std::fmt;

use tidegate_sdk::{Context, Cookies, FromRequest, Request, Result};

/// The cookie that says it.
pub(crate) const COOKIE: &str = "digits";

/// So many digits behind the point, at most 9.
#[derive(Clone, Copy)]
pub(crate) struct Digits(u8);

impl Digits {
    pub(crate) fn new(digits: u8) -> Option<Self> {
        (digits <= 9).then_some(Self(digits))
    }

    pub(crate) fn round(self, value: f64) -> f64 {
        let scale = 10_f64.powi(i32::from(self.0));
        (value * scale).round() / scale
    }
}

impl FromRequest for Digits {
    /// A cookie that says something else is as good as none.
    fn from_request(request: &Request, _: &mut Context) -> Result<Self> {
        let said = Cookies::of(request).get(COOKIE).and_then(|text| text.parse().ok());
        Ok(said.and_then(Self::new).unwrap_or(Self(2)))
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
