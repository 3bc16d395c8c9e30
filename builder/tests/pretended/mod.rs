//! Builds that are in a store without having been made: records, images of one byte, and the texts of ids.

// Each test program uses some of it.
#![allow(dead_code)]

use std::path::Path;

use builder::graph::{Graph, Package, Request};
use builder::recipe::RecipeFolder;
use builder::store::{BuildRecord, Dependency, SourceRecord, Store};
use profiles::{Digest, Name};

/// Puts these packages, and all that they need, into the store `store/` of a folder that has `packages/`; with the texts of their ids, or as
/// earlier versions did.
pub fn built(folder: &Path, names: &[&str], with_texts: bool) -> Graph {
    let requests: Vec<Request> =
        names.iter().map(|name| Request::plain(Name::parse(name).unwrap())).collect();
    asked(folder, &requests, with_texts)
}

/// The same for requests.
pub fn asked(folder: &Path, requests: &[Request], with_texts: bool) -> Graph {
    let (graph, _) = Graph::resolve(&RecipeFolder::new(folder.join("packages")), requests).unwrap();
    let store = Store::open(&folder.join("store")).unwrap();
    for package in graph.packages() {
        let record = record(&graph, package);
        store.write(&store.image_path(&record.digest), b"x").unwrap();
        store.write(&store.record_path(&record.id), record.to_kdl().as_bytes()).unwrap();
        if with_texts {
            store.keep_id_text(&package.id, &package.canonical).unwrap();
        }
    }
    graph
}

/// As the builder writes it.
fn record(graph: &Graph, package: &Package) -> BuildRecord {
    let layer = |index: &usize| {
        let Package { recipe, id, .. } = &graph.packages()[*index];
        Dependency {
            name: recipe.name.clone(),
            version: recipe.version.to_string(),
            id: *id,
            digest: image_of(id),
        }
    };
    let recipe = &package.recipe;
    let sources = package.instructions.sources.iter();
    BuildRecord {
        digest: image_of(&package.id),
        size: 1,
        variant: package.selection.variant().map(str::to_owned),
        features: package.selection.features().map(|(name, it)| (name.to_owned(), it.clone())).collect(),
        build_root: package.build_root.iter().map(layer).collect(),
        depends: package.run_depends.iter().map(|needed| needed.name.clone()).collect(),
        sources: sources.map(|it| SourceRecord { file: it.file.clone(), sha256: it.sha256 }).collect(),
        ..BuildRecord::without_recipe(
            recipe.name.clone(),
            recipe.version.to_string(),
            package.id,
            &recipe.license,
            "x86_64-linux",
        )
    }
}

/// A name for the image, which is not its hash.
fn image_of(id: &Digest) -> Digest {
    Digest::of_bytes(id.hex())
}

/// The beginning of the id of a package.
pub fn id<'g>(graph: &'g Graph, name: &str) -> String {
    let of_name = |package: &&'g Package| package.recipe.name.as_str() == name;
    graph.packages().iter().find(of_name).unwrap().id.hex()[..12].to_owned()
}
