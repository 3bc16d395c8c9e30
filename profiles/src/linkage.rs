//! Linkage and C library: the two choices that recipes, dependencies and profiles all make in the same words.

use crate::decode::{KdlValue, Problem, Value, text};
use crate::{Choice, Name, suggest};

/// The choice of how a package is linked, or of what a library is.
pub const LINKAGE: &str = "linkage";

/// The choice of the C library, whose package has the name of the value.
pub const LIBC: &str = "libc";

/// What linkage there is.
pub const LINKAGES: [&str; 3] = ["static", "dynamic", "mixed"];

/// Which C libraries there are.
pub const LIBCS: [&str; 2] = ["musl", "glibc"];

/// A linkage, as a choice.
pub(crate) struct Linkage(pub(crate) Choice);

/// A C library, as a choice.
pub(crate) struct Libc(pub(crate) Choice);

impl Value for Linkage {
    fn decode(value: &KdlValue) -> Result<Self, Problem> {
        one_of(value, LINKAGE, &LINKAGES).map(Linkage)
    }
}

impl Value for Libc {
    fn decode(value: &KdlValue) -> Result<Self, Problem> {
        one_of(value, LIBC, &LIBCS).map(Libc)
    }
}

fn one_of(value: &KdlValue, what: &str, known: &[&str]) -> Result<Choice, Problem> {
    let word = text(value)?;
    let name = Name::parse(word).ok().filter(|_| known.contains(&word));
    name.map(Choice::Of)
        .ok_or_else(|| Problem::new(format!("there is no {what} '{word}'"), suggest::remedy(word, known)))
}
