//! Priorities of slot threads: sockets before consumers, short runs before long ones.

use std::cell::Cell;

/// How much less processor time slots get than the interface server.
const NICE: i32 = 5;

thread_local! {
    /// Whether this thread gave up its priority. It cannot get it back: that takes a privilege.
    static DEMOTED: Cell<bool> = const { Cell::new(false) };
}

/// Lets the interface server's threads go first.
pub(super) fn lower() {
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::debug!(%error, "a slot's thread keeps the priority of the process");
    }
}

/// Lets every other thread go first, from now on. A long run counts as background work.
///
/// The idle class, and not a lower niceness: the kernel takes the processor from such a thread as
/// soon as another one wakes, and not at the end of its time slice.
pub(super) fn demote() {
    DEMOTED.set(go_idle());
}

/// Whether this thread gave up its priority.
pub(super) fn is_demoted() -> bool {
    DEMOTED.get()
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe wrapper sets a scheduling class without a niceness")]
fn go_idle() -> bool {
    let parameters = libc::sched_param { sched_priority: 0 };
    // SAFETY: 0 stands for the calling thread, and the kernel only reads `parameters`, which outlives
    // the call.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameters) };
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn go_idle() -> bool {
    rustix::process::nice(NICE).is_ok()
}
