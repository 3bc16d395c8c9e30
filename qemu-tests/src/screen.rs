//! The screen that init shows when a boot fails.

use crate::failure::Failure;
use crate::guest::Guest;

/// The first line of the screen.
const TITLE: &str = "lamina: this system could not be started";
/// What offers the keys, below the screen.
const MENU: &str = "[b] reboot";

impl Guest {
    /// Waits for the failure screen and returns its text, which must have all of `wanted` in it.
    pub fn expect_screen(&mut self, wanted: &[&str]) -> Result<String, Failure> {
        self.expect(TITLE)?;
        let screen = self.expect(MENU)?;
        match wanted.iter().find(|text| !screen.contains(**text)) {
            None => Ok(screen),
            Some(missing) => Err(self.told(&format!("the failure screen does not say {missing:?}"))),
        }
    }
}
