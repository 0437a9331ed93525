//! Copies the lines of a run to the host's own log. The record of the run keeps more; the log gets the first
//! lines, so that no run fills a disk or hides the lines of others.

use super::Record;

/// Lines of one run.
const LINES_MAX: usize = 100;
/// Bytes of text of one run.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Writes the first lines of a run, and how much is left out.
pub(super) fn write(record: &Record) {
    let (shown, rest) = split(&record.log.text);
    // Line by line: text of a guest must not look like a line of the host.
    for line in shown {
        tracing::info!(
            target: "tidegate::guest",
            module = %record.module, version = record.version, consumer = %record.consumer,
            correlation = %record.correlation,
            "{line}"
        );
    }
    if !rest.is_empty() {
        tracing::info!(
            target: "tidegate::guest",
            module = %record.module, version = record.version, consumer = %record.consumer,
            correlation = %record.correlation,
            lines_left_out = rest.lines().count(), bytes_left_out = rest.len(),
            "the rest of what this run logged is in its record"
        );
    }
}

/// Returns the lines to show, the last of which may be cut, and the rest.
pub(super) fn split(text: &str) -> (Vec<&str>, &str) {
    let (mut shown, mut rest, mut room) = (Vec::new(), text, TEXT_BYTES_MAX);
    while shown.len() < LINES_MAX && room > 0 && !rest.is_empty() {
        let line = rest.split('\n').next().unwrap_or_default();
        let (cut, _) = line.split_at(line.floor_char_boundary(room));
        shown.push(cut);
        rest = rest.get(cut.len()..).unwrap_or_default();
        if cut.len() < line.len() {
            break;
        }
        room -= cut.len();
        rest = rest.strip_prefix('\n').unwrap_or(rest);
    }
    (shown, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_logs_are_shown_whole() {
        assert_eq!(split(""), (vec![], ""));
        assert_eq!(split("a\n"), (vec!["a"], ""));
        assert_eq!(split("a\n\nb"), (vec!["a", "", "b"], ""));
    }

    #[test]
    fn so_many_lines_are_shown_and_no_more() {
        let text = "x\n".repeat(8_192);
        let (shown, rest) = split(&text);
        assert_eq!((shown.len(), rest.lines().count()), (LINES_MAX, 8_192 - LINES_MAX));
    }

    #[test]
    fn so_many_bytes_are_shown_and_a_line_is_cut_between_characters() {
        let text = format!("{}\nlast\n", "\u{20ac}".repeat(10_000));
        let (shown, rest) = split(&text);
        let shown = shown.concat();
        assert!(
            shown.len() <= TEXT_BYTES_MAX && shown.len() > TEXT_BYTES_MAX - 3,
            "{}",
            shown.len()
        );
        assert_eq!(format!("{shown}{rest}"), text);
    }
}
