//! Why a kernel module is in an initramfs that mkinitramfs made: what asks for it, by the list that init reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use initramfs_format::module_list::{self, Line};
use initramfs_format::{buses, paths};
use kernel_config::Form;
use kernel_config::table::REQUIREMENTS;
use profiles::suggest;
use serde::Serialize;

use crate::list;
use fault::Error;

/// More of the list is not read: that of all modules of Debian's kernel has 2 MB.
const LARGEST_LIST: u32 = 32 << 20;
/// Patterns that are shown to people; JSON has all of them.
const MOST_PATTERNS: usize = 8;
/// Of modules that need each other, one is explained below the other so far.
const DEEPEST: usize = 16;

/// What is known of a module. Its Display is for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Why {
    /// The name as in `lsmod`.
    pub module: String,
    /// Where it lies in the initramfs; none for what the kernel has built in.
    pub file: Option<String>,
    /// Whether init loads it whatever there is.
    pub always: bool,
    /// The patterns of devices that ask for it (`modalias`).
    pub devices: Vec<String>,
    /// What else asks for it: file systems (`fs-NAME`) and algorithms (`crypto-NAME`).
    pub parts: Vec<String>,
    /// The modules that are loaded before it.
    pub needs: Vec<String>,
    /// The groups of modules that have it, each with what it is for.
    pub groups: Vec<Wanted>,
    /// The modules that need it, each with why that is there.
    pub needed_by: Vec<Why>,
}

/// A group that has a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// The group, as `--group` takes it.
    pub group: &'static str,
    /// The config symbol, without `CONFIG_`.
    pub symbol: &'static str,
    /// What it is for.
    pub why: &'static str,
}

/// Says what asks for `module` in the initramfs at `path`.
///
/// # Errors
/// The file cannot be read, has no list of modules, or not this module.
pub fn why(module: &str, path: &Path) -> Result<Why, Error> {
    let text = read_list(path)?.ok_or_else(|| {
        Error::new(path.display(), format!("has no {}: mkinitramfs did not make it", paths::MODULES))
            .remedy("'mkinitramfs list FILE' shows which modules it has")
    })?;
    let lines: Vec<Line> = module_list::lines(&text).filter_map(|(_, line)| Line::parse(line)).collect();
    let lines: BTreeMap<&str, Line> = lines.into_iter().map(|line| (line.name, line)).collect();
    let name = plain_name(module);
    if !lines.contains_key(name.as_str()) {
        let names: Vec<&str> = lines.keys().copied().collect();
        let near = suggest::nearest(&name, names).map(|near| format!("did you mean '{near}'?"));
        let remedy = near.unwrap_or_else(|| format!("--module {name} puts it in when an initramfs is made"));
        return Err(
            Error::new(path.display(), format!("has no module '{}'", name.escape_debug())).remedy(remedy)
        );
    }
    Ok(Lines::new(lines).explain(&name, &mut BTreeSet::new(), 0))
}

/// `dm_verity` for `dm-verity`, `dm-verity.ko` and `dm-verity.ko.xz`.
fn plain_name(module: &str) -> String {
    module.split_once(".ko").map_or(module, |(name, _)| name).replace('-', "_")
}

fn read_list(path: &Path) -> Result<Option<String>, Error> {
    let mut found = None;
    list::read(path, &mut |entry, data| {
        if entry.path.trim_start_matches("./").trim_start_matches('/') != paths::entry(paths::MODULES) {
            return Ok(ControlFlow::Continue(()));
        }
        if entry.size > LARGEST_LIST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "its list of modules is too long"));
        }
        let mut text = String::new();
        data.read_to_string(&mut text)?;
        found = Some(text);
        Ok(ControlFlow::Break(()))
    })?;
    Ok(found)
}

/// The lines of a list, by name, and which modules need one.
struct Lines<'a> {
    lines: BTreeMap<&'a str, Line<'a>>,
    needing: BTreeMap<&'a str, Vec<&'a str>>,
}

impl<'a> Lines<'a> {
    fn new(lines: BTreeMap<&'a str, Line<'a>>) -> Self {
        let mut needing: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in lines.values() {
            for needed in line.waits.unwrap_or_default().needs.split(',') {
                needing.entry(needed).or_default().push(line.name);
            }
        }
        Lines { lines, needing }
    }

    /// `told` has the modules that were explained already: what needs one of them is said once.
    fn explain(&self, name: &str, told: &mut BTreeSet<&'a str>, depth: usize) -> Why {
        let Some((name, line)) = self.lines.get_key_value(name) else {
            return Why { module: name.to_owned(), ..Why::default() };
        };
        let listed = |text: &str, between: char| -> Vec<String> {
            text.split(between).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let waits = line.waits.unwrap_or_default();
        let (devices, parts) =
            listed(waits.aliases, '\t').into_iter().partition(|alias| buses::names_a_device(alias));
        let needing = self.needing.get(name).filter(|_| told.insert(name) && depth < DEEPEST);
        let needed_by = needing.into_iter().flatten().map(|other| self.explain(other, told, depth + 1));
        Why {
            module: (*name).to_owned(),
            file: line.file.map(str::to_owned),
            always: line.waits.is_none() && line.file.is_some(),
            devices,
            parts,
            needs: listed(waits.needs, ','),
            groups: groups(name),
            needed_by: needed_by.collect(),
        }
    }
}

fn groups(name: &str) -> Vec<Wanted> {
    let rows = REQUIREMENTS.iter().filter(|row| matches!(row.form, Form::Module(module) if module == name));
    rows.map(|row| Wanted { group: row.group.name(), symbol: row.symbol, why: row.why }).collect()
}

impl Why {
    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let room = "  ".repeat(depth);
        match &self.file {
            Some(file) => writeln!(f, "{room}{} ({file})", self.module)?,
            None => writeln!(f, "{room}{} (the kernel has it built in)", self.module)?,
        }
        if self.always {
            writeln!(f, "{room}  loaded always: --module names it, or one that needs it")?;
        }
        for Wanted { group, symbol, why } in &self.groups {
            writeln!(f, "{room}  group {group} (CONFIG_{symbol}): {why}")?;
        }
        for (patterns, what) in [(&self.devices, "devices"), (&self.parts, "what is about to use")] {
            let more = patterns.len().saturating_sub(MOST_PATTERNS);
            let shown = patterns[..patterns.len() - more].join(" ");
            match (patterns.is_empty(), more) {
                (true, _) => {}
                (false, 0) => writeln!(f, "{room}  asked for by {what} {shown}")?,
                (false, more) => {
                    writeln!(f, "{room}  asked for by {what} {shown} and {more} more (--json has all)")?
                }
            }
        }
        if !self.needs.is_empty() {
            writeln!(f, "{room}  needs {}", self.needs.join(", "))?;
        }
        if !self.needed_by.is_empty() {
            writeln!(f, "{room}  needed by")?;
        }
        self.needed_by.iter().try_for_each(|other| other.write(f, depth + 2))?;
        Ok(())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}
