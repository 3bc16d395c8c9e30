//! The menu as a script of GRUB, `grub.cfg`.
//!
//! Every word stands in single quotes, in which GRUB's shell changes nothing (GRUB manual, "Quoting"); a single quote itself ends
//! them for a moment. The parameters of the kernel are one word each: GRUB puts quotes around a word with a blank by itself, and a
//! backslash before each `\`, `'` and `"` (`grub_create_loader_cmdline` of its `lib/cmdline.c`), which the kernel would keep.

use std::fmt;

use crate::entry::one_line;
use crate::menu::Menu;
use crate::parameter::Parameter;

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
    /// The file `grub.cfg`, for a GRUB whose root is the partition of the entries. It has the modules `linux` and, on a BIOS,
    /// `serial`.
    ///
    /// # Errors
    /// A parameter with a sign that GRUB changes.
    pub fn to_grub_cfg(&self) -> Result<String, Unwritable> {
        let mut script = String::from("# The entries of loader/entries/, in the same order.\n");
        script.push_str(CONSOLES);
        script.push_str("set timeout_style=menu\n");
        script.push_str(&format!("set timeout={}\nset default={}\n", self.timeout, quoted(&self.default)));
        for (name, entry) in &self.entries {
            let changed = |parameter: &&Parameter| parameter.as_str().contains(['\\', '\'']);
            if let Some(parameter) = entry.options.iter().find(changed) {
                return Err(Unwritable { id: name.id.clone(), parameter: parameter.clone() });
            }
            let title = quoted(&one_line(&entry.title));
            script.push_str(&format!("menuentry {title} --id {} {{\n    linux ", quoted(&name.id)));
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
        Ok(script)
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_ends_at_none_of_its_signs() {
        assert_eq!(quoted(r#"a "b" $c \d"#), r#"'a "b" $c \d'"#);
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
