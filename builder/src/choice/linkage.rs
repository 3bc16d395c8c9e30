//! Linkage and the C library: the two choices that a package hands on to the libraries it is linked with.
//!
//! A static program needs archives of its libraries, a dynamic one shared libraries, which are its layers when it runs. A mixed one has
//! some shared and all others linked in. What is handed on depends on nothing but the package's own choice.

use std::collections::BTreeMap;

use profiles::linkage::{LIBC, LINKAGE};
use profiles::{Choice, Name};

use super::selection::Selection;

/// How a package is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Linkage {
    /// Everything is linked in; of a library: an archive.
    Static,
    /// Nothing is; of a library: a shared one.
    Dynamic,
    /// Some libraries are shared, all others linked in.
    Mixed,
}

/// What a library is to the package that is linked with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The C library.
    Libc,
    /// One that stays shared in a mixed package.
    StaysShared,
    /// Any other.
    Other,
}

impl Linkage {
    /// That of a package; none where its recipe says nothing of linkage.
    pub fn of(selection: &Selection) -> Option<Linkage> {
        let Choice::Of(value) = selection.get(LINKAGE) else { return None };
        match value.as_str() {
            "static" => Some(Linkage::Static),
            "dynamic" => Some(Linkage::Dynamic),
            "mixed" => Some(Linkage::Mixed),
            _ => None,
        }
    }

    /// As recipes write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Linkage::Static => "static",
            Linkage::Dynamic => "dynamic",
            Linkage::Mixed => "mixed",
        }
    }

    /// Whether a library of this linkage must be below what is linked with it when that runs.
    pub fn is_needed_to_run(self) -> bool {
        match self {
            Linkage::Static => false,
            Linkage::Dynamic | Linkage::Mixed => true,
        }
    }

    /// What a package of this linkage needs its library to be. A program with one shared library has a shared C library too: no loader
    /// could give it the other one.
    fn needs(self, role: Role) -> Linkage {
        match (self, role) {
            (Linkage::Static, _) | (Linkage::Mixed, Role::Other) => Linkage::Static,
            (Linkage::Dynamic, _) | (Linkage::Mixed, Role::Libc | Role::StaysShared) => Linkage::Dynamic,
        }
    }
}

/// What a package with these choices asks of a library in that role, where the library leaves it open.
pub fn handed_on(selection: &Selection, role: Role) -> BTreeMap<String, Choice> {
    let linkage = Linkage::of(selection).and_then(|own| Name::parse(own.needs(role).as_str()).ok());
    let linkage = linkage.map(|name| (LINKAGE.to_owned(), Choice::Of(name)));
    let libc = Some(selection.get(LIBC)).filter(|it| matches!(it, Choice::Of(_)) && role != Role::Libc);
    linkage.into_iter().chain(libc.map(|libc| (LIBC.to_owned(), libc.clone()))).collect()
}

/// Whether the package of this name is the C library of one with these choices.
pub fn is_libc(selection: &Selection, name: &Name) -> bool {
    matches!(selection.get(LIBC), Choice::Of(libc) if libc == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(choices: &[(&str, &str)]) -> Selection {
        let choice =
            |(name, value): &(&str, &str)| ((*name).to_owned(), Choice::Of(Name::parse(value).unwrap()));
        choices.iter().map(choice).collect()
    }

    /// The whole function, as docs/recipes.md has it.
    #[test]
    fn what_is_handed_on_is_this_table() {
        for (own, role, expected) in [
            ("static", Role::Other, "static"),
            ("static", Role::StaysShared, "static"),
            ("static", Role::Libc, "static"),
            ("dynamic", Role::Other, "dynamic"),
            ("dynamic", Role::StaysShared, "dynamic"),
            ("dynamic", Role::Libc, "dynamic"),
            ("mixed", Role::Other, "static"),
            ("mixed", Role::StaysShared, "dynamic"),
            ("mixed", Role::Libc, "dynamic"),
        ] {
            let asked = handed_on(&selection(&[("linkage", own), ("libc", "glibc")]), role);
            let value = |name: &str| asked.get(name).map(ToString::to_string);
            assert_eq!(value("linkage").as_deref(), Some(expected), "{own} {role:?}");
            assert_eq!(value("libc").is_some(), role != Role::Libc, "{own} {role:?}");
        }
    }

    #[test]
    fn who_says_nothing_of_it_hands_on_nothing() {
        assert!(handed_on(&selection(&[]), Role::Other).is_empty());
        let libc_alone = handed_on(&selection(&[("libc", "musl")]), Role::Other);
        assert_eq!(libc_alone.keys().collect::<Vec<_>>(), ["libc"]);
        assert_eq!(Linkage::of(&selection(&[])), None);
    }
}
