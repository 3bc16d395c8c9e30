//! How often GRUB may start the entry that boots by itself before it takes another: its environment block, `grub/tries.env`, which GRUB and
//! `lamina bless` change in place (GRUB manual, "Environment block"; `grub_envblk_open` of its `lib/envblk.c` takes one of any length).
//!
//! systemd-boot counts in the names of entries, for each of them. GRUB has one block, and counts for one entry; both may start one disk, and neither
//! knows what the other has counted.

use crate::sector;

/// The first line.
const SIGNATURE: &str = "# GRUB Environment Block\n";
/// What fills the rest.
const FILL: char = '#';
/// The variables: which entry is counted, and how many tries it has left.
pub(crate) const ENTRY: &str = "lamina_entry";
pub(crate) const LEFT: &str = "lamina_tries";
/// GRUB's shell cannot calculate: its script has a line for each number.
pub const MOST: u32 = 9;

/// The entry that is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrubTries {
    /// Its id.
    pub entry: String,
    /// Tries that are left, at most [`MOST`].
    pub left: u32,
}

impl GrubTries {
    /// An entry that may be tried so often, or [`MOST`] times.
    pub fn of(entry: &str, tries: u32) -> GrubTries {
        GrubTries { entry: entry.to_owned(), left: tries.min(MOST) }
    }

    /// The block, of the length of a [`sector`]; `None` counts nothing.
    pub fn block(counted: Option<&GrubTries>) -> String {
        let mut text = SIGNATURE.to_owned();
        if let Some(GrubTries { entry, left }) = counted {
            text.push_str(&format!("{ENTRY}={entry}\n{LEFT}={left}\n"));
        }
        let free = sector::LENGTH.saturating_sub(text.len());
        text.extend(std::iter::repeat_n(FILL, free));
        text
    }

    /// What a block says; `Ok(None)` when it counts nothing.
    ///
    /// # Errors
    /// It is none, or was not written by Lamina and its menus.
    pub fn parse(block: &[u8]) -> Result<Option<GrubTries>, NoBlock> {
        let text = std::str::from_utf8(block).map_err(|_| NoBlock)?;
        let text = text.strip_prefix(SIGNATURE).filter(|_| block.len() == sector::LENGTH).ok_or(NoBlock)?;
        let (mut entry, mut left) = (None, None);
        for line in text.trim_end_matches(FILL).lines() {
            match line.split_once('=') {
                Some((ENTRY, id)) => entry = Some(id.to_owned()),
                Some((LEFT, number)) => {
                    left = Some(number.parse().ok().filter(|number| *number <= MOST).ok_or(NoBlock)?);
                }
                _ => return Err(NoBlock),
            }
        }
        match (entry, left) {
            (None, None) => Ok(None),
            (Some(entry), Some(left)) => Ok(Some(GrubTries { entry, left })),
            _ => Err(NoBlock),
        }
    }
}

/// It is no block of tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoBlock;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_read_as_it_was_written() {
        for counted in [None, Some(GrubTries::of("lamina-web-12", 3)), Some(GrubTries::of("x", 400))] {
            let block = GrubTries::block(counted.as_ref());
            assert_eq!(block.len(), sector::LENGTH);
            assert_eq!(GrubTries::parse(block.as_bytes()), Ok(counted));
        }
        assert_eq!(GrubTries::of("x", 400).left, 9);
    }

    #[test]
    fn what_is_no_block_is_none() {
        let block = GrubTries::block(Some(&GrubTries::of("a", 3)));
        let damaged = [
            String::new(),
            block[1..].to_owned(),
            format!("{block}#"),
            block.replace("lamina_tries=3", "lamina_tries=x"),
            block.replace("lamina_tries=3", "lamina_tries=33")[..512].to_owned(),
            block.replace("lamina_tries=3\n", "###############"),
            block.replace("lamina_entry", "default_entr"),
        ];
        for text in damaged {
            assert_eq!(GrubTries::parse(text.as_bytes()), Err(NoBlock), "{text}");
        }
        assert_eq!(GrubTries::parse(&[0xff; 512]), Err(NoBlock));
    }
}
