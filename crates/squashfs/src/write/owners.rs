//! The id table: inodes name owners and groups by 16-bit index (`squashfs.rst`, section 3.6).

use std::collections::HashMap;

use crate::Error;

/// Numbers the owners and groups in the order of their first use.
#[derive(Default)]
pub(super) struct Owners {
    ids: Vec<u32>,
    index: HashMap<u32, u16>,
}

impl Owners {
    pub(super) fn number(&mut self, id: u32) -> Result<u16, Error> {
        if let Some(&number) = self.index.get(&id) {
            return Ok(number);
        }
        // The superblock counts ids in 16 bits, so the last index goes unused.
        let number = u16::try_from(self.ids.len()).ok().filter(|&number| number < u16::MAX).ok_or_else(|| {
            Error::Limit(
                "the tree has more than 65,535 distinct owners and groups, which is all that squashfs can number: map \
                 some together"
                    .into(),
            )
        })?;
        self.ids.push(id);
        self.index.insert(id, number);
        Ok(number)
    }

    pub(super) fn count(&self) -> u16 {
        self.ids.len() as u16
    }

    pub(super) fn table(&self) -> Vec<u8> {
        self.ids.iter().flat_map(|id| id.to_le_bytes()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_id_that_fits_is_the_65535th() {
        let mut owners = Owners::default();
        for id in 0..65_535 {
            assert_eq!(u32::from(owners.number(id).unwrap()), id);
        }
        assert_eq!(owners.count(), 65_535);
        assert!(owners.number(65_535).unwrap_err().to_string().contains("more than 65,535 distinct owners"));
        assert_eq!(owners.number(7).unwrap(), 7);
    }
}
