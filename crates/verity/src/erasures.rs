//! Bytes of a codeword that are known to be wrong, from all the others.
//!
//! A codeword vanishes at each root of the generator ([`crate::reed_solomon`]). With the bytes at `n` known places taken away, what is
//! left does not: its values at the first `n` roots, the syndromes, are a system of `n` linear equations in those bytes, whose matrix
//! is Vandermonde's. Its solution for one of them is a weighted sum of the syndromes, and the weights are the coefficients of the
//! Lagrange polynomial that is 1 at that place and 0 at the others. The places are the same for 4096 neighbouring codewords, so that
//! the weights are computed once for a block.
//!
//! Source: J. H. van Lint, *Introduction to Coding Theory*, on decoding of erasures; the kernel's `lib/reed_solomon` for the powers.

use crate::reed_solomon::{multiply, power};

/// What to multiply each syndrome with, so that the sum is the byte at `wanted`; the others are at `others`. Places are powers of x.
pub fn weights(wanted: u8, others: &[u8]) -> Vec<u8> {
    let x = power(wanted);
    // The product of (X - Xj) / (Xwanted - Xj); minus is plus here.
    let mut polynomial = vec![1];
    for other in others.iter().map(|&other| power(other)) {
        let scale = inverse(x ^ other);
        let shifted = std::iter::once(0).chain(polynomial.iter().copied());
        let lowered = polynomial.iter().map(|&c| multiply(c, other)).chain([0]);
        polynomial = shifted.zip(lowered).map(|(a, b)| multiply(a ^ b, scale)).collect();
    }
    polynomial
}

/// The group has 255 elements, so that the power of 254 is the inverse.
fn inverse(a: u8) -> u8 {
    (0..254).fold(1, |product, _| multiply(product, a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_gives_one() {
        assert!((1..=255).all(|a| multiply(a, inverse(a)) == 1));
    }

    /// Two bytes of a codeword from its syndromes, whatever they are.
    #[test]
    fn the_weighted_syndromes_are_the_byte() {
        let (places, bytes) = ([254, 17, 0], [0xa5, 0x0f, 0x80]);
        let syndrome = |root: u8| {
            let term = |(&place, &byte): (&u8, &u8)| {
                (0..root).fold(byte, |product, _| multiply(product, power(place)))
            };
            places.iter().zip(&bytes).map(term).fold(0, |sum, term| sum ^ term)
        };
        for (index, byte) in bytes.iter().enumerate() {
            let others: Vec<u8> = places.iter().copied().filter(|place| *place != places[index]).collect();
            let found = weights(places[index], &others)
                .iter()
                .zip(0..)
                .fold(0, |sum, (&weight, root)| sum ^ multiply(weight, syndrome(root)));
            assert_eq!(found, *byte);
        }
    }
}
