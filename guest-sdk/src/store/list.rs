//! A listing that asks for its pages itself.

use std::vec;

use super::StoreError;
use crate::host::store::{self, Entry};

/// How many entries the host is asked for at a time.
const PAGE: u32 = 100;

/// Where the next page begins.
#[derive(Debug)]
enum Next {
    First,
    Behind(String),
    Nowhere,
}

/// The entries of a prefix.
#[derive(Debug)]
pub(super) struct Entries {
    prefix: String,
    page: vec::IntoIter<Entry>,
    next: Next,
}

impl Entries {
    pub(super) fn of(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), page: Vec::new().into_iter(), next: Next::First }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry, StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(entry) = self.page.next() {
                return Some(Ok(entry));
            }
            let cursor = match std::mem::replace(&mut self.next, Next::Nowhere) {
                Next::First => None,
                Next::Behind(cursor) => Some(cursor),
                Next::Nowhere => return None,
            };
            match store::list(&self.prefix, cursor.as_deref(), PAGE) {
                Ok(page) => {
                    self.page = page.entries.into_iter();
                    self.next = page.cursor.map_or(Next::Nowhere, Next::Behind);
                }
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}
