//! What a guest says to the host, and the host to a guest, over a serial line that anything in the guest can write to.

#![no_main]

use guest_agent::message::{Event, Request};

/// Long sentences are cut when they are told: so it is told twice.
fn told(event: &Event) -> Option<Event> {
    let mut bytes = Vec::new();
    event.send(&mut bytes).unwrap();
    Event::receive(&mut bytes.as_slice()).unwrap()
}

libfuzzer_sys::fuzz_target!(|said: &[u8]| {
    let mut rest = said;
    while let Ok(Some(event)) = Event::receive(&mut rest) {
        // An output of no bytes is none.
        let Some(once) = told(&event) else { continue };
        assert_eq!(told(&once), Some(once));
    }
    let mut rest = said;
    while let Ok(Some(request)) = Request::receive(&mut rest) {
        let mut again = Vec::new();
        request.send(&mut again).unwrap();
        assert_eq!(Request::receive(&mut again.as_slice()).unwrap(), Some(request));
    }
});
