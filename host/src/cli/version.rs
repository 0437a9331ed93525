//! The version of this program, and whether it was built to be given away.

use std::sync::LazyLock;

/// The commit, in a build by `make dist` of a checkout. It is not read otherwise, so that a commit alone makes no
/// build of a developer anew.
const COMMIT: Option<&str> = option_env!("DIST_COMMIT");

/// Version and commit, as `--version` prints them.
pub(super) fn full() -> &'static str {
    static FULL: LazyLock<String> = LazyLock::new(|| of(COMMIT));
    &FULL
}

/// Whether it runs elsewhere than where it was built, so that no path of that machine means anything.
pub(super) const fn is_of_distribution() -> bool {
    COMMIT.is_some()
}

fn of(commit: Option<&str>) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match commit.filter(|commit| !commit.is_empty()) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_stands_behind_the_version_if_it_is_known() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(of(Some("0123456789ab")), format!("{version} (0123456789ab)"));
        // Sources without a repository, packed by `make dist`.
        assert_eq!(of(Some("")), version);
        assert_eq!(of(None), version);
    }
}
