//! What there is to say about a path, as text and as JSON.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use boot_report::reading::Top;
use cli::numbers::{count, human_size};
use serde_json::{Value, json};
use stack::mount_table::Mounted;

use super::absolute;
use super::layers::{Kind, Source};
use crate::text::clean;

/// What the root has at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The first entry that is not hidden gave it.
    Given,
    /// A layer had it, or might have, and one above it deleted it.
    Deleted,
    /// No layer has it, or only where it is hidden.
    Missing,
}

/// The answer about one path.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What was asked about.
    pub path: PathBuf,
    /// Its absolute path, without links to folders on the way.
    pub real: PathBuf,
    /// Whether there were such links.
    pub(super) followed: bool,
    /// What the root has there.
    pub verdict: Verdict,
    /// All that have it, top first.
    pub(super) entries: Vec<Entry>,
    /// The mount that lies over it, so that the layers do not count.
    pub(super) mount: Option<Mounted>,
    /// What else there is to know.
    pub notes: Vec<String>,
}

/// A layer that has the path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) source: Source,
    pub(super) kind: Kind,
    /// Something above hides it.
    pub(super) hidden: bool,
}

/// `the writable top` or `busybox 1.35.0`.
pub(super) fn name(source: &Source) -> String {
    match source {
        Source::Top(_) => "the writable top".to_owned(),
        Source::Layer(layer) => format!("{} {}", layer.name, layer.version),
    }
}

impl Answer {
    pub(super) fn empty(path: &Path) -> Answer {
        Answer {
            path: path.to_owned(),
            real: path.to_owned(),
            followed: false,
            verdict: Verdict::Missing,
            entries: Vec::new(),
            mount: None,
            notes: Vec::new(),
        }
    }

    /// Whether the running system has something there: from the layers, or from a mount.
    pub fn is_there(&self) -> bool {
        self.verdict == Verdict::Given || self.mount.is_some()
    }

    /// Some lines for people, without the last newline.
    pub fn text(&self) -> String {
        let (asked, real) = (self.path.to_string_lossy(), self.real.to_string_lossy());
        let path =
            if self.followed { format!("{} is {}", clean(&asked), clean(&real)) } else { clean(&real) };
        let mut text = format!("{path}: {}", clean(&self.sentence()));
        let mut first = true;
        for entry in &self.entries {
            let label = match (entry.hidden, first) {
                (true, _) => "shadowed",
                (false, true) => "from",
                (false, false) => "and",
            };
            first &= entry.hidden;
            let _ = write!(text, "\n  {label:<8}  {}", clean(&entry.text()));
        }
        for note in self.notes.iter().chain(&self.link_note()) {
            let _ = write!(text, "\n  note      {}", clean(note));
        }
        text
    }

    fn visible(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| self.verdict == Verdict::Given && !entry.hidden)
    }

    fn sentence(&self) -> String {
        let below = match self.verdict {
            Verdict::Given => self.visible().next().map(|entry| entry.kind.text()).unwrap_or_default(),
            Verdict::Deleted => "deleted".to_owned(),
            Verdict::Missing if self.entries.is_empty() => "no layer has it".to_owned(),
            Verdict::Missing => "only layers that are hidden here have it".to_owned(),
        };
        let folders = self.visible().filter(|entry| entry.kind.is_folder()).count();
        let below = if folders > 1 { format!("{below} of {}", count(folders, "layer")) } else { below };
        match &self.mount {
            None => below,
            Some(Mounted { target: point, kind, source, .. }) => {
                let mount = format!("{kind} ({source}) is mounted at {}", point.display());
                format!("not from a layer: {mount}; below it: {below}")
            }
        }
    }

    /// Where a link leads to, since it is not followed.
    fn link_note(&self) -> Option<String> {
        let Kind::Link(target) = &self.visible().next()?.kind else { return None };
        let real = absolute(self.real.parent().unwrap_or(&self.real), target);
        Some(format!("the link leads to {}: ask for that", real.display()))
    }

    /// An object: `path` (without links to folders), `asked`, `state` (`given`, `deleted`, `missing`), `from`, `also` and `shadowed` (layers), `mount`, `notes`.
    pub fn json(&self) -> Value {
        let state = match self.verdict {
            Verdict::Given => "given",
            Verdict::Deleted => "deleted",
            Verdict::Missing => "missing",
        };
        let mut visible = self.visible().map(Entry::json);
        let shadowed = self.entries.iter().filter(|entry| entry.hidden || self.verdict != Verdict::Given);
        let mount = |mount: &Mounted| {
            let (point, source) = (mount.target.to_string_lossy(), &mount.source);
            json!({ "point": point, "file_system": mount.kind, "source": source })
        };
        json!({
            "path": self.real.to_string_lossy(),
            "asked": self.path.to_string_lossy(),
            "state": state,
            "from": visible.next(),
            "also": visible.collect::<Vec<_>>(),
            "shadowed": shadowed.map(Entry::json).collect::<Vec<_>>(),
            "mount": self.mount.as_ref().map(mount),
            "notes": self.notes,
        })
    }
}

impl Entry {
    fn text(&self) -> String {
        match &self.source {
            Source::Top(top) => format!("the writable top ({})", lifetime(top)),
            Source::Layer(layer) => {
                let way = if layer.verified == "none" { "not verified" } else { &layer.verified };
                let kind = if self.hidden { format!("{}; ", self.kind.text()) } else { String::new() };
                format!("{} {}  {kind}{} ({way})", layer.name, layer.version, layer.digest)
            }
        }
    }

    fn json(&self) -> Value {
        let (kind, size, target) = match &self.kind {
            Kind::File(size) => ("file", Some(*size), None),
            Kind::Folder { .. } => ("folder", None, None),
            Kind::Link(target) => ("link", None, Some(target.to_string_lossy())),
            Kind::Special(kind) => (*kind, None, None),
            Kind::Whiteout => ("whiteout", None, None),
        };
        let source = match &self.source {
            Source::Top(top) => json!({ "top": top.kind, "lifetime": lifetime(top) }),
            Source::Layer(layer) => json!({
                "layer": layer.name,
                "version": layer.version,
                "id": layer.id,
                "digest": layer.digest,
                "verified": layer.verified,
            }),
        };
        json!({ "kind": kind, "size": size, "target": target, "source": source })
    }
}

/// How long a change stays.
fn lifetime(top: &Top) -> String {
    match top.kind.as_str() {
        "state" => format!("{} on {}: it stays", top.folder, top.device),
        _ => "in memory: lost at power-off".to_owned(),
    }
}

impl Kind {
    fn text(&self) -> String {
        match self {
            Kind::File(bytes) => format!("file, {}", human_size(*bytes)),
            Kind::Folder { opaque: false } => "folder".to_owned(),
            Kind::Folder { opaque: true } => "folder that hides those below".to_owned(),
            Kind::Link(target) => format!("symbolic link to {}", target.display()),
            Kind::Special(name) => (*name).to_owned(),
            Kind::Whiteout => "deleted".to_owned(),
        }
    }
}
