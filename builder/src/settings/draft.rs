//! A plan that is being made: what is put where, and what was wrong.

use std::collections::BTreeMap;

use profiles::{Diagnostic, Span};
use squashfs::{Kind, Metadata};

use super::plan::{Plan, Planned, What};
use crate::stacking::joined::{Joined, Seen, Way};

/// The stack that settings are for.
#[derive(Clone)]
pub struct Target<'a> {
    /// The layers, as they will be joined.
    pub joined: Joined<'a>,
    /// The first program, as the profile names it.
    pub init: &'a str,
    /// What the image will be called: the names of some files begin with it.
    pub image: &'a str,
}

/// Errors of the stack itself; those of the settings are gathered.
pub(super) type Read<T> = Result<T, squashfs::Error>;

/// The line that asks for something.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    /// What it sets, as `user me`.
    pub setting: &'a str,
    /// Where it stands.
    pub span: &'a Span,
}

/// Mode and owner.
pub(super) fn owned(mode: u32, (uid, gid): (u32, u32)) -> Metadata {
    Metadata { uid, gid, ..Metadata::mode(mode) }
}

/// A plan that is being made.
pub(super) struct Draft<'a> {
    /// What it is for.
    pub target: &'a Target<'a>,
    plan: Plan,
    errors: Vec<Diagnostic>,
    /// Who put something at a path.
    lines: BTreeMap<Vec<u8>, (Span, String)>,
}

/// What init and every system mount something over at each boot: what an image has there nobody sees.
const COVERED: [&str; 5] = ["dev", "proc", "run", "sys", "tmp"];

/// The folder that hides what lies at this place of the stack, links followed.
fn covered(place: &[u8]) -> Option<&'static str> {
    let top = place.split(|byte| *byte == b'/').find(|part| !part.is_empty())?;
    COVERED.into_iter().find(|it| it.as_bytes() == top)
}

impl<'a> Draft<'a> {
    pub fn new(target: &'a Target<'a>) -> Draft<'a> {
        Draft { target, plan: Plan::default(), errors: Vec::new(), lines: BTreeMap::new() }
    }

    /// The plan, and what was wrong.
    pub fn finish(mut self) -> Read<(Plan, Vec<Diagnostic>)> {
        // The record of how the image was made lies there.
        self.folders_to(b"usr/share/lamina/x".to_vec())?;
        Ok((self.plan, self.errors))
    }

    /// Notes what the stack cannot do.
    pub fn refuse(&mut self, line: Line<'_>, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(line.span.error(message, help));
    }

    /// Notes that was found elsewhere.
    pub fn note(&mut self, error: Diagnostic) {
        self.errors.push(error);
    }

    /// Says that a file of a layer goes into the image with something added.
    pub fn merges(&mut self, seen: &Seen) {
        self.plan.merged.insert(seen.layer);
    }

    /// Says whose password hash is in the image.
    pub fn holds_hash(&mut self, account: &str) {
        self.plan.hashes.push(account.to_owned());
    }

    /// What `path` leads to in the stack, when there is something.
    pub fn find(&self, path: &str) -> Read<Option<Seen>> {
        match self.target.joined.follow(path.as_bytes())? {
            Way::Found(seen) => Ok(Some(seen)),
            Way::Missing { .. } | Way::Not(..) => Ok(None),
        }
    }

    /// Whether `path` leads to a folder.
    pub fn has_folder(&self, path: &str) -> Read<bool> {
        Ok(self.find(path)?.is_some_and(|seen| seen.item.kind == Kind::Directory))
    }

    /// Whether `path` leads to a file that may be run.
    pub fn has_program(&self, path: &str) -> Read<bool> {
        Ok(self.find(path)?.is_some_and(|seen| is_program(&seen)))
    }

    /// The first of these paths that leads to a file that may be run.
    pub fn first_program<'p>(&self, paths: &[&'p str]) -> Read<Option<&'p str>> {
        for path in paths {
            if self.has_program(path)? {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// What a link at `path` says, when there is one.
    pub fn link(&self, path: &str) -> Read<Option<String>> {
        Ok(match self.target.joined.follow_to(path.as_bytes())? {
            Way::Found(Seen { item, .. }) => match item.kind {
                Kind::Symlink(target) => Some(String::from_utf8_lossy(&target).into_owned()),
                _ => None,
            },
            Way::Missing { .. } | Way::Not(..) => None,
        })
    }

    /// A folder at `path`, unless the stack has it already: then that one stays as it is.
    pub fn folder(&mut self, line: Line<'_>, path: &str, metadata: Metadata) -> Read<()> {
        match self.find(path)? {
            Some(seen) if seen.item.kind == Kind::Directory => {
                let inside = [seen.path.as_slice(), b"/x"].concat();
                self.folders_to(inside)
            }
            _ => self.put(line, path, What::Folder, metadata),
        }
    }

    /// Puts something at `path`. Links on the way are followed, one at the end is replaced.
    pub fn put(&mut self, line: Line<'_>, path: &str, what: What, metadata: Metadata) -> Read<()> {
        let Some((place, hides)) = self.place_of(line, path, &what)? else { return Ok(()) };
        if what == What::Folder && self.plan.entries.get(&place).is_some_and(|it| it.what == What::Folder) {
            return Ok(());
        }
        if self.plan.entries.get(&place).is_some_and(|it| it.what == what && it.metadata == metadata) {
            return Ok(());
        }
        if let Some((other, setting)) = self.in_the_way(&place) {
            let help = format!("keep one of the two; the other is '{setting}' in {other}");
            self.refuse(
                line,
                format!("{path} is made by another line already, or lies below what it makes"),
                help,
            );
            return Ok(());
        }
        self.folders_to(place.clone())?;
        self.lines.insert(place.clone(), (line.span.clone(), line.setting.to_owned()));
        let setting = Some(line.setting.to_owned());
        self.plan.entries.insert(place, Planned { what, metadata, setting, hides });
        Ok(())
    }

    /// The path without links at which something would lie, with the layer whose file it hides there. `None`: it is refused.
    fn place_of(
        &mut self,
        line: Line<'_>,
        path: &str,
        what: &What,
    ) -> Read<Option<(Vec<u8>, Option<usize>)>> {
        const ANOTHER: &str = "write another path";
        let found = match self.target.joined.follow_to(path.as_bytes())? {
            Way::Found(seen) if seen.item.kind == Kind::Directory => {
                Err((format!("{path} is a folder of the stack"), "write the path of a file"))
            }
            Way::Found(_) if *what == What::Folder => {
                Err((format!("{path} is no folder in the stack"), "choose another name"))
            }
            Way::Found(seen) => Ok((seen.path, Some(seen.layer))),
            Way::Missing { path, rest } if rest.iter().all(|name| name != b"..") => {
                Ok(([vec![path], rest].concat().join(&b'/'), None))
            }
            Way::Missing { path: gone, .. } => {
                Err((format!("{path} leads through /{}, which is not there", gone.escape_ascii()), ANOTHER))
            }
            Way::Not(other, why) => {
                Err((format!("{path} leads through /{}, which {why}", other.escape_ascii()), ANOTHER))
            }
        };
        let seen = found.and_then(|(place, hides)| match covered(&place) {
            None => Ok((place, hides)),
            Some(top) => {
                let cause =
                    format!("{path} is not seen: something else is mounted over /{top} at every boot");
                Err((cause, ANOTHER))
            }
        });
        Ok(seen.map_err(|(message, help)| self.refuse(line, message, help)).ok())
    }

    /// The line that made something else at `place`, above it, or below it.
    fn in_the_way(&self, place: &[u8]) -> Option<(Span, String)> {
        let is_below = |path: &[u8], top: &[u8]| {
            path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
        };
        let made = |path: &[u8]| self.plan.entries.get(path).map(|entry| &entry.what);
        let above = |path: &[u8]| is_below(place, path) && made(path) != Some(&What::Folder);
        let found = self.lines.iter().find(|(path, _)| above(path) || is_below(path, place));
        found.map(|(_, line)| line.clone())
    }

    /// The folders above `place`, a path without links: as they are in the stack, because those of the upper layer are seen; new ones
    /// are root's.
    fn folders_to(&mut self, place: Vec<u8>) -> Read<()> {
        let ends = place.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        let folders = std::iter::once(0).chain(ends);
        for folder in folders.map(|end| &place[..end]) {
            if self.plan.entries.contains_key(folder) {
                continue;
            }
            let metadata = match self.target.joined.follow_to(folder)? {
                Way::Found(seen) if seen.item.kind == Kind::Directory => seen.item.metadata,
                _ => Metadata::mode(0o755),
            };
            let planned = Planned { what: What::Folder, metadata, setting: None, hides: None };
            self.plan.entries.insert(folder.to_vec(), planned);
        }
        Ok(())
    }
}

/// Whether it is a file that may be run.
pub(super) fn is_program(seen: &Seen) -> bool {
    matches!(seen.item.kind, Kind::File(_)) && seen.item.metadata.mode & 0o111 != 0
}
