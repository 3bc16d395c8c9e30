//! The outer `ar` archive, in the one variant that deb(5) allows: short names, decimal sizes, no name tables.

use std::io::{ErrorKind, Read, Seek, SeekFrom};

use crate::error::{Part, malformed, while_doing};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_LENGTH: usize = 60;
/// A package has three members; dpkg tolerates a few more whose names start with `_`.
const MOST_MEMBERS: usize = 16;

/// One member: where its bytes lie in the package file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveMember {
    pub name: String,
    pub offset: u64,
    pub length: u64,
}

/// Lists the members of an archive of `file_length` bytes, and checks that all of them are there in full.
pub(crate) fn members(file: &mut (impl Read + Seek), file_length: u64) -> Part<Vec<ArchiveMember>> {
    let mut magic = [0; MAGIC.len()];
    match file.read_exact(&mut magic) {
        Ok(()) if &magic == MAGIC => {}
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(while_doing("reading")(error)),
        _ => return malformed("it does not begin with the ar magic `!<arch>`"),
    }
    let mut found = Vec::new();
    let mut position = MAGIC.len() as u64;
    while position < file_length {
        if found.len() == MOST_MEMBERS {
            return malformed(format!("it has more than {MOST_MEMBERS} ar members"));
        }
        file.seek(SeekFrom::Start(position)).map_err(while_doing("seeking"))?;
        let member = read_header(file, position)?;
        let end = member.offset.saturating_add(member.length);
        if end > file_length {
            return malformed(format!(
                "it is cut short: member `{}` ends at byte {end}, the file has {file_length}",
                member.name
            ));
        }
        position = end + end % 2;
        found.push(member);
    }
    Ok(found)
}

fn read_header(file: &mut impl Read, position: u64) -> Part<ArchiveMember> {
    let mut header = [0; HEADER_LENGTH];
    if let Err(error) = file.read_exact(&mut header) {
        return match error.kind() {
            ErrorKind::UnexpectedEof => {
                malformed(format!("it is cut short in the ar header at byte {position}"))
            }
            _ => Err(while_doing("reading")(error)),
        };
    }
    if &header[58..] != b"`\n" {
        return malformed(format!("the ar header at byte {position} has no end mark"));
    }
    let text = |range: std::ops::Range<usize>| String::from_utf8_lossy(&header[range]).trim_end().to_owned();
    let size = text(48..58);
    let Ok(length) = size.parse() else {
        return malformed(format!(
            "the ar header at byte {position} has the size `{}`",
            size.escape_default()
        ));
    };
    // GNU ar ends names with a slash, and dpkg accepts that.
    let name = text(0..16).trim_end_matches('/').escape_default().to_string();
    Ok(ArchiveMember { name, offset: position + HEADER_LENGTH as u64, length })
}
