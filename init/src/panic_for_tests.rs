//! An init that fails where a test wants it to; in the one that is shipped there is nothing of it.

/// Panics if the variable `PANIC_FOR_TESTS`, which the kernel takes from its command line, names this place (with `-` for blanks);
/// `abort@place`, `overflow@place` and `nowhere@place` crash.
#[cfg(feature = "panic-for-tests")]
pub fn panic_if_told(place: &str) {
    let told = std::env::var("PANIC_FOR_TESTS").unwrap_or_default();
    for told in told.split(',') {
        assert!(told != place.replace(' ', "-"), "told to at {place}");
        match told.strip_suffix(&format!("@{}", place.replace(' ', "-"))) {
            Some("abort") => std::process::abort(),
            Some("overflow") => drop(overflow(0)),
            Some("nowhere") => drop(stack::last_resort::read_from_nowhere()),
            _ => {}
        }
    }
}

/// Needs more stack than there is.
#[cfg(feature = "panic-for-tests")]
fn overflow(depth: u64) -> u64 {
    let room = std::hint::black_box([depth; 512]);
    if depth == u64::MAX { 0 } else { overflow(depth + 1).wrapping_add(room[511]) }
}

/// Nothing, in the init that is shipped.
#[cfg(not(feature = "panic-for-tests"))]
pub fn panic_if_told(_place: &str) {}
