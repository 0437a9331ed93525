//! Two sides in turns, and medians.

pub(crate) const ROUNDS: usize = 5;

/// Runs both sides in turns.
pub(crate) fn compare(
    what: &str,
    raw_name: &str,
    mut raw: impl FnMut() -> f64,
    mut tidegate: impl FnMut() -> f64,
) {
    let mut rounds: Vec<(f64, f64)> = (0..ROUNDS).map(|_| (raw(), tidegate())).collect();
    let raw = median(&mut rounds, |round| round.0);
    let tidegate = median(&mut rounds, |round| round.1);
    let share = 100.0 * tidegate / raw;
    println!("{what}: {raw_name} {raw:.0}, tidegate {tidegate:.0} ({share:.1} %)");
}

pub(crate) fn median<T>(rounds: &mut [T], of: impl Fn(&T) -> f64) -> f64 {
    rounds.sort_by(|a, b| of(a).total_cmp(&of(b)));
    rounds.get(rounds.len() / 2).map_or(f64::NAN, of)
}
