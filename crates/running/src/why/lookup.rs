//! The lookup of overlayfs, which also remembers what it hides.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::absolute;
use super::answer::{Answer, Entry, Verdict, name};
use super::layers::{Kind, Layers, Source, attribute};

/// More symbolic links than this the kernel does not follow on one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What has the path, from the top. Links to folders on the way are followed, as the kernel does; what the last component is, is
/// the answer. `covered` says where a mount lies over the layers, so that their links do not count.
pub(super) fn look_up(layers: &Layers, path: &Path, covered: impl Fn(&Path) -> bool) -> Answer {
    let mut walk = Walk { answer: Answer::empty(path), gone: None };
    // What has each folder of the way, from the root on.
    let mut above: Vec<Vec<(Entry, PathBuf)>> = vec![layers.folders.iter().map(whole_layer).collect()];
    let (mut way, mut rest, mut links) = (PathBuf::from("/"), parts(path), 0);
    while let Some(part) = rest.pop_front() {
        if part == "." {
            continue;
        }
        if part == ".." {
            if way.pop() {
                above.pop();
            }
            walk.forget_below(&way);
            continue;
        }
        way.push(part);
        let found = walk.step(above.last().map_or(&[][..], Vec::as_slice), &way);
        if !rest.is_empty() {
            if let Some((target, who)) = link(&found).filter(|_| links < MOST_LINKS && !covered(&way)) {
                links += 1;
                let note = format!("{} is a symbolic link of {who} to {}", way.display(), target.display());
                walk.answer.notes.push(note);
                way.pop();
                if target.is_absolute() {
                    way = PathBuf::from("/");
                    above.truncate(1);
                }
                let then = std::mem::replace(&mut rest, parts(&target));
                rest.extend(then);
                continue;
            }
            walk.check_the_way(&found, &way, &rest);
        }
        above.push(found);
    }
    walk.answer.real = way;
    walk.answer.followed = links > 0;
    walk.end(above.pop().unwrap_or_default())
}

/// The components of a path. A slash at the end asks for what a link leads to, so that it counts as one more.
fn parts(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter(|part| !matches!(part, Component::RootDir | Component::Prefix(_)));
    let mut parts: VecDeque<OsString> = names.map(|part| part.as_os_str().to_owned()).collect();
    let bytes = path.as_os_str().as_bytes();
    if !parts.is_empty() && (bytes.ends_with(b"/") || bytes.ends_with(b"/.")) {
        parts.push_back(OsString::from("."));
    }
    parts
}

/// The link that the root has there, and who gave it.
fn link(found: &[(Entry, PathBuf)]) -> Option<(PathBuf, String)> {
    let visible = found.iter().map(|(entry, _)| entry).find(|entry| !entry.hidden)?;
    match &visible.kind {
        Kind::Link(target) => Some((target.clone(), name(&visible.source))),
        _ => None,
    }
}

/// The root of a layer is a folder that hides nothing.
fn whole_layer((source, folder): &(Source, PathBuf)) -> (Entry, PathBuf) {
    let kind = Kind::Folder { opaque: false };
    (Entry { source: source.clone(), kind, hidden: false }, folder.clone())
}

struct Walk {
    answer: Answer,
    /// The first component that the root does not have, or not as a folder; what is known of that.
    gone: Option<(PathBuf, Verdict, Option<String>)>,
}

impl Walk {
    /// Looks for one more component: all that have it, top first, and where.
    fn step(&mut self, above: &[(Entry, PathBuf)], way: &Path) -> Vec<(Entry, PathBuf)> {
        let (mut found, mut folder_above, mut covered) = (Vec::new(), false, false);
        for (Entry { source, hidden, .. }, folder) in above.iter().filter(|(entry, _)| entry.kind.is_folder())
        {
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
        found
    }

    /// `..` led back above what is missing.
    fn forget_below(&mut self, way: &Path) {
        self.gone.take_if(|(missing, ..)| !way.starts_with(&*missing));
    }

    /// Notes why the path goes no further than `way`, though `rest` is still to come.
    fn check_the_way(&mut self, found: &[(Entry, PathBuf)], way: &Path, rest: &VecDeque<OsString>) {
        if self.gone.is_some() {
            return;
        }
        let visible = found.iter().map(|(entry, _)| entry).find(|entry| !entry.hidden);
        let rest = || rest.iter().collect::<PathBuf>();
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
        self.gone = Some((way.to_owned(), verdict, note));
    }

    fn end(mut self, found: Vec<(Entry, PathBuf)>) -> Answer {
        let entries = || found.iter().map(|(entry, _)| entry);
        self.answer.verdict = match (self.gone.take(), entries().find(|entry| !entry.hidden)) {
            (Some((_, gone, note)), _) => {
                self.answer.notes.extend(note);
                gone
            }
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
