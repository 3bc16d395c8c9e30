//! A panic of init ends on the recovery screen.

use std::panic::PanicHookInfo;
use std::sync::OnceLock;

use crate::clock::now;
use crate::{console, recovery};

/// `panic=`, for the panic hook, which has no session.
static PANIC_TIMEOUT: OnceLock<Option<i64>> = OnceLock::new();

/// From here on a panic, and a crash, wait as `panic=` says.
pub fn wait_as(panic: Option<i64>) {
    let _ = PANIC_TIMEOUT.set(panic);
    stack::last_resort::wait_as(panic);
}

/// `panic = "abort"` would end PID 1, and with it the kernel; the hook runs before that and never returns.
pub fn panics_end_in_recovery() {
    let began = now();
    std::panic::set_hook(Box::new(move |info: &PanicHookInfo<'_>| {
        let location = info.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let message = info.payload_as_str().unwrap_or("no message");
        console::write_in_spite_of_a_panic();
        console::to_kernel_log(2, &format!("panic at {location}: {message}"));
        recovery::after_panic(&location, message, PANIC_TIMEOUT.get().copied().flatten(), began)
    }));
}
