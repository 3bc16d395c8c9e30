//! How the archive is compressed: one frame of zstd, the same bytes however many threads make it.

use std::io::{self, Write};
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread;

use zstd::Encoder;
use zstd::stream::raw::CParameter;

/// The zstd levels that fit the window of the kernel's decompressor.
pub const LEVELS: RangeInclusive<i32> = 1..=19;

/// Each has tables of its own: two take a sixth more memory than one without any help, four as much again.
const MOST_THREADS: usize = 2;
/// The bytes that a thread gets at a time, of which there are several in memory. Of what any machine needs the result is 0.3 % longer.
const JOB: u32 = 2 << 20;

/// As many as there are processors.
pub(crate) fn threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS)
}

/// An encoder that `threads` threads help, at least one: without any, zstd cuts the data nowhere, and the bytes are others.
///
/// # Errors
/// zstd refuses a parameter.
pub(crate) fn encoder<'a, W: Write>(out: W, level: i32, threads: usize) -> io::Result<Encoder<'a, W>> {
    let mut encoder = Encoder::new(out, level)?;
    // The kernel checks the sum when it unpacks, and `--list` when it reads.
    encoder.include_checksum(true)?;
    for parameter in tables(level) {
        encoder.set_parameter(parameter)?;
    }
    encoder.set_parameter(CParameter::JobSize(JOB))?;
    encoder.multithread(u32::try_from(threads.max(1)).unwrap_or(1))?;
    Ok(encoder)
}

/// The tables by which matches are found have 64 MiB at these levels, for windows that are fuller than 14 MB of modules make them; with
/// 16 MiB for each of the two the result is 0.3 % longer. Who asks for a higher level has the memory.
fn tables(level: i32) -> Vec<CParameter> {
    match level {
        14..=15 => vec![CParameter::HashLog(22), CParameter::ChainLog(22)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compressed(data: &[u8], level: i32, threads: usize) -> Vec<u8> {
        let mut encoder = encoder(Vec::new(), level, threads).expect("an encoder");
        data.chunks(100_000).for_each(|part| encoder.write_all(part).expect("written"));
        encoder.finish().expect("an end")
    }

    /// Words that repeat, in more than one part of what a thread takes.
    #[test]
    fn the_bytes_are_the_same_on_any_number_of_processors() {
        let data: Vec<u8> = (0..6_000_000_u32).flat_map(|number| (number % 70_001).to_le_bytes()).collect();
        for level in [1, 10] {
            let one = compressed(&data, level, 1);
            assert!(one.len() < data.len() / 2);
            for threads in [0, 2, 4] {
                assert!(compressed(&data, level, threads) == one, "level {level}, {threads} threads");
            }
            assert!(zstd::decode_all(&one[..]).expect("a frame") == data);
        }
    }
}
