//! The Reed-Solomon code of dm-verity, for many codewords at once.
//!
//! The field is GF(256) modulo x^8 + x^4 + x^3 + x^2 + 1 (0x11d). The generator of a code with n parity bytes has the roots
//! 2^0 to 2^(n-1); in the kernel's words, `init_rs(8, 0x11d, 0, 1, n)`. The code is systematic: parity is the remainder of
//! the data, highest power first, divided by the generator, and begins with the highest power as well.
//!
//! The crates on offer encode one codeword from contiguous bytes (`reed-solomon`, `gf256`), or take whole buffers but are
//! erasure codes with other parity (`reed-solomon-erasure`). Here byte k of every buffer belongs to codeword k, which turns the
//! division into one table look-up for each parity byte, without gathering bytes from 253 places first.

/// Products of one constant with every element of the field.
pub type Multiples = [u8; 256];

/// The code: for each parity byte, highest power first, the multiples of the generator's coefficient.
pub struct Code {
    multiples: Vec<Multiples>,
}

/// Codewords side by side while their data comes in.
pub struct Encoder<'a> {
    code: &'a Code,
    /// The remainder so far: for each power, highest first, one byte of every codeword.
    remainder: Vec<Vec<u8>>,
    quotient: Vec<u8>,
}

impl Code {
    /// The code with `roots` parity bytes.
    pub fn new(roots: u8) -> Self {
        let generator = generator(roots);
        // The leading coefficient is 1 and leaves no remainder.
        let multiples = generator.iter().rev().skip(1).map(|&c| multiples(c)).collect();
        Self { multiples }
    }

    /// An encoder of `codewords` codewords.
    pub fn encoder(&self, codewords: usize) -> Encoder<'_> {
        let remainder = vec![vec![0; codewords]; self.multiples.len()];
        Encoder { code: self, remainder, quotient: vec![0; codewords] }
    }
}

impl Encoder<'_> {
    /// Takes the next byte of every codeword.
    pub fn push(&mut self, bytes: &[u8]) {
        for ((quotient, byte), high) in self.quotient.iter_mut().zip(bytes).zip(&self.remainder[0]) {
            *quotient = byte ^ high;
        }
        // Multiplies by x: the highest power moves into the quotient, and its place becomes that of the lowest.
        self.remainder.rotate_left(1);
        if let Some(lowest) = self.remainder.last_mut() {
            lowest.fill(0);
        }
        for (plane, multiples) in self.remainder.iter_mut().zip(&self.code.multiples) {
            for (byte, &quotient) in plane.iter_mut().zip(&self.quotient) {
                *byte ^= multiples[usize::from(quotient)];
            }
        }
    }

    /// The parity: all bytes of the first codeword, then those of the next.
    pub fn parity(&self) -> Vec<u8> {
        let codewords = 0..self.quotient.len();
        codewords.flat_map(|codeword| self.remainder.iter().map(move |plane| plane[codeword])).collect()
    }
}

/// The product of (x - 2^i) for i below `roots`: coefficients, lowest power first.
fn generator(roots: u8) -> Vec<u8> {
    let mut product = vec![1];
    let mut root = 1;
    for _ in 0..roots {
        let shifted = std::iter::once(0).chain(product.iter().copied());
        let scaled = product.iter().map(|&c| multiply(c, root)).chain([0]);
        product = shifted.zip(scaled).map(|(a, b)| a ^ b).collect();
        root = multiply(root, 2);
    }
    product
}

/// A constant with every element of the field.
pub fn multiples(constant: u8) -> Multiples {
    std::array::from_fn(|x| multiply(constant, x as u8))
}

/// A power of 2, which generates the field.
pub fn power(exponent: u8) -> u8 {
    (0..exponent).fold(1, |power, _| multiply(power, 2))
}

/// The product in the field.
pub fn multiply(a: u8, b: u8) -> u8 {
    let (mut product, mut power) = (0, a);
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            product ^= power;
        }
        power = (power << 1) ^ if power & 0x80 == 0 { 0 } else { 0x1d };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value of a polynomial, highest power first.
    fn value(codeword: &[u8], x: u8) -> u8 {
        codeword.iter().fold(0, |value, &byte| multiply(value, x) ^ byte)
    }

    #[test]
    fn two_is_a_generator_of_the_field() {
        let powers = std::iter::successors(Some(1), |&power| Some(multiply(power, 2)));
        let mut powers: Vec<u8> = powers.take(255).collect();
        powers.sort_unstable();
        assert_eq!(powers, (1..=255).collect::<Vec<u8>>());
    }

    #[test]
    fn the_generator_of_two_roots_by_hand() {
        // (x + 1)(x + 2) = x^2 + 3x + 2
        assert_eq!(generator(2), [2, 3, 1]);
    }

    #[test]
    fn every_codeword_vanishes_at_every_root() {
        const CODEWORDS: usize = 3;
        for roots in [2u8, 3, 8, 24] {
            let code = Code::new(roots);
            let mut encoder = code.encoder(CODEWORDS);
            let data: Vec<[u8; CODEWORDS]> =
                (0..255 - roots).map(|i| [i, i.wrapping_mul(7) ^ 0x5a, 255 - i]).collect();
            data.iter().for_each(|bytes| encoder.push(bytes));
            for (index, parity) in encoder.parity().chunks(usize::from(roots)).enumerate() {
                let codeword: Vec<u8> =
                    data.iter().map(|bytes| bytes[index]).chain(parity.iter().copied()).collect();
                let mut root = 1;
                for _ in 0..roots {
                    assert_eq!(value(&codeword, root), 0);
                    root = multiply(root, 2);
                }
            }
        }
    }
}
