//! The recipes of a kernel of one's own, with the fragments of whoever asks for it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kernel_config::{Group, fragment, place};
use profiles::Name;

use super::fragment_lines;
use crate::error::{AtSpan, Error, Result};
use crate::recipe::RecipeFolder;
use crate::text_file;

/// The package.
pub const PACKAGE: &str = "linux";
/// Where fragments of others lie in its folder.
const OWN: &str = "own";

/// What this program was built with, for where a tree has no such package. Its fragments are made of the table.
const BUILT_IN: [(&str, &[u8]); 10] = [
    ("bootstrap/recipe.kdl", include_bytes!("../../../packages/bootstrap/recipe.kdl")),
    ("bootstrap/debian.kdl", include_bytes!("../../../packages/bootstrap/debian.kdl")),
    ("bootstrap/lock.kdl", include_bytes!("../../../packages/bootstrap/lock.kdl")),
    ("linux-tools/recipe.kdl", include_bytes!("../../../packages/linux-tools/recipe.kdl")),
    ("linux-tools/debian.kdl", include_bytes!("../../../packages/linux-tools/debian.kdl")),
    ("linux-tools/lock.kdl", include_bytes!("../../../packages/linux-tools/lock.kdl")),
    ("linux/recipe.kdl", include_bytes!("../../../packages/linux/recipe.kdl")),
    ("linux/start.config", include_bytes!("../../../packages/linux/start.config")),
    ("linux/asked", include_bytes!("../../../packages/linux/asked")),
    ("linux/why.c", include_bytes!("../../../packages/linux/why.c")),
];

/// The files of recipes, by path below the folder of recipes.
type Files = BTreeMap<String, Vec<u8>>;

/// A fragment that somebody adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnFragment {
    /// What messages call it.
    name: String,
    text: Vec<u8>,
}

impl OwnFragment {
    /// A file, or the fragment of a group of the table that no such file hides.
    ///
    /// # Errors
    /// It is neither, cannot be read, or has a line that is no setting.
    pub fn open(word: &str) -> Result<OwnFragment> {
        let path = Path::new(word);
        if let Some(group) = Group::ALL.into_iter().find(|it| it.name() == word && !path.exists()) {
            return Ok(OwnFragment { name: format!("{word}.config"), text: fragment(group).into_bytes() });
        }
        let text = text_file::read(path).map_err(|error| {
            let groups = Group::ALL.map(Group::name).join(", ");
            error.remedy(format!("give a file with lines like CONFIG_X=y, or one of {groups}"))
        })?;
        fragment_lines::check(&path.display().to_string(), &text)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let plain = |it: char| if it.is_ascii_alphanumeric() || ".-_".contains(it) { it } else { '_' };
        Ok(OwnFragment { name: name.chars().map(plain).collect(), text })
    }
}

/// Writes the recipes that make a kernel below `folder`, with these fragments behind its own; from `tree` when it has the package.
///
/// # Errors
/// A recipe of the tree cannot be read; `folder` cannot be written to.
pub fn write(folder: &Path, tree: Option<&RecipeFolder>, fragments: &[OwnFragment]) -> Result<()> {
    let mut files = match tree {
        Some(tree) => of_tree(tree)?,
        None => built_in(),
    };
    add(&mut files, fragments);
    for (path, bytes) in &files {
        let path = folder.join(path);
        let above = path.parent().unwrap_or(folder);
        fs::create_dir_all(above)
            .and_then(|()| fs::write(&path, bytes))
            .map_err(Error::on(path.display()))?;
    }
    Ok(())
}

fn built_in() -> Files {
    let files = BUILT_IN.into_iter().map(|(path, bytes)| (path.to_owned(), bytes.to_vec()));
    let fragments = Group::ALL.map(|it| (format!("{PACKAGE}/{}", place(it)), fragment(it).into_bytes()));
    files.chain(fragments).collect()
}

/// The recipe, and those of all that its build needs.
fn of_tree(tree: &RecipeFolder) -> Result<Files> {
    let (mut files, mut waiting) = (Files::new(), vec![name(PACKAGE)?]);
    while let Some(name) = waiting.pop() {
        let place = format!("{name}/recipe.kdl");
        if files.contains_key(&place) {
            continue;
        }
        let recipe = tree.load(&name)?;
        files.insert(place, text_file::read(&recipe.folder.join("recipe.kdl"))?);
        for file in recipe.files.iter().chain(&recipe.patches).map(|it| &it.item) {
            let path = recipe.path_of(&file.path).map_err(|error| error.at(&file.span))?;
            let bytes = fs::read(&path).map_err(Error::on(path.display()))?;
            files.insert(format!("{name}/{}", file.path), bytes);
        }
        waiting.extend(
            recipe
                .libraries
                .iter()
                .chain(&recipe.build_depends)
                .chain(&recipe.depends)
                .map(|it| it.item.name.clone()),
        );
        waiting.push(recipe.bootstrap);
    }
    Ok(files)
}

fn name(text: &str) -> Result<Name> {
    Name::parse(text).map_err(Error::on(text))
}

/// Puts fragments beside the recipe, and names them in it: they are part of the id then.
fn add(files: &mut Files, fragments: &[OwnFragment]) {
    let mut nodes = String::new();
    for (number, OwnFragment { name, text }) in fragments.iter().enumerate() {
        // The recipe takes them in the order of their names.
        let place = format!("{OWN}/{:02}-{name}", number + 1);
        nodes += &format!("    file \"{place}\"\n");
        files.insert(format!("{PACKAGE}/{place}"), text.clone());
    }
    if let Some(recipe) = files.get_mut(&format!("{PACKAGE}/recipe.kdl")) {
        let end = recipe.iter().rposition(|byte| *byte == b'}').unwrap_or(recipe.len());
        recipe.splice(end..end, nodes.into_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who has no tree builds the same: the id knows every byte.
    #[test]
    fn the_built_in_recipes_are_those_of_the_tree() {
        let tree = RecipeFolder::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../packages"));
        let of_tree = of_tree(&tree).unwrap();
        let mut built_in = built_in();
        // No recipe names it.
        built_in.remove(&format!("{PACKAGE}/{}", place(Group::Graphics)));
        assert_eq!(of_tree.keys().collect::<Vec<_>>(), built_in.keys().collect::<Vec<_>>());
        assert!(of_tree == built_in, "a file differs");
    }

    #[test]
    fn fragments_of_others_come_last_and_keep_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("my own.config");
        fs::write(&path, "CONFIG_TLS=y\n").unwrap();
        let fragments = [path.to_str().unwrap(), "state"].map(|word| OwnFragment::open(word).unwrap());
        write(folder.path(), None, &fragments).unwrap();
        let recipe = RecipeFolder::new(folder.path().to_owned()).load(&name(PACKAGE).unwrap()).unwrap();
        let last: Vec<&str> = recipe.files.iter().rev().take(2).map(|file| file.item.path.as_str()).collect();
        assert_eq!(last, ["own/02-state.config", "own/01-my_own.config"]);
        assert!(recipe.files.iter().all(|file| recipe.path_of(&file.item.path).is_ok()));
        let error = OwnFragment::open("stat").unwrap_err().to_string();
        assert!(error.contains("a file with lines like CONFIG_X=y, or one of core, media"), "{error}");
    }
}
