//! Extended attributes (`squashfs.rst`, section 3.7), with values in line or elsewhere.

use super::Image;
use super::cursor::{Cursor, MetadataPosition};
use crate::Error;
use crate::entry::{NAME_MAX, Xattr};
use crate::superblock::{NO_TABLE, NONE};

/// Set in an attribute's type when its value is the reference of a value elsewhere.
const ELSEWHERE: u16 = 0x100;
/// The largest value that Linux takes, in bytes.
const VALUE_MAX: u32 = 1 << 16;
/// The most bytes that one inode's attributes may take together: more than any file system of Linux allows.
const TOTAL_MAX: usize = 16 << 20;

impl Image {
    /// The attributes of set `number`.
    pub(super) fn xattrs(&self, number: u32) -> Result<Vec<Xattr>, Error> {
        if number == NONE || self.superblock.xattr_table == NO_TABLE {
            return Ok(Vec::new());
        }
        let damaged = |problem: &str| self.blocks.damaged(format!("damaged extended attributes: {problem}"));
        let mut header = [0; 16];
        self.blocks.read_at(&mut header, self.superblock.xattr_table)?;
        let (values, count) = header.split_at(8);
        let values = u64::from_le_bytes(values.try_into().expect("8 of 16 bytes"));
        if u64::from(number) >= u64::from_le_bytes(count.try_into().expect("8 of 16 bytes")) & 0xffff_ffff {
            return Err(damaged("an inode names a set that does not exist"));
        }
        let index = self.superblock.xattr_table + 16;
        let mut entry = self.table_entry(index, number.into(), 16)?;
        let (reference, count) = (entry.long()?, entry.word()?);
        let place = |reference| {
            MetadataPosition::from_reference(reference, values)
                .ok_or_else(|| damaged("a value lies past the end"))
        };
        let mut cursor = Cursor::new(self, place(reference)?);
        let mut xattrs = Vec::new();
        let mut total = 0;
        for _ in 0..count {
            let (family, len) = (cursor.half()?, usize::from(cursor.half()?));
            let prefix: &[u8] = match family & 0xff {
                0 => b"user.",
                1 => b"trusted.",
                2 => b"security.",
                _ => return Err(damaged("an unknown family")),
            };
            if len == 0 || len + prefix.len() > NAME_MAX {
                return Err(damaged("a name's length is out of range"));
            }
            let name = [prefix, &cursor.bytes(len)?].concat();
            if name.contains(&0) {
                return Err(damaged("a name contains NUL"));
            }
            let mut value_len = cursor.word()?;
            let value = if family & ELSEWHERE != 0 {
                let mut elsewhere = Cursor::new(self, place(cursor.long()?)?);
                value_len = elsewhere.word()?;
                self.value(&mut elsewhere, value_len)?
            } else {
                self.value(&mut cursor, value_len)?
            };
            total += name.len() + value.len();
            if total > TOTAL_MAX {
                return Err(damaged("one inode has more than 16 MiB of them"));
            }
            xattrs.push(Xattr { name, value });
        }
        Ok(xattrs)
    }

    fn value(&self, cursor: &mut Cursor<'_>, len: u32) -> Result<Vec<u8>, Error> {
        if len > VALUE_MAX {
            return Err(self.blocks.damaged("damaged extended attributes: a value longer than 64 KiB"));
        }
        cursor.bytes(len as usize)
    }
}
