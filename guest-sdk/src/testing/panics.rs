//! Where a consumer panicked, which only a panic hook is told.

use std::cell::RefCell;
use std::panic;
use std::sync::Once;

thread_local! {
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Keeps the place of every panic from now on. The hook that was there still prints it.
pub(super) fn watch() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(ToString::to_string);
            PLACE.with(|kept| *kept.borrow_mut() = place);
            before(info);
        }));
    });
}

/// Takes the place of this thread's last panic: file, line and column.
pub(super) fn place() -> Option<String> {
    PLACE.with(|kept| kept.borrow_mut().take())
}
