//! The slow work.

/// How many primes there are from a number on and below another one.
pub(crate) fn within(start: u32, end: u32) -> usize {
    let start = start.max(2);
    let Some(length) = end.checked_sub(start) else { return 0 };
    let mut composite = vec![false; length as usize];
    // Whatever is composite has a factor up to its root.
    for prime in primes_up_to(end.isqrt()) {
        // The square is at most `end`. Smaller multiples have a smaller factor.
        let first = (prime * prime).max(start.next_multiple_of(prime));
        for multiple in (first..end).step_by(prime as usize) {
            composite[(multiple - start) as usize] = true;
        }
    }
    composite.iter().filter(|&&composite| !composite).count()
}

fn primes_up_to(end: u32) -> Vec<u32> {
    let mut composite = vec![false; end as usize + 1];
    let mut primes = Vec::new();
    for number in 2..=end {
        if composite[number as usize] {
            continue;
        }
        primes.push(number);
        for multiple in (number..=end).step_by(number as usize) {
            composite[multiple as usize] = true;
        }
    }
    primes
}

#[cfg(test)]
mod tests {
    use super::within;

    #[test]
    fn the_end_is_not_counted() {
        let table = [(0, 0), (1, 0), (2, 0), (3, 1), (4, 2), (5, 2), (6, 3), (100, 25)];
        for (end, primes) in table {
            assert_eq!(within(0, end), primes, "{end}");
        }
        assert_eq!(within(0, 1_000_000), 78_498);
    }

    #[test]
    fn parts_come_to_the_whole() {
        for part in [1, 7, 100, 1_000, 2_500] {
            let starts = (0..10_000).step_by(part as usize);
            let counted: usize = starts.map(|from| within(from, (from + part).min(10_000))).sum();
            assert_eq!(counted, 1_229, "{part}");
        }
        assert_eq!(within(5, 3), 0);
        assert_eq!(within(999_999_000, 1_000_000_000), 45);
    }
}
