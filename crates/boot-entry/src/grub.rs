//! The menu as a script of GRUB, `grub/menu-HEX.cfg`, named by what is in it; and `grub/grub.cfg`, which shows one of these and has
//! the length of a [`sector`]: it is written in place when another menu takes the place of the first.
//!
//! Every word stands in single quotes, in which GRUB's shell changes nothing (GRUB manual, "Quoting"); a single quote itself ends
//! them for a moment. The parameters of the kernel are one word each: GRUB puts quotes around a word with a blank by itself, and a
//! backslash before each `\`, `'` and `"` (`grub_create_loader_cmdline` of its `lib/cmdline.c`), which the kernel would keep.

use std::fmt;

use profiles::Digest;

use crate::entry::{BootEntry, one_line};
use crate::grub_last;
use crate::grub_tries::{ENTRY, GrubTries, LEFT, MOST};
use crate::menu::{Choice, Menu};
use crate::parameter::Parameter;
use crate::sector;

/// A menu that GRUB can show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubMenu {
    /// The name of its file in the folder `grub`.
    pub file_name: String,
    /// The script.
    pub script: String,
}

impl GrubMenu {
    /// The file `grub.cfg` by which GRUB shows this menu.
    pub fn to_grub_cfg(&self) -> String {
        sector::filled(format!("{SHOWN}{}\n", self.file_name))
    }
}

/// Before the name of the menu that is shown. `prefix` is the folder that GRUB found `grub.cfg` in.
const SHOWN: &str = "# The menu that is shown; this file is written in place, and has the length of a sector.\nsource $prefix/";

/// The file name of the menu that a `grub.cfg` shows; `None` when it was written otherwise.
pub fn shown_by(grub_cfg: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(grub_cfg).ok()?.strip_prefix(SHOWN)?.lines().next()?;
    is_menu(name).then_some(name)
}

/// Whether a `grub.cfg` is nobody's, or Lamina's own: empty, one that shows a menu, or, as older versions wrote it, a menu itself. What
/// somebody else wrote is not replaced.
pub fn may_be_replaced(grub_cfg: &[u8]) -> bool {
    grub_cfg.trim_ascii().is_empty()
        || shown_by(grub_cfg).is_some()
        || grub_cfg.starts_with(FIRST_LINE.as_bytes())
}

/// The entry of a menu that boots by itself, as its lines stand there.
pub fn default_of(menu: &str) -> Option<&str> {
    let default = menu.lines().find_map(|line| line.strip_prefix("set default="))?;
    menu.split("menuentry ")
        .skip(1)
        .find(|entry| entry.lines().next().is_some_and(|it| it.ends_with(&format!("--id {default} {{"))))
}

/// The first line of a menu.
const FIRST_LINE: &str = "# The entries of loader/entries/, in the same order.\n";

/// Whether a file of the folder `grub` is a menu, by its name.
pub fn is_menu(file_name: &str) -> bool {
    let hex = file_name.strip_prefix("menu-").and_then(|rest| rest.strip_suffix(".cfg"));
    hex.is_some_and(|hex| hex.len() == DIGITS && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The file name of the menu with these bytes.
pub fn name_of(script: &[u8]) -> String {
    let digest = Digest::of_bytes(script).hex();
    format!("menu-{}.cfg", &digest[..DIGITS])
}

/// Of the SHA-256 of a menu, in its name.
const DIGITS: usize = 16;

/// What GRUB cannot hand to the kernel as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwritable {
    /// The entry.
    pub id: String,
    /// The parameter.
    pub parameter: Parameter,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "entry {}: GRUB puts a backslash before each ' and \\ of '{}', and the kernel keeps it\nhelp: write the parameter without \
             them, or boot by systemd-boot alone (`--firmware uefi --loader systemd-boot`)",
            self.id,
            self.parameter.as_str()
        )
    }
}

impl std::error::Error for Unwritable {}

/// Before the entries: a menu on the screen and, where the firmware is a BIOS, on the first serial line too. On UEFI the firmware
/// itself shows its console on the serial lines that it was told of, and a second writer would double each character.
const CONSOLES: &str = r#"if [ "$grub_platform" = pc ]; then
    if serial --unit=0 --speed=115200; then
        terminal_input console serial
        terminal_output console serial
    fi
fi
"#;

impl Menu {
    /// The menu for a GRUB whose root is the partition of the entries. It has the modules `configfile`, `linux`, `test`,
    /// `loadenv` and, on a BIOS, `serial`.
    ///
    /// # Errors
    /// A parameter with a sign that GRUB changes.
    pub fn to_grub_menu(&self) -> Result<GrubMenu, Unwritable> {
        let mut script = String::from(FIRST_LINE);
        script.push_str(CONSOLES);
        script.push_str("set timeout_style=menu\n");
        script.push_str(&format!("set timeout={}\nset default={}\n", self.timeout, quoted(&self.default)));
        let counted = self.counted_by_grub();
        if let Some((_, instead)) = counted {
            script.push_str(&look_at_tries(&self.default, instead));
        }
        if self.choice == Choice::Last {
            script.push_str(grub_last::LOOK);
        }
        for (name, entry) in &self.entries {
            let changed = |parameter: &&Parameter| parameter.as_str().contains(['\\', '\'']);
            if let Some(parameter) = entry.options.iter().find(changed) {
                return Err(Unwritable { id: name.id.clone(), parameter: parameter.clone() });
            }
            let title = quoted(&one_line(&entry.title));
            script.push_str(&format!("menuentry {title} --id {} {{\n", quoted(&name.id)));
            if counted.is_some_and(|(id, _)| *id == name.id) {
                script.push_str(&count_a_try(&name.id));
            }
            if self.choice == Choice::Last {
                script.push_str(&grub_last::note(&quoted(&name.id)));
            }
            script.push_str("    linux ");
            script.push_str(&quoted(&entry.linux));
            for parameter in &entry.options {
                script.push_str(&format!(" {}", quoted(parameter.as_str())));
            }
            script.push_str("\n    initrd");
            for path in &entry.initrd {
                script.push_str(&format!(" {}", quoted(path)));
            }
            script.push_str("\n}\n");
        }
        Ok(GrubMenu { file_name: name_of(script.as_bytes()), script })
    }
}

impl Menu {
    /// What GRUB's block says when this menu is new.
    pub fn grub_tries(&self) -> Option<GrubTries> {
        let (id, _) = self.counted_by_grub()?;
        let tries = self.entries.iter().find(|it| it.0.id == *id)?.0.tries?;
        Some(GrubTries::of(id, tries.left))
    }

    /// The id of the entry whose starts GRUB counts, and of the one that boots by itself when it has no try left: the next older generation of
    /// the profile, else the next entry.
    fn counted_by_grub(&self) -> Option<(&String, &String)> {
        let default = self.entries.iter().find(|it| it.0.id == self.default && it.0.tries.is_some())?;
        let profile = |entry: &BootEntry| {
            entry.candidates().next().and_then(|it| it.split('@').next()).map(str::to_owned)
        };
        let others = || self.entries.iter().filter(|it| it.0.id != self.default);
        let older = others().find(|it| profile(&it.1).is_some() && profile(&it.1) == profile(&default.1));
        let instead = older.or_else(|| others().next())?;
        Some((&default.0.id, &instead.0.id))
    }
}

/// A block that is missing or damaged counts nothing; no variable but these is taken from it.
fn look_at_tries(id: &str, instead: &str) -> String {
    let (id, instead) = (quoted(id), quoted(instead));
    format!(
        "if [ -f $prefix/tries.env ]; then\n    load_env --file $prefix/tries.env {ENTRY} {LEFT}\nfi\n\
         if [ \"${ENTRY}\" = {id} -a \"${LEFT}\" = 0 ]; then\n    set default={instead}\nfi\n"
    )
}

/// Before the kernel is started. GRUB's shell cannot calculate.
fn count_a_try(id: &str) -> String {
    let mut lines = format!("    if [ \"${ENTRY}\" = {} ]; then\n", quoted(id));
    for left in 1..=MOST {
        let word = if left == 1 { "if" } else { "elif" };
        lines.push_str(&format!("        {word} [ \"${LEFT}\" = {left} ]; then set {LEFT}={}\n", left - 1));
    }
    lines.push_str("        fi\n");
    lines.push_str(&format!("        save_env --file $prefix/tries.env {ENTRY} {LEFT}\n    fi\n"));
    lines
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_menu_that_is_shown_is_read_back() {
        let menu = Menu { entries: Vec::new(), default: "x".to_owned(), choice: Choice::Default, timeout: 1 }
            .to_grub_menu()
            .unwrap();
        assert_eq!(menu.to_grub_cfg().len(), sector::LENGTH);
        assert_eq!(shown_by(menu.to_grub_cfg().as_bytes()), Some(menu.file_name.as_str()));
        assert_eq!(shown_by(menu.script.as_bytes()), None);
        for (text, ours) in [
            (menu.to_grub_cfg(), true),
            (menu.script.clone(), true),
            (" \n".to_owned(), true),
            ("set x=1\n".to_owned(), false),
        ] {
            assert_eq!(may_be_replaced(text.as_bytes()), ours, "{text}");
        }
        assert_eq!(shown_by(format!("{SHOWN}../../x.cfg\n").as_bytes()), None);
    }

    #[test]
    fn what_boots_by_itself_is_read_out_of_a_menu() {
        let entry = |id: &str| {
            (
                crate::EntryFileName { id: id.to_owned(), tries: None },
                BootEntry {
                    title: "it's".to_owned(),
                    version: None,
                    sort_key: None,
                    linux: format!("/linux-{id}"),
                    initrd: Vec::new(),
                    options: Vec::new(),
                },
            )
        };
        let menu = Menu {
            entries: vec![entry("a-1"), entry("a-12")],
            default: "a-12".to_owned(),
            choice: Choice::Default,
            timeout: 1,
        };
        let script = menu.to_grub_menu().unwrap().script;
        assert!(default_of(&script).unwrap().contains("'/linux-a-12'"), "{script}");
        assert!(!default_of(&script).unwrap().contains("'/linux-a-1'"), "{script}");
        assert_eq!(default_of(CONSOLES), None);
    }

    #[test]
    fn a_word_ends_at_none_of_its_signs() {
        assert_eq!(quoted(r#"a "b" $c \d"#), r#"'a "b" $c \d'"#);
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
