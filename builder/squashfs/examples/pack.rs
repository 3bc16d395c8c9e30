//! `pack DIRECTORY IMAGE [LEVEL [JOBS [BLOCK]]]` writes an image and prints what went in; the benchmark measures it.

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use squashfs::{Compressor, ScanOptions, Tree, WriteOptions, write_image};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let [directory, image, numbers @ ..] = &arguments[..] else {
        return Err("usage: pack DIRECTORY IMAGE [LEVEL [JOBS [BLOCK]]]".into());
    };
    let numbers: Vec<u32> =
        numbers.iter().map(|number| number.to_string_lossy().parse()).collect::<Result<_, _>>()?;
    let mut options = WriteOptions::default();
    if let Some(&level) = numbers.first() {
        options.compressor = Compressor::Zstd { level: level as i32 };
    }
    if let Some(&jobs) = numbers.get(1) {
        options.jobs = usize::try_from(jobs)?.try_into()?;
    }
    if let Some(&block_size) = numbers.get(2) {
        options.block_size = block_size;
    }
    let tree = Tree::from_directory(Path::new(directory), &ScanOptions::default())?;
    let out = File::options().read(true).write(true).create(true).truncate(true).open(image)?;
    println!("{:#?}", write_image(&tree, &options, out, &mut |_| ())?);
    Ok(())
}
