//! The real init of a system that an update brought: it reads everything of the layer that is its generation's own, says what it
//! is, and switches off. Nobody blesses it.

use std::fs;

use boot_report::paths::PROFILE;
use sha2::{Digest, Sha256};
use soak_guest::hex;

use crate::machine::{say, switch_off};

/// What the layer of a generation has: its name in the first line, and bytes that no image can be without.
const FILE: &str = "/generation";

/// PID 1 of the booted system.
pub fn arrive() -> Result<(), String> {
    match look() {
        Ok(found) => say(&format!("whole: {found}.")),
        Err(why) => say(&format!("damaged: {why}")),
    }
    switch_off()
}

/// The name of the generation whose layer is here, and the digest of the profile that init has booted.
fn look() -> Result<String, String> {
    let read = |path: &str| fs::read(path).map_err(|error| format!("{path}: {error}"));
    let generation = read(FILE)?;
    let name = generation.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let digest = hex(&Sha256::digest(read(PROFILE)?));
    Ok(format!("{} {digest}", String::from_utf8_lossy(name)))
}
