//! The lookup of overlayfs, which also remembers what it hides.

use std::path::{Path, PathBuf};

use super::absolute;
use super::answer::{Answer, Entry, Verdict, name};
use super::layers::{Kind, Layers, Source, attribute};

/// A folder to look into.
struct Place {
    source: Source,
    folder: PathBuf,
    hidden: bool,
}

/// What has the path, from the top.
pub(super) fn look_up(layers: &Layers, path: &Path) -> Answer {
    let mut walk = Walk { answer: Answer::empty(path), gone: None };
    let mut entries: Vec<(Entry, PathBuf)> = layers.folders.iter().map(whole_layer).collect();
    let mut way = PathBuf::from("/");
    for component in path.components().skip(1) {
        way.push(component);
        let folders = entries.into_iter().filter(|(entry, _)| entry.kind.is_folder());
        let places: Vec<Place> = folders
            .map(|(entry, folder)| Place { source: entry.source, folder, hidden: entry.hidden })
            .collect();
        entries = walk.step(&places, &way, path);
    }
    walk.end(entries)
}

/// The root of a layer is a folder that hides nothing.
fn whole_layer((source, folder): &(Source, PathBuf)) -> (Entry, PathBuf) {
    let kind = Kind::Folder { opaque: false };
    (Entry { source: source.clone(), kind, hidden: false }, folder.clone())
}

struct Walk {
    answer: Answer,
    /// The first component that the root does not have, or not as a folder.
    gone: Option<Verdict>,
}

impl Walk {
    /// Looks for one more component: all that have it, top first, and where.
    fn step(&mut self, places: &[Place], way: &Path, path: &Path) -> Vec<(Entry, PathBuf)> {
        let (mut found, mut folder_above, mut covered) = (Vec::new(), false, false);
        for Place { source, folder, hidden } in places {
            let here = folder.join(way.file_name().unwrap_or_default());
            let kind = match Kind::at(&here) {
                Ok(Some(kind)) => kind,
                Ok(None) => continue,
                Err(error) => {
                    self.answer.notes.push(format!("{} was not looked at: {error}", here.display()));
                    continue;
                }
            };
            let reached = !*hidden && !covered;
            let hidden = !reached || (folder_above && !kind.is_folder());
            if reached {
                covered |= kind.covers();
                folder_above |= kind.is_folder();
            }
            if let (false, Some(from)) = (hidden, attribute(&here, "trusted.overlay.redirect")) {
                let from = String::from_utf8_lossy(&from).into_owned();
                let note = format!("{} was renamed: ask also for its old name, {from}", way.display());
                self.answer.notes.push(note);
            }
            found.push((Entry { source: source.clone(), kind, hidden }, here));
        }
        if way != path {
            self.check_the_way(&found, way, path);
        }
        found
    }

    /// Notes why the path goes no further than `way`.
    fn check_the_way(&mut self, found: &[(Entry, PathBuf)], way: &Path, path: &Path) {
        let visible = found.iter().map(|(entry, _)| entry).find(|entry| !entry.hidden);
        let rest = || path.strip_prefix(way).unwrap_or(path);
        let (verdict, note) = match visible.map(|entry| (&entry.kind, name(&entry.source))) {
            Some((Kind::Folder { .. }, _)) => return,
            None => (Verdict::Missing, None),
            Some((Kind::Whiteout, who)) => {
                (Verdict::Deleted, Some(format!("{} is deleted by {who}", way.display())))
            }
            Some((Kind::Link(target), who)) => {
                let real = absolute(way.parent().unwrap_or(way), target).join(rest());
                let link = format!("{} is a symbolic link of {who}", way.display());
                (Verdict::Missing, Some(format!("{link}: ask for {}", real.display())))
            }
            Some((_, who)) => {
                (Verdict::Missing, Some(format!("{} is no folder, but a file of {who}", way.display())))
            }
        };
        if self.gone.is_none() {
            self.gone = Some(verdict);
            self.answer.notes.extend(note);
        }
    }

    fn end(mut self, found: Vec<(Entry, PathBuf)>) -> Answer {
        let entries = || found.iter().map(|(entry, _)| entry);
        self.answer.verdict = match (self.gone.take(), entries().find(|entry| !entry.hidden)) {
            (Some(gone), _) => gone,
            (None, None) => Verdict::Missing,
            (None, Some(Entry { kind: Kind::Whiteout, source, .. })) => {
                self.answer.notes.push(format!("deleted by {}", name(source)));
                Verdict::Deleted
            }
            (None, Some(_)) => Verdict::Given,
        };
        self.answer.entries = entries().filter(|entry| entry.kind != Kind::Whiteout).cloned().collect();
        self.answer
    }
}
