//! Boot attempts on the store's medium: noted before a profile's images are mounted, forgiven by `lamina bless`.
//!
//! The medium is mounted read-only but for the moment of the note. A medium without slots, or one that cannot be
//! written, boots as well: attempts are then not counted, and the report says why.

use std::path::Path;

use boot_ledger::{Generation, Ledger, Slots};
use profiles::Name;

use crate::error::Failure;
use crate::paths;

/// The ledger of the store in use.
#[derive(Debug, Default)]
pub struct BootCounter {
    slots: Option<Slots>,
    ledger: Ledger,
    why_not: Option<String>,
}

impl BootCounter {
    /// Nothing can be noted in the initramfs.
    pub fn of_initramfs() -> Self {
        Self { why_not: Some("the store is in the initramfs".into()), ..Self::default() }
    }

    /// Reads the ledger of a store on a medium.
    pub fn open(store: &Path) -> Self {
        let not = |why: String| Self { why_not: Some(why), ..Self::default() };
        match Slots::open(store) {
            Ok(Some(slots)) => {
                let ledger = slots.read().ledger;
                Self { slots: Some(slots), ledger, why_not: None }
            }
            Ok(None) => not("the store has no boot slots: `lamina medium create` makes them".into()),
            Err(error) => not(format!("the boot slots cannot be read: {error}")),
        }
    }

    /// Why attempts are not counted.
    pub fn why_not(&self) -> Option<&str> {
        self.why_not.as_deref()
    }

    /// The generation of the profile that was blessed last.
    pub fn last_good(&self, profile: &Name) -> Option<Generation> {
        self.ledger.last_good(profile)
    }

    /// How often it was started without a blessing; 0 when attempts are not counted.
    pub fn attempts(&self, profile: &Name, generation: &Generation) -> u32 {
        self.ledger.attempts(profile, generation)
    }

    /// Notes an attempt and returns how many there were with it; `None` when they are not counted.
    ///
    /// # Errors
    /// It was counted or not, and the medium could not be made read-only again.
    pub fn note(&mut self, profile: &Name, generation: &Generation) -> (Option<u32>, Result<(), Failure>) {
        let Some(slots) = self.slots.as_ref() else { return (None, Ok(())) };
        self.ledger.note_attempt(profile, generation);
        let medium = Path::new(paths::MEDIUM);
        let writable = stack::mount::remount(medium, false).map_err(|error| error.why());
        let opened = writable.is_ok();
        let written = writable.and_then(|()| slots.write(&self.ledger).map_err(|error| error.to_string()));
        // Read-only again whatever became of the note: nobody else may write to the medium.
        let protected = if opened { stack::mount::remount(medium, true) } else { Ok(()) };
        let counted = match written {
            Ok(()) => Some(self.ledger.attempts(profile, generation)),
            Err(why) => {
                self.why_not = Some(format!("the medium cannot be written: {why}"));
                self.slots = None;
                None
            }
        };
        (counted, protected.map_err(Failure::from))
    }
}
