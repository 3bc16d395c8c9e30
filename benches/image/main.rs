//! Writing an image, side by side with mksquashfs: wall time, processor time, size and peak memory, medians of alternating
//! runs. On a busy machine look at processor time: of wall time a program gets more the more threads it has.
//!
//! Each run is a process of its own below a process of its own, because Linux tells the peak memory of a child only as the
//! largest of all children (getrusage(2)). Our writer also hashes its image, which mksquashfs does not.

use std::error::Error;
use std::fs::{self, File};
use std::num::NonZero;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use squashfs::{Compressor, ScanOptions, Tree, WriteOptions, Xattrs, write_image};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["pack", directory, image, level, jobs] => pack(directory, image, level.parse()?, jobs.parse()?),
        ["measure", program, ref arguments @ ..] => measure(program, arguments),
        [] => compare("/usr/share", 5, 3),
        [directory] => compare(directory, 5, 3),
        [directory, rounds] => compare(directory, rounds.parse()?, 3),
        [directory, rounds, level] => compare(directory, rounds.parse()?, level.parse()?),
        _ => Err("usage: image [DIRECTORY [ROUNDS [LEVEL]]]".into()),
    }
}

fn pack(directory: &str, image: &str, level: i32, jobs: NonZero<usize>) -> Outcome<()> {
    let options = ScanOptions { xattrs: Xattrs::KeepStorable, ..ScanOptions::default() };
    let tree = Tree::from_directory(Path::new(directory), &options)?;
    let out = File::options().read(true).write(true).create_new(true).open(image)?;
    let options = WriteOptions { compressor: Compressor::Zstd { level }, jobs, ..WriteOptions::default() };
    write_image(&tree, &options, out, &mut |_| ())?;
    Ok(())
}

/// Runs a program and prints its wall time and its processor time in seconds, and its peak memory in KiB.
fn measure(program: &str, arguments: &[&str]) -> Outcome<()> {
    let start = Instant::now();
    let output = Command::new(program).args(arguments).output()?;
    let seconds = start.elapsed().as_secs_f64();
    if !output.status.success() {
        return Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let processor = usage.user_time() + usage.system_time();
    println!("{seconds} {} {}", processor.num_microseconds() as f64 / 1e6, usage.max_rss());
    Ok(())
}

/// The runs of one writer.
struct Runs {
    name: &'static str,
    command: Vec<String>,
    image: String,
    /// What `measure` printed, by column.
    numbers: [Vec<f64>; 3],
    size: u64,
}

impl Runs {
    fn new(name: &'static str, image: &Path, command: &[&str]) -> Self {
        let command = command.iter().map(|word| word.to_string()).collect();
        let image = image.display().to_string();
        Self { name, command, image, numbers: Default::default(), size: 0 }
    }

    fn run(&mut self, keep: bool) -> Outcome<()> {
        fs::remove_file(&self.image).or_else(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })?;
        let output = Command::new(std::env::current_exe()?).arg("measure").args(&self.command).output()?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into());
        }
        let line = String::from_utf8(output.stdout)?;
        if keep {
            for (column, word) in self.numbers.iter_mut().zip(line.split_whitespace()) {
                column.push(word.parse()?);
            }
        }
        self.size = fs::metadata(&self.image)?.len();
        Ok(())
    }
}

fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn compare(directory: &str, rounds: usize, level: i32) -> Outcome<()> {
    let work = tempfile::tempdir()?;
    let (ours, theirs) = (work.path().join("ours"), work.path().join("theirs"));
    let jobs = std::thread::available_parallelism()?.to_string();
    let program = std::env::current_exe()?;
    let (program, level) = (program.to_string_lossy(), level.to_string());
    let paths = [ours.to_string_lossy(), theirs.to_string_lossy()];
    let pack = [&program, "pack", directory, &paths[0], &level, &jobs];
    let mksquashfs = ["mksquashfs", directory, &paths[1], "-comp", "zstd", "-Xcompression-level", &level];
    let same = ["-b", "128K", "-processors", &jobs, "-no-progress", "-quiet"];
    let mut both = [
        Runs::new("lamina", &ours, &pack),
        Runs::new("mksquashfs", &theirs, &[&mksquashfs[..], &same].concat()),
    ];
    // The first run of each fills the page cache and is not counted.
    for round in 0..=rounds.max(1) {
        for runs in &mut both {
            runs.run(round > 0)?;
        }
    }
    println!(
        "{directory}, zstd level {level}, 128 KiB blocks, {jobs} processors, median of {rounds} runs each"
    );
    println!("{:12} {:>9} {:>9} {:>10} {:>12}", "", "wall s", "cpu s", "peak MiB", "bytes");
    let medians = both.each_ref().map(|runs| runs.numbers.each_ref().map(|column| median(column)));
    for (runs, [wall, processor, kib]) in both.iter().zip(medians) {
        let mib = kib / 1024.0;
        println!("{:12} {wall:9.2} {processor:9.2} {mib:10.1} {:12}", runs.name, runs.size);
    }
    let [wall, processor, memory] = [0, 1, 2].map(|column| medians[0][column] / medians[1][column]);
    let size = both[0].size as f64 / both[1].size as f64;
    println!("{:12} {wall:9.3} {processor:9.3} {memory:10.3} {size:12.4}", "ratio");
    Ok(())
}
