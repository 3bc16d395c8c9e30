//! `etc/lamina/modules`: what kernel modules there are, in which order they are loaded, and what asks for each.
//!
//! One module a line. `NAME<TAB>PATH`: loaded always. With `<TAB>NEEDED,NEEDED` behind it and `<TAB>ALIAS` as often as the module has
//! such: loaded when it is asked for by its name, by an alias (patterns of fnmatch(3), as in depmod's `modules.alias`), or because
//! another module needs it. `NAME<TAB>builtin`: part of the kernel. `#` begins a comment line.

use std::fmt;

/// Stands in the place of a path.
const BUILT_IN: &str = "builtin";

/// A line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'a> {
    /// As in `lsmod`, with underscores.
    pub name: &'a str,
    /// The path below `/`; `None` for a part of the kernel.
    pub file: Option<&'a str>,
    /// What it waits for; `None`: it is loaded always.
    pub waits: Option<Waits<'a>>,
}

/// What is known of a module that waits until it is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waits<'a> {
    /// The modules that are loaded before it, with commas between them.
    pub needs: &'a str,
    /// What asks for it, with tabs between them: of some modules hundreds.
    pub aliases: &'a str,
}

impl<'a> Line<'a> {
    /// Reads a line that is neither empty nor a comment; `None` when it is not `NAME<TAB>PATH`.
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(4, '\t');
        let (name, file) = (fields.next()?, fields.next()?);
        if name.is_empty() || file.is_empty() {
            return None;
        }
        let waits = fields.next().map(|needs| Waits { needs, aliases: fields.next().unwrap_or_default() });
        Some(Self { name, file: (file != BUILT_IN).then_some(file), waits })
    }
}

/// The line, without its end.
impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}", self.name, self.file.unwrap_or(BUILT_IN))?;
        match self.waits {
            None => Ok(()),
            Some(Waits { needs, aliases: "" }) => write!(f, "\t{needs}"),
            Some(Waits { needs, aliases }) => write!(f, "\t{needs}\t{aliases}"),
        }
    }
}

/// The lines of a list that are modules, each with its number from 1.
pub fn lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    (1..).zip(text.lines()).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let text = "# made for 6.1\nloop\tlib/loop.ko\next4\tbuiltin\n\nvfat\tvfat.ko\tfat,nls\tfs-vfat\tfs-x\nnls\tnls.ko\t\n";
        let read: Vec<_> = lines(text).map(|(number, line)| (number, Line::parse(line).unwrap())).collect();
        let waits = |needs, aliases| Some(Waits { needs, aliases });
        assert_eq!(
            read,
            [
                (2, Line { name: "loop", file: Some("lib/loop.ko"), waits: None }),
                (3, Line { name: "ext4", file: None, waits: None }),
                (5, Line { name: "vfat", file: Some("vfat.ko"), waits: waits("fat,nls", "fs-vfat\tfs-x") }),
                (6, Line { name: "nls", file: Some("nls.ko"), waits: waits("", "") }),
            ]
        );
        let written: Vec<String> = read.iter().map(|(_, line)| line.to_string()).collect();
        assert_eq!(written, lines(text).map(|(_, line)| line.to_owned()).collect::<Vec<_>>());
    }

    #[test]
    fn a_broken_line_is_none() {
        assert_eq!(["loop x", "\tx", "loop\t", ""].map(Line::parse), [None; 4]);
    }
}
