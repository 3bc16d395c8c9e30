//! The real init of a soak test's system: it says that the boot has arrived, and switches off.

use crate::machine::{say, switch_off};

/// PID 1 of the booted system.
pub fn arrive() -> Result<(), String> {
    say("arrived");
    switch_off()
}
