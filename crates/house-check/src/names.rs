//! What a path means: the module whose own text defines it. Names that are handed on (`pub use`) are followed to where they come
//! from, so that using a sibling through the parent counts as using the sibling.

use crate::modules::{Id, Modules};
use crate::paths::Definition;

/// Longer chains of imports are circles of names, which the compiler refuses.
const LONGEST_CHAIN: usize = 16;

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    /// The module that defines it, or that it is.
    pub module: Id,
    /// The item; none for a module, and for what no item defines as far as the text shows (made by a macro).
    pub item: Option<(String, Definition)>,
}

/// What `path` means in the module `from`; none for other crates, local variables and words of the language.
pub fn meaning(modules: &Modules, from: Id, path: &[String]) -> Option<Meaning> {
    match path {
        // A word alone is a value, a type or a local variable, never a module of its own.
        [word] if modules.get(from).children.contains_key(word) && !is_imported(modules, from, word) => None,
        _ => resolve(modules, from, path, 0),
    }
}

fn is_imported(modules: &Modules, from: Id, word: &str) -> bool {
    modules.get(from).imports.contains_key(word)
}

fn resolve(modules: &Modules, from: Id, path: &[String], depth: usize) -> Option<Meaning> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => descend(modules, modules.line_of(from)[0], rest, depth),
        "self" => descend(modules, from, rest, depth),
        "super" => {
            let mut rest = rest;
            let mut above = modules.get(from).parent?;
            while rest.first().is_some_and(|word| word == "super") {
                above = modules.get(above).parent?;
                rest = &rest[1..];
            }
            descend(modules, above, rest, depth)
        }
        _ => named(modules, from, path, depth),
    }
}

/// `path` inside the module `module`, which is known to be meant.
fn descend(modules: &Modules, module: Id, path: &[String], depth: usize) -> Option<Meaning> {
    if path.is_empty() || path == ["*"] {
        return Some(Meaning { module, item: None });
    }
    named(modules, module, path, depth).or_else(|| {
        // An import that leads out of the crate was found and is not ours; any other name is one that a macro made.
        let imported = is_imported(modules, module, &path[0]);
        (!imported).then_some(Meaning { module, item: None })
    })
}

/// `path` by the names that the module `module` has: its modules, its items, its imports.
fn named(modules: &Modules, module: Id, path: &[String], depth: usize) -> Option<Meaning> {
    if depth > LONGEST_CHAIN {
        return None;
    }
    let (first, rest) = path.split_first()?;
    let here = modules.get(module);
    let item = here.defined.get(first);
    if let Some(child) = here.children.get(first)
        && (item.is_none() || !rest.is_empty())
    {
        return descend(modules, *child, rest, depth + 1);
    }
    if let Some(definition) = item {
        return Some(Meaning { module, item: Some((first.clone(), *definition)) });
    }
    if let Some(import) = here.imports.get(first) {
        let whole: Vec<String> = import.path.iter().chain(rest).cloned().collect();
        return resolve(modules, module, &whole, depth + 1);
    }
    here.globs.iter().find_map(|glob| {
        let Meaning { module: source, item: None } = resolve(modules, module, glob, depth + 1)? else {
            return None;
        };
        (source != module).then(|| named(modules, source, path, depth + 1))?
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The name of the module that `path` leads to, seen from the module `from`.
    fn leads_to(text: &str, from: &str, path: &str) -> Option<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("lib.rs"), text).unwrap();
        let modules = Modules::read(folder.path(), Path::new("lib.rs")).unwrap();
        let from = modules.ids().find(|id| modules.get(*id).name == from).unwrap();
        let path: Vec<String> = path.split("::").map(str::to_owned).collect();
        meaning(&modules, from, &path).map(|meaning| modules.get(meaning.module).name.clone())
    }

    const TEXT: &str = "
        use std::fs;
        pub use self::b::B;
        pub use c::*;
        pub struct Own;
        mod a { use super::b; use crate::b::B as Other; mod inner {} }
        mod b { pub struct B; made_by_macro!(); }
        mod c { pub fn c() {} }";

    #[test]
    fn paths_lead_to_the_module_that_defines() {
        for (path, module) in [
            ("crate::Own", "lib"),
            ("super::Own", "lib"),
            ("super::B", "b"),
            ("super::c", "c"),
            ("super::c::c", "c"),
            ("b::B", "b"),
            ("Other", "b"),
            ("Other::new", "b"),
            ("super::b::Made", "b"),
            ("crate::b::*", "b"),
        ] {
            assert_eq!(leads_to(TEXT, "a", path).as_deref(), Some(module), "{path}");
        }
        assert_eq!(leads_to(TEXT, "inner", "super::super::c::c").as_deref(), Some("c"));
    }

    #[test]
    fn other_crates_and_local_words_lead_nowhere() {
        for path in ["std::fs", "super::fs::read", "unknown", "inner", "Vec::new"] {
            assert_eq!(leads_to(TEXT, "a", path), None, "{path}");
        }
    }
}
