//! The slow work.

/// How many primes there are below a number.
pub(crate) fn below(end: u32) -> usize {
    let end = end as usize;
    let mut composite = vec![false; end];
    let mut primes = 0;
    for number in 2..end {
        if composite[number] {
            continue;
        }
        primes += 1;
        // The square may be beyond the 32 bits that a `usize` has in WebAssembly.
        let square = number.checked_mul(number).unwrap_or(end);
        for multiple in (square..end).step_by(number) {
            composite[multiple] = true;
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::below;

    #[test]
    fn the_end_is_not_counted() {
        let table = [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 2), (6, 3), (100, 25)];
        for (end, primes) in table {
            assert_eq!(below(end), primes, "{end}");
        }
        assert_eq!(below(1_000_000), 78_498);
    }
}
