//! ISO 9660: ECMA-119, sections 8.4 (primary volume descriptor) and 8.4.26.1 (dates).

use super::{Superblock, driver};
use crate::bytes::{ByteSource, field_text, le16, le32};

/// The first volume descriptor is in sector 16 of 2048 bytes.
const OFFSET: u64 = 16 * 2048;
const CREATED: usize = 813;
const MODIFIED: usize = 830;

/// Reads the primary volume descriptor. As blkid(8) does, the UUID is the date of modification, or else of creation.
pub(super) fn probe(source: &dyn ByteSource) -> Option<Superblock> {
    let descriptor = source.vec(OFFSET, 2048)?;
    if descriptor[0] != 1 || descriptor[1..6] != *b"CD001" {
        return None;
    }
    let label = field_text(&descriptor[40..72]);
    let length = Some(u64::from(le32(&descriptor, 80)) * u64::from(le16(&descriptor, 128)));
    let uuid =
        date(&descriptor[MODIFIED..MODIFIED + 16]).or_else(|| date(&descriptor[CREATED..CREATED + 16]));
    Some(Superblock { kind: "iso9660", driver: driver("iso9660"), label, uuid, length })
}

/// `YYYYMMDDHHMMSSCC` as `YYYY-MM-DD-HH-MM-SS-CC`; all zeros mean that the date is not given.
fn date(digits: &[u8]) -> Option<String> {
    if !digits.iter().all(u8::is_ascii_digit) || digits.iter().all(|digit| *digit == b'0') {
        return None;
    }
    let text = std::str::from_utf8(digits).ok()?;
    let pairs: Vec<&str> = (4..16).step_by(2).map(|at| &text[at..at + 2]).collect();
    Some(format!("{}-{}", &text[..4], pairs.join("-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<u8> {
        let mut bytes = vec![0; 17 * 2048];
        let descriptor = &mut bytes[OFFSET as usize..];
        descriptor[0] = 1;
        descriptor[1..6].copy_from_slice(b"CD001");
        descriptor[40..72].copy_from_slice(b"LAMINA                          ");
        descriptor[CREATED..CREATED + 16].copy_from_slice(b"2026112111450600");
        descriptor[MODIFIED..MODIFIED + 16].copy_from_slice(b"0000000000000000");
        bytes
    }

    #[test]
    fn label_and_date_are_read() {
        let found = probe(&image()).unwrap();
        assert_eq!(found.label.as_deref(), Some("LAMINA"));
        assert_eq!(found.uuid.as_deref(), Some("2026-11-21-11-45-06-00"));
    }

    #[test]
    fn the_date_of_modification_wins_when_it_is_given() {
        let mut bytes = image();
        bytes[OFFSET as usize + MODIFIED..][..16].copy_from_slice(b"2027010203040506");
        assert_eq!(probe(&bytes).unwrap().uuid.as_deref(), Some("2027-01-02-03-04-05-06"));
        bytes[OFFSET as usize + MODIFIED] = b'x';
        assert_eq!(probe(&bytes).unwrap().uuid.as_deref(), Some("2026-11-21-11-45-06-00"));
    }
}
