//! Forward error correction: which bytes make a codeword, and the parity of all of them.
//!
//! The data and the hash tree, without the superblock between them, are taken as one run of blocks, and cut into 253 equal
//! parts (for 2 roots; 255 less the roots in general); what the last parts lack is taken as zeros. Byte k of every part
//! together are codeword k, so that a burst of damage touches each codeword once. Parity follows codeword by codeword.
//!
//! A unit of work is a stripe: neighbouring codewords, 64 KiB of each part, read part by part. A thread needs about 400 KiB of
//! memory with 2 roots, whatever the size of the image.
//!
//! Sources: `drivers/md/dm-verity-fec.c` (`fec_interleave`), cryptsetup's `lib/verity/verity_fec.c`.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::reed_solomon::Code;
use crate::{Error, Part, Work, units};
use stack::verity_layout::{BLOCK, Fec, Layout};

/// Codewords in a stripe.
const STRIPE: u64 = 64 * 1024;

/// Writes the parity of everything before it.
pub fn write(file: &File, layout: &Layout, fec: &Fec, work: &Work) -> Result<(), Error> {
    for_each_stripe(file, layout, fec, work, |parity, offset| {
        file.write_all_at(parity, offset).map_err(Error::io("write the error correction", offset))
    })
}

/// Checks the parity against everything before it, which must have been checked.
pub fn check(file: &File, layout: &Layout, fec: &Fec, work: &Work) -> Result<(), Error> {
    for_each_stripe(file, layout, fec, work, |parity, offset| {
        let mut found = vec![0; parity.len()];
        file.read_exact_at(&mut found, offset).map_err(Error::io("read the error correction", offset))?;
        match found.iter().zip(parity).position(|(found, expected)| found != expected) {
            Some(wrong) => Err(Error::Mismatch(Part::Parity { offset: offset + wrong as u64 })),
            None => Ok(()),
        }
    })
}

/// Computes the parity of each stripe and hands it to `act` with its offset in the file.
fn for_each_stripe(
    file: &File,
    layout: &Layout,
    fec: &Fec,
    work: &Work,
    act: impl Fn(&[u8], u64) -> Result<(), Error> + Sync,
) -> Result<(), Error> {
    let code = Code::new(fec.roots);
    let stripes = fec.codewords().div_ceil(STRIPE);
    units::for_each(stripes, work.jobs, Vec::new, |stripe, buffer| {
        let codewords = stripe * STRIPE..fec.codewords().min((stripe + 1) * STRIPE);
        let offset = fec.offset + codewords.start * u64::from(fec.roots);
        // A codeword has bytes of each part, and the last parts may be beyond the end.
        let bytes = (codewords.end - codewords.start) * (fec.blocks * BLOCK).div_ceil(fec.codewords());
        let parity = stripe_parity(file, layout, fec, &code, codewords, buffer)?;
        (work.progress)(bytes);
        act(&parity, offset)
    })
}

fn stripe_parity(
    file: &File,
    layout: &Layout,
    fec: &Fec,
    code: &Code,
    codewords: Range<u64>,
    buffer: &mut Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let width = (codewords.end - codewords.start) as usize;
    buffer.resize(width, 0);
    let mut encoder = code.encoder(width);
    for part in 0..fec.parts() {
        read_protected(file, layout, fec, part * fec.codewords() + codewords.start, buffer)?;
        encoder.push(buffer);
    }
    Ok(encoder.parity())
}

/// Reads from the run of protected blocks at `position`, with zeros beyond its end.
fn read_protected(
    file: &File,
    layout: &Layout,
    fec: &Fec,
    position: u64,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let (data_end, tree_end) = (layout.hash_offset, fec.blocks * BLOCK);
    let (data, rest) = split_before(buffer, position, data_end);
    let rest_position = position + data.len() as u64;
    let (tree, beyond) = split_before(rest, rest_position, tree_end);
    beyond.fill(0);
    // The tree lies one block further on than in the run: behind the superblock.
    for (bytes, offset) in [(data, position), (tree, rest_position + BLOCK)] {
        if !bytes.is_empty() {
            file.read_exact_at(bytes, offset).map_err(Error::io("read", offset))?;
        }
    }
    Ok(())
}

/// Parts a buffer that stands for `position` onwards into what lies before `end` and what does not.
fn split_before(buffer: &mut [u8], position: u64, end: u64) -> (&mut [u8], &mut [u8]) {
    let before = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
    buffer.split_at_mut(before.min(buffer.len()))
}
