//! Damages an image in thousands of ways and opens it each time, as init would: loop device, dm-verity, mount.
//!
//! What to do lies in the initramfs, in `/soak`: `image`; `protection` with the words `ROOT-HASH SALT DATA-BLOCKS FEC-ROOTS` (or
//! nothing, then the image is mounted without dm-verity); `tree` and `data` with the digests of the undamaged tree and of the
//! undamaged data; `flips`, one damage a line: `OFFSET LENGTH MASK`, where every byte from OFFSET on is XORed with MASK.
//!
//! The answers: `soak: flip NUMBER right|refused|unreadable|wrong`, where refused is before, and unreadable after, the mount.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};
use soak_guest::{hex, tree};
use stack::image::OpenImage;
use stack::loop_device::{self, LoopDevice};
use stack::mount::{self, Attributes, Backing, Filesystem};
use stack::verity::{self, Protection, VerityDevice};

use crate::machine::{load_modules, mount_kernel_file_systems, say, switch_off};

const WORK: &str = "/soak/work";
const IMAGE: &str = "/soak/work/image";
const LAYER: &str = "/soak/layer";

/// One damage.
struct Flip {
    offset: u64,
    length: usize,
    mask: u8,
}

/// What is known about the undamaged image.
struct Known {
    protection: Option<Protection>,
    tree: String,
    data: String,
}

/// PID 1 of the guest.
pub fn run() -> Result<(), String> {
    mount_kernel_file_systems()?;
    load_modules()?;
    let known = Known::read()?;
    let flips = read("flips")?;
    let flips =
        flips.lines().map(Flip::parse).collect::<Option<Vec<_>>>().ok_or("/soak/flips: not understood")?;
    prepare().map_err(|error| format!("preparing {WORK}: {error}"))?;
    let file = File::options().read(true).write(true).open(IMAGE).map_err(|error| error.to_string())?;
    if known.protection.is_some() {
        say(if known.corrects_errors()? { "corrects errors" } else { "detects errors" });
    }
    match known.judge(0) {
        "right" => say("undamaged right"),
        other => return Err(format!("the undamaged image is {other}")),
    }
    // A few at once: every write to the console costs more than a trial.
    let mut answers = Vec::new();
    for (number, flip) in (1..).zip(&flips) {
        flip.apply(&file).map_err(|error| format!("damaging: {error}"))?;
        answers.push(format!("flip {number} {}", known.judge(number)));
        flip.apply(&file).map_err(|error| format!("repairing: {error}"))?;
        if number % 50 == 0 {
            say(&answers.join("\nsoak: "));
            answers.clear();
        }
    }
    if !answers.is_empty() {
        say(&answers.join("\nsoak: "));
    }
    say("flips done");
    switch_off()
}

fn read(name: &str) -> Result<String, String> {
    let path = Path::new("/soak").join(name);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}

fn prepare() -> io::Result<()> {
    fs::create_dir_all(WORK)?;
    fs::create_dir_all(LAYER)?;
    let tmpfs = Filesystem {
        kind: "tmpfs",
        source: "soak",
        options: &[],
        flags: &[],
        attributes: Attributes::empty(),
    };
    tmpfs.mount(Path::new(WORK)).map_err(io::Error::other)?;
    fs::copy("/soak/image", IMAGE).map(drop)
}

impl Flip {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let flip = Self {
            offset: words.next()?.parse().ok()?,
            length: words.next()?.parse().ok()?,
            mask: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(flip)
    }

    /// Twice is as good as never.
    fn apply(&self, file: &File) -> io::Result<()> {
        let mut bytes = vec![0; self.length];
        file.read_exact_at(&mut bytes, self.offset)?;
        bytes.iter_mut().for_each(|byte| *byte ^= self.mask);
        file.write_all_at(&bytes, self.offset)
    }
}

impl Known {
    fn read() -> Result<Self, String> {
        Ok(Self { protection: protection(&read("protection")?)?, tree: read("tree")?, data: read("data")? })
    }

    fn judge(&self, number: u32) -> &'static str {
        let Ok((loop_device, verity)) = self.open(number) else { return "refused" };
        let backing = verity.as_ref().map_or(Backing::Loop(&loop_device), Backing::Verity);
        // As init does it: by the checked blocks first.
        let checked = verity.as_ref().and_then(|verity| verity.file_system().ok().flatten());
        let kind = checked
            .map_or_else(|| OpenImage::open(Path::new(IMAGE)).and_then(|image| image.file_system()), Ok);
        let Ok(()) = kind
            .and_then(|kind| mount::layer(kind, &backing, Path::new(IMAGE)))
            .and_then(|layer| layer.show_at(Path::new(LAYER)))
        else {
            return "refused";
        };
        let tree = tree::digest(Path::new(LAYER));
        let data = verity
            .as_ref()
            .zip(self.protection)
            .map(|(device, protection)| digest_of_device(device.path(), protection.data_blocks * 4096));
        let _ = mount::unmount(Path::new(LAYER));
        match (tree, data.transpose()) {
            (Ok(tree), Ok(data)) => {
                let right = hex(&tree) == self.tree && data.is_none_or(|data| hex(&data) == self.data);
                if right { "right" } else { "wrong" }
            }
            _ => "unreadable",
        }
    }

    fn open(&self, number: u32) -> stack::Result<(LoopDevice, Option<VerityDevice>)> {
        let image = OpenImage::open(Path::new(IMAGE))?;
        let device = loop_device::attach(&image)?;
        let verity = self
            .protection
            .map(|protection| verity::open(&device, &format!("soak-{number}"), &protection))
            .transpose()?;
        Ok((device, verity))
    }

    fn corrects_errors(&self) -> Result<bool, String> {
        let (_device, verity) = self.open(0).map_err(|error| format!("{error}: {}", error.why()))?;
        Ok(verity.is_some_and(|verity| verity.corrects_errors()))
    }
}

fn protection(text: &str) -> Result<Option<Protection>, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [root_hash, salt, data_blocks, fec_roots] = words[..] else {
        return if words.is_empty() { Ok(None) } else { Err("/soak/protection: not four words".to_owned()) };
    };
    let number =
        |word: &str| word.parse::<u64>().map_err(|error| format!("/soak/protection: {word}: {error}"));
    let fec_roots = u8::try_from(number(fec_roots)?).ok().filter(|roots| *roots > 0);
    let (root_hash, salt) = bytes(root_hash).zip(bytes(salt)).ok_or("/soak/protection: not 64 hex digits")?;
    Ok(Some(Protection { root_hash, salt, data_blocks: number(data_blocks)?, fec_roots }))
}

/// 64 hex digits.
fn bytes(hex: &str) -> Option<[u8; 32]> {
    let digits = |place: usize| u8::from_str_radix(hex.get(2 * place..2 * place + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..32).map(digits).collect();
    bytes?.try_into().ok()
}

/// Every block is read, so that every block of the hash tree is too.
fn digest_of_device(device: &Path, length: u64) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut rest = File::open(device)?.take(length);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match rest.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&buffer[..count]),
        }
    }
}
