//! The file systems on which changes can last, by their words in the language.

use std::fmt;

use file_systems::{FileSystem, Top};

use crate::decode::{KdlValue, Problem, Value, text};
use crate::suggest;

/// A file system that can hold a writable top: a row of the table [`file_systems`].
#[derive(Clone, Copy)]
pub struct StateFileSystem {
    file_system: &'static FileSystem,
    top: &'static Top,
}

impl StateFileSystem {
    /// All of them, in the order of the table.
    pub fn all() -> impl Iterator<Item = StateFileSystem> {
        file_systems::with_top().map(|(file_system, top)| StateFileSystem { file_system, top })
    }

    /// Reads the name of a driver, such as `ext4`.
    ///
    /// # Errors
    /// Names the nearest one.
    pub fn parse(word: &str) -> Result<StateFileSystem, Problem> {
        StateFileSystem::all().find(|known| known.driver() == word).ok_or_else(|| {
            let known: Vec<&str> = StateFileSystem::all().map(StateFileSystem::driver).collect();
            Problem::new(format!("unknown file system '{word}'"), suggest::remedy(word, &known))
        })
    }

    /// The name of the kernel's driver.
    pub fn driver(self) -> &'static str {
        self.file_system.driver
    }

    /// Its row.
    pub fn file_system(self) -> &'static FileSystem {
        self.file_system
    }

    /// What the row says of it as the place of a top.
    pub fn top(self) -> &'static Top {
        self.top
    }
}

impl PartialEq for StateFileSystem {
    fn eq(&self, other: &StateFileSystem) -> bool {
        self.driver() == other.driver()
    }
}

impl Eq for StateFileSystem {}

impl fmt::Debug for StateFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.driver())
    }
}

/// The name of the kernel's driver.
impl fmt::Display for StateFileSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.driver())
    }
}

impl Value for StateFileSystem {
    fn decode(value: &KdlValue) -> Result<StateFileSystem, Problem> {
        StateFileSystem::parse(text(value)?)
    }
}
