//! Rows of a transaction that writes.

use redb::{ReadableTable as _, Table};

use super::read::Failure;

/// Rows that one request sweeps or clears at most.
pub(super) const STEP: usize = 1_000;

/// A table of a transaction that writes.
pub(super) type WrittenRows<'t> = Table<'t, &'static [u8], &'static [u8]>;

/// Returns the first rows of a range: [`STEP`] at most.
pub(super) fn some_rows(
    table: &WrittenRows<'_>,
    first: &[u8],
    end: &[u8],
) -> Result<Vec<Vec<u8>>, Failure> {
    let mut rows = Vec::new();
    for stored in table.range::<&[u8]>(first..end)?.take(STEP) {
        rows.push(stored?.0.value().to_vec());
    }
    Ok(rows)
}
