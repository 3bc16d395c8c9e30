//! A tree of recipes made for one test, and ids of its packages.

// Each test program uses some of it.
#![allow(dead_code)]

use std::fs;
use std::path::PathBuf;

use builder::Result;
use builder::choice::{Asker, Wishes};
use builder::graph::{Graph, Request};
use builder::recipe::RecipeFolder;
use profiles::{Choice, Name};
use tempfile::TempDir;

/// `packages/` in a temporary folder.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    /// A tree with a bootstrap recipe.
    pub fn new() -> Self {
        let tree = Tree { folder: tempfile::tempdir().unwrap() };
        tree.write("bootstrap/debian.kdl", "");
        tree.write("bootstrap/lock.kdl", "");
        tree.recipe("bootstrap", "version \"12\"\nfile \"debian.kdl\"\nfile \"lock.kdl\"\ndebian");
        tree
    }

    /// Writes a file below `packages/`.
    pub fn write(&self, path: &str, text: &str) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a recipe with these nodes and what every recipe has.
    pub fn recipe(&self, name: &str, nodes: &str) {
        let text = format!("recipe \"{name}\" {{\ndescription \"A test\"\nlicense \"MIT\"\n{nodes}\n}}\n");
        self.write(&format!("{name}/recipe.kdl"), &text);
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("packages")
    }

    /// The graph of these packages with their defaults.
    pub fn resolve(&self, names: &[&str]) -> Result<(Graph, Vec<usize>)> {
        self.resolve_with(names, &[])
    }

    /// The same with choices, such as `("tls", "libressl")`, `("nls", "on")`.
    pub fn resolve_with(&self, names: &[&str], choices: &[(&str, &str)]) -> Result<(Graph, Vec<usize>)> {
        let choices = choices.iter().map(|(name, choice)| ((*name).to_owned(), self::choice(choice)));
        let wishes = Wishes { choices: choices.collect(), by: Asker::CommandLine };
        let request =
            |name: &&str| Request { wishes: wishes.clone(), ..Request::plain(Name::parse(name).unwrap()) };
        let requests: Vec<Request> = names.iter().map(request).collect();
        Graph::resolve(&RecipeFolder::new(self.path()), &requests)
    }
}

/// `on`, `off` or a value.
pub fn choice(word: &str) -> Choice {
    match word {
        "on" => Choice::On,
        "off" => Choice::Off,
        value => Choice::Of(Name::parse(value).unwrap()),
    }
}
