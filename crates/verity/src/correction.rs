//! One block anew from the error correction: the blocks that stand in the same codewords, which of them are wrong, and the parity.
//!
//! A block's 4096 bytes belong to 4096 neighbouring codewords, and so do those of one block of each other part: its mates. The hash
//! tree says of nearly all of them whether they are wrong, which doubles what the parity mends. Where it cannot (the children of the
//! very hash block that is wrong), and for the parity itself, which has no hashes, each is suspected in turn: the hash of what
//! comes out decides.

use std::fs::File;
use std::sync::Arc;

use stack::verity_layout::{BLOCK, BLOCK_BYTES, Fec, Layout};

use crate::Error;
use crate::block::{Block, read_what_is_there};
use crate::erasures;
use crate::reed_solomon::{Multiples, multiples, power};

/// What is known of a block in the same codewords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mate {
    /// It has the hash that it should have.
    Right,
    /// It has another.
    Wrong,
    /// Nobody knows which hash it should have.
    Unknown,
}

type Syndromes = Vec<[u8; BLOCK_BYTES]>;

/// What a block should be, when the error correction of `layout` can tell; `judge` says what a block of the file is worth, and
/// `is_it` whether a block is the wanted one.
pub fn mend(
    file: &File,
    layout: &Layout,
    wanted: u64,
    judge: &dyn Fn(u64) -> Result<(Mate, Block), Error>,
    is_it: &dyn Fn(&[u8; BLOCK_BYTES]) -> bool,
) -> Result<Option<Block>, Error> {
    let Some(fec) = &layout.fec else { return Ok(None) };
    let position = if wanted < layout.data_blocks { wanted } else { wanted - 1 };
    let (column, own) = (position % fec.rounds, place(position / fec.rounds));
    let roots: Vec<Multiples> = (0..fec.roots).map(|root| multiples(power(root))).collect();
    let mut syndromes = vec![[0; BLOCK_BYTES]; roots.len()];
    let (mut wrong, mut suspects) = (Vec::new(), Vec::new());
    for part in 0..fec.parts() {
        let position = part * fec.rounds + column;
        let zeros = || Arc::new([0; BLOCK_BYTES]);
        let block = match position {
            _ if place(part) == own || position >= fec.blocks => zeros(),
            _ => {
                let number = if position < layout.data_blocks { position } else { position + 1 };
                match judge(number)? {
                    (Mate::Right, block) => block,
                    (Mate::Wrong, _) => {
                        wrong.push(place(part));
                        zeros()
                    }
                    (Mate::Unknown, block) => {
                        suspects.push(place(part));
                        block
                    }
                }
            }
        };
        absorb(&mut syndromes, &roots, &*block, 0, 1);
    }
    absorb_parity(file, fec, column, &mut syndromes, &roots)?;
    // The parity's own places are the lowest powers.
    suspects.splice(0..0, 0..fec.roots);
    Ok(first_that_is_it(&syndromes, own, &wrong, &suspects, is_it))
}

/// The power of x that the bytes of a part stand at: the first has the highest.
fn place(part: u64) -> u8 {
    (254 - part) as u8
}

/// The next byte of every codeword, by Horner's rule; of `bytes`, every `step`th from `first`.
fn absorb(syndromes: &mut Syndromes, roots: &[Multiples], bytes: &[u8], first: usize, step: usize) {
    for (syndrome, root) in syndromes.iter_mut().zip(roots) {
        for (sum, byte) in syndrome.iter_mut().zip(bytes[first..].iter().step_by(step)) {
            *sum = root[usize::from(*sum)] ^ byte;
        }
    }
}

fn absorb_parity(
    file: &File,
    fec: &Fec,
    column: u64,
    syndromes: &mut Syndromes,
    roots: &[Multiples],
) -> Result<(), Error> {
    let mut parity = vec![0; BLOCK_BYTES * roots.len()];
    read_what_is_there(file, &mut parity, fec.offset + column * BLOCK * u64::from(fec.roots))?;
    for root in 0..roots.len() {
        absorb(syndromes, roots, &parity, root, roots.len());
    }
    Ok(())
}

/// With the known erasures, and then with one suspect more.
fn first_that_is_it(
    syndromes: &Syndromes,
    own: u8,
    wrong: &[u8],
    suspects: &[u8],
    is_it: &dyn Fn(&[u8; BLOCK_BYTES]) -> bool,
) -> Option<Block> {
    let attempts = std::iter::once(None).chain(suspects.iter().map(Some));
    for suspect in attempts {
        let others: Vec<u8> = wrong.iter().chain(suspect).copied().collect();
        if others.len() + 1 > syndromes.len() {
            // One more does not make it solvable.
            return None;
        }
        let mut block = [0; BLOCK_BYTES];
        for (weight, syndrome) in erasures::weights(own, &others).into_iter().zip(syndromes) {
            let weight = multiples(weight);
            for (byte, part) in block.iter_mut().zip(syndrome) {
                *byte ^= weight[usize::from(*part)];
            }
        }
        if is_it(&block) {
            return Some(Arc::new(block));
        }
    }
    None
}
