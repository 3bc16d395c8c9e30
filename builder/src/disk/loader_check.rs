//! Whether what starts a disk is still what was written: the loaders by their record ([`LoaderRecord`]), what a BIOS starts also by how one
//! part finds the next, menus by their names. No package of this machine is asked.

use boot_entry::{EntryFileName, LoaderConf, grub, paths};
use disk_image::bios::FoundBootCode;
use disk_image::read::{DiskReader, EspReader};

use super::loader_record::{LoaderRecord, MOST_BYTES, Reading, RecordedFile};
use crate::error::{Error, Result};

/// What is known of the loaders.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What is wrong.
    pub damage: Vec<Error>,
    /// What nobody can tell, a sentence each.
    pub unknown: Vec<String>,
}

pub(super) const ANEW: &str = "make the disk anew with `lamina disk create`";
/// A damaged entry, or a menu that lists them.
pub(super) const MENU: &str = "`lamina system install PROFILE` writes the menu anew";
const REPLACED: &str = "put the file there again, or make the disk anew with `lamina disk create`; if you replaced the loader yourself, \
remove loader/lamina.kdl from the partition";

/// Judges a disk with these files of its EFI system partition, where that can be read.
pub fn judge(disk: &DiskReader, esp: Option<&EspReader>) -> Verdict {
    let mut verdict = Verdict::default();
    let code = disk.boot_code().unwrap_or_else(|error| {
        verdict.damage.push(error);
        None
    });
    let is_linked = code.as_ref().is_some_and(|code| match code.fault() {
        Some(fault) => {
            verdict.damage.push(fault.remedy(ANEW));
            false
        }
        None => true,
    });
    let Some(esp) = esp else { return verdict };
    match record(esp) {
        Ok(Some(Reading::Record(record))) => {
            record.files.iter().for_each(|file| verdict.check_file(esp, file));
            verdict.check_boot_code(&record, code.as_ref().filter(|_| is_linked), code.is_some());
        }
        Ok(Some(Reading::Newer(format))) => verdict.unknown.push(format!(
            "whether the loaders are what was written: {} has format {format}, which this version does not read",
            paths::LOADER_RECORD
        )),
        Ok(None) => verdict.without_record(esp, code.is_some()),
        Err(error) => verdict.damage.push(error.remedy(REPLACED)),
    }
    verdict.check_grub(esp);
    verdict.check_loader_conf(esp);
    verdict
}

fn record(esp: &EspReader) -> Result<Option<Reading>> {
    let path = paths::LOADER_RECORD;
    if !esp.has(path) {
        return Ok(None);
    }
    let bytes = esp.read(path)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(Error::new(path, format!("is larger than {MOST_BYTES} bytes")));
    }
    LoaderRecord::parse(&bytes).map(Some).map_err(|_| Error::new(path, "is not what was written"))
}

impl Verdict {
    fn damaged(&mut self, path: &str, cause: impl Into<String>, remedy: &str) {
        self.damage.push(Error::new(path, cause.into()).remedy(remedy));
    }

    fn check_file(&mut self, esp: &EspReader, file: &RecordedFile) {
        let path = &file.path;
        if !esp.has(path) {
            return self.damaged(path, "is missing: a loader needs it", REPLACED);
        }
        let Some((meant, _)) = &file.contents else { return };
        match esp.digest(path) {
            Ok((found, _)) if found == *meant => {}
            Ok((found, size)) => {
                let cause = format!(
                    "is not the loader that was written: it has {size} bytes, and its SHA-256 is {}",
                    found.hex()
                );
                self.damaged(path, cause, REPLACED);
            }
            Err(error) => self.damage.push(error.remedy(REPLACED)),
        }
    }

    /// `code` is what a BIOS starts, where its parts find each other.
    fn check_boot_code(&mut self, record: &LoaderRecord, code: Option<&FoundBootCode>, has_place: bool) {
        match (&record.boot_code, code) {
            (Some(_), None) if !has_place => {
                self.damaged("disk", "has no partition lamina-bios, from which a BIOS started it", ANEW);
            }
            (Some(meant), Some(code)) => match code.digests(meant.core_size) {
                Some(found) if found == *meant => {}
                Some(found) if found.boot != meant.boot => {
                    self.damaged("boot code of the first sector", "is not what was written", ANEW);
                }
                _ => self.damaged("GRUB in the BIOS boot partition", "is not what was written", ANEW),
            },
            (None, Some(_)) => {
                self.unknown.push("whether a BIOS starts the disk: its record names no boot code".to_owned());
            }
            _ => {}
        }
    }

    /// What can be said of a disk by an older version, which has no record.
    fn without_record(&mut self, esp: &EspReader, bios: bool) {
        self.unknown.push(format!(
            "whether the loaders are what was written: there is no {}, and older versions wrote none",
            paths::LOADER_RECORD
        ));
        let program = paths::UEFI_PROGRAM;
        match esp.has(program) {
            false if !bios => self.damaged(program, "is missing: nothing starts this disk", ANEW),
            false => {}
            // Every PE program begins so (Microsoft's PE format, "MS-DOS stub").
            true => match esp.begins(program, b"MZ") {
                Ok(true) => {}
                Ok(false) => self.damaged(program, "is no program of UEFI", ANEW),
                Err(error) => self.damage.push(error.remedy(ANEW)),
            },
        }
        if bios && !esp.has(paths::GRUB_CFG) {
            self.damaged(paths::GRUB_CFG, "is missing: GRUB shows no menu", ANEW);
        }
    }

    /// A menu is called after what is in it.
    fn check_grub(&mut self, esp: &EspReader) {
        let names = match esp.names(paths::GRUB) {
            Ok(names) => names,
            Err(error) => return self.damage.push(error.remedy(MENU)),
        };
        for name in names.iter().filter(|name| grub::is_menu(name)) {
            let path = format!("{}/{name}", paths::GRUB);
            match esp.read(&path) {
                Ok(script) if grub::name_of(&script) == *name => {}
                Ok(_) => self.damaged(&path, "is damaged: its name is not the digest of what is in it", MENU),
                Err(error) => self.damage.push(error.remedy(MENU)),
            }
        }
        let path = paths::GRUB_CFG;
        if !esp.has(path) {
            return;
        }
        match esp.read(path) {
            Err(error) => self.damage.push(error.remedy(MENU)),
            Ok(text) => match grub::shown_by(&text) {
                Some(menu) if names.iter().any(|name| name == menu) => {}
                Some(menu) => self.damaged(path, format!("shows {menu}, which is missing"), MENU),
                None if is_text(&text) => self
                    .unknown
                    .push(format!("what GRUB shows: {path} was written by somebody else than Lamina")),
                None => self.damaged(path, "is no text", MENU),
            },
        }
    }

    fn check_loader_conf(&mut self, esp: &EspReader) {
        let path = paths::LOADER_CONF;
        const CHOOSE: &str = "`lamina system default PROFILE` chooses what boots by itself";
        if !esp.has(path) {
            return;
        }
        let text = match esp.read(path) {
            Ok(text) if is_text(&text) => text,
            Ok(_) => return self.damaged(path, "is no text", CHOOSE),
            Err(error) => return self.damage.push(error.remedy(CHOOSE)),
        };
        let conf = LoaderConf::parse(&text);
        // That they cannot be listed is said where they are read.
        let Ok(names) = esp.names(paths::ENTRIES) else { return };
        let is_there =
            names.iter().filter_map(|name| EntryFileName::parse(name)).any(|name| conf.means(&name));
        if conf.is_pattern_of_others() {
            self.unknown.push(format!("what boots by itself: {path} has a pattern of somebody else's"));
        } else if let Some(default) = conf.default.filter(|_| !is_there) {
            self.damaged(path, format!("has {default} boot by itself, and there is no such entry"), CHOOSE);
        }
    }
}

/// What a person or a program would write there: not nothing, and no bytes of something else.
fn is_text(bytes: &[u8]) -> bool {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    std::str::from_utf8(bytes).is_ok_and(|text| !text.trim().is_empty() && text.chars().all(is_plain))
}
