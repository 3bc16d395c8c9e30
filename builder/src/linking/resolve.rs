//! All layers of a stack, bottom first: each with what lies below it.

use std::collections::{BTreeMap, HashSet};

use profiles::Name;

use super::facts::{ElfFile, ImageFacts};
use super::finding::{Finding, Missing};
use super::loader::Loader;
use super::loading::{Gap, Loading, Surroundings};
use super::tree::{Found, Here, Tree, View};
use crate::stacking::Node;

/// A layer and what there is to know about it.
#[derive(Debug, Clone, Copy)]
pub struct Layer<'a> {
    /// The package.
    pub name: &'a Name,
    /// Its programs and libraries.
    pub facts: &'a ImageFacts,
    /// Every path that it has, without a leading slash: what is no program can hide one.
    pub paths: &'a [(Vec<u8>, Node)],
}

/// What programs and libraries of layers need, and neither their layer nor one below it gives. The first `stack` layers are the stack,
/// bottom first; each of the others may be added to that alone.
pub fn findings(layers: &[Layer<'_>], stack: usize) -> Vec<Finding> {
    if layers.iter().all(|layer| layer.facts.files.is_empty()) {
        return Vec::new();
    }
    let tree = Tree::of(&layers.iter().map(|layer| (layer.facts, layer.paths)).collect::<Vec<_>>());
    let mut all = Search { layers, tree: &tree, loaded: HashSet::new(), found: BTreeMap::new() };
    for layer in 0..layers.len() {
        all.look_at(layer, stack);
    }
    all.found.into_values().collect()
}

struct Search<'t, 'a> {
    layers: &'a [Layer<'a>],
    tree: &'t Tree<'a>,
    /// Names by which programs so far have loaded libraries: these are there already when such a program opens another one.
    loaded: HashSet<String>,
    /// By layer, and what is missing there.
    found: BTreeMap<(usize, Missing), Finding>,
}

impl<'t, 'a> Search<'t, 'a> {
    fn look_at(&mut self, layer: usize, stack: usize) {
        let view = match layer < stack {
            true => View { highest: layer, added: None },
            false => View { highest: stack.saturating_sub(1), added: Some(layer) },
        };
        let files = self.layers[layer].facts.files.iter().filter(|file| file.is_ours());
        let (programs, libraries): (Vec<&'a ElfFile>, Vec<&'a ElfFile>) =
            files.partition(|file| file.linkage.interpreter.is_some());
        let mut reached: HashSet<*const ElfFile> = HashSet::new();
        for program in programs {
            self.look_at_program((program, layer), view, &mut reached);
        }
        for library in libraries {
            if !reached.contains(&std::ptr::from_ref(library)) {
                self.look_at_library((library, layer), view);
            }
        }
    }

    fn look_at_program(
        &mut self,
        program: (&'a ElfFile, usize),
        view: View,
        reached: &mut HashSet<*const ElfFile>,
    ) {
        let path = program.0.linkage.interpreter.as_deref().unwrap_or_default();
        let interpreter = self.tree.follow(view, path);
        if !matches!(interpreter, Some(Found { here: Here::Elf(file), .. }) if file.is_ours()) {
            let instead = interpreter.map(|_| format!("{path} is no program for this machine"));
            self.note(program, Missing::Interpreter(path.to_owned()), instead, view);
        }
        let Some(loader) = Loader::of_interpreter(path) else { return };
        let around = self.around(loader, view);
        let loading = Loading::of(&around, program, interpreter);
        for object in &loading.objects {
            reached.insert(std::ptr::from_ref(object.file));
            self.loaded.extend(object.file.linkage.soname.clone());
            self.loaded.extend(object.file.path.rsplit('/').next().map(str::to_owned));
        }
        self.note_all(&loading, &loading.gaps.iter().collect::<Vec<_>>(), view);
    }

    /// A library that no program of its layer is linked with is opened by one that runs. Which one, and what that has loaded by then, nobody
    /// can see: a library that programs load, that its own layer has anywhere, or that lies beside it, is taken for found.
    fn look_at_library(&mut self, library: (&'a ElfFile, usize), view: View) {
        let loaders = Loader::of_library(&library.0.linkage);
        let around: Vec<_> = loaders.iter().map(|loader| self.around(*loader, view)).collect();
        let loadings: Vec<_> = around.iter().map(|around| Loading::of(around, library, None)).collect();
        let fewest = loadings.iter().min_by_key(|loading| loading.gaps.len());
        let Some(loading) = fewest else { return };
        let found_by_others = |gap: &&Gap| {
            let Missing::Library(name) = &gap.missing else { return false };
            let folder =
                loading.objects[gap.object].file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let beside = self.tree.follow(view, &format!("{folder}/{name}"));
            let beside = beside.is_some_and(|found| matches!(found.here, Here::Elf(file) if file.is_ours()));
            beside || self.loaded.contains(name) || gap.missing.is_in(self.layers[library.1].facts)
        };
        let gaps: Vec<&Gap> = loading.gaps.iter().filter(|gap| !found_by_others(gap)).collect();
        self.note_all(loading, &gaps, view);
    }

    fn around(&self, loader: Loader, view: View) -> Surroundings<'t, 'a> {
        let usual = loader.usual_folders(self.musl_folders(view));
        Surroundings { tree: self.tree, view, loader, usual }
    }

    /// What the uppermost layer that says something of it says.
    fn musl_folders(&self, view: View) -> Option<&'a str> {
        let layers = self.layers.iter().enumerate().rev().filter(|(layer, _)| view.has(*layer));
        layers.filter_map(|(_, layer)| layer.facts.musl_folders.as_deref()).next()
    }

    fn note_all(&mut self, loading: &Loading<'_, 'a>, gaps: &[&Gap], view: View) {
        for gap in gaps {
            let object = &loading.objects[gap.object];
            self.note((object.file, object.layer), gap.missing.clone(), gap.instead.clone(), view);
        }
    }

    fn note(
        &mut self,
        (file, layer): (&'a ElfFile, usize),
        missing: Missing,
        instead: Option<String>,
        view: View,
    ) {
        let by = format!("/{}", file.path);
        match self.found.get_mut(&(layer, missing.clone())) {
            Some(known) if known.by.contains(&by) => {}
            Some(known) => known.by.push(by),
            None => {
                let above = self.above(&missing, view);
                let name = self.layers[layer].name.clone();
                let finding = Finding { layer: name, missing: missing.clone(), by: vec![by], instead, above };
                self.found.insert((layer, missing), finding);
            }
        }
    }

    /// The layers that are not there, and have it.
    fn above(&self, missing: &Missing, view: View) -> Vec<Name> {
        let others = self.layers.iter().enumerate().filter(|(layer, _)| !view.has(*layer));
        others.filter(|(_, layer)| missing.is_in(layer.facts)).map(|(_, layer)| layer.name.clone()).collect()
    }
}
