//! A plan and its outcome in words, for people.

use std::collections::BTreeSet;
use std::fmt;

use cli::numbers::{count, human_size};
use initramfs_format::font::FONT;
use initramfs_format::keymap::KEYMAP;
use initramfs_format::paths;

use crate::kernel_modules::Reason;
use crate::plan::{Plan, Written};
use crate::programs::MakerFile;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = |path: &str| human_size(self.contents.get(path).map_or(0, |entry| entry.source.size()));
        writeln!(f, "kernel {}", self.release)?;
        self.early.iter().flat_map(|early| &early.files).try_for_each(|file| writeln!(f, "{file}"))?;
        writeln!(f, "  {:24} {:>10}  PID 1", "init", size("init"))?;
        for module in &self.modules.picked {
            let size = match &module.path {
                Some(path) => size(&format!("lib/modules/{}/{path}", self.release)),
                None => "built in".to_owned(),
            };
            writeln!(f, "  {:24} {size:>10}  {}", module.name, module.reason)?;
        }
        for absent in &self.modules.absent {
            let lost = format!("not in this kernel (CONFIG_{}): {}", absent.symbol, absent.why);
            writeln!(f, "  {:24} {:>10}  {lost}", absent.name, "-")?;
        }
        for (path, modules) in &self.firmware {
            writeln!(f, "  {path:24} {:>10}  firmware of {modules}", size(path))?;
        }
        let left_out = &self.modules.not_for_a_boot;
        for what in left_out.iter().map(|(what, _)| *what).collect::<BTreeSet<_>>() {
            let names = left_out.iter().filter(|(of, _)| *of == what).map(|(_, name)| name.as_str());
            writeln!(f, "not for a boot: {what}: {}", names.collect::<Vec<_>>().join(", "))?;
        }
        if self.contents.get("bin/busybox").is_some() {
            writeln!(f, "  {:24} {:>10}  the rescue shell", "bin/busybox", size("bin/busybox"))?;
        }
        for (path, what) in [(KEYMAP, "the keymap of the console"), (FONT, "the font of the console")] {
            let path = paths::entry(path);
            if self.contents.get(path).is_some() {
                writeln!(f, "  {path:24} {:>10}  {what}", size(path))?;
            }
        }
        for MakerFile { path, reason } in &self.makers {
            let name = path.rsplit('/').next().unwrap_or(path);
            writeln!(f, "  {name:24} {:>10}  {reason}", size(path))?;
        }
        self.drop_ins.iter().try_for_each(|added| writeln!(f, "{added}"))?;
        let keys = self
            .contents
            .iter()
            .filter_map(|(path, _)| path.strip_prefix(paths::entry(paths::KEYS))?.strip_prefix('/'));
        for key in keys {
            writeln!(f, "  key {key}, whose signatures of profiles are accepted")?;
        }
        for profile in &self.profiles {
            writeln!(f, "  profile {profile}, with its images")?;
        }
        self.warnings.iter().try_for_each(|warning| writeln!(f, "warning: {warning}"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Table { why, .. } => f.write_str(why),
            Reason::Device { modalias } => write!(f, "asked for by the device {modalias}"),
            Reason::NeededBy { module } => write!(f, "needed by {module}"),
            Reason::AskedFor => f.write_str("asked for by name"),
            Reason::Luks => f.write_str("opens encrypted disks"),
        }
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = count(self.entries, "entry");
        write!(f, "{} in {entries}, {} compressed", human_size(self.unpacked), human_size(self.packed))
    }
}
