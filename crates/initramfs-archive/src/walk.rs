//! Archives and streams one behind the other: what `unpack_to_rootfs` of the kernel's init/initramfs.c does, entry for entry.

use std::io::{self, ErrorKind, Read};
use std::ops::ControlFlow;

use decompress::Compression;

use crate::header::{self, Entry, Kind};
use crate::input::Input;
use crate::{Archive, Damage, Limits};

/// Is called with each entry and its data, of which it reads as much as it wants; `Break` ends the walk.
pub type Visitor<'a> = dyn FnMut(&Entry, &mut dyn Read) -> io::Result<ControlFlow<()>> + 'a;

/// What compressed files begin with that cannot be read, and what to do.
const UNREADABLE: [(&[u8], &str, &str); 3] = [
    (
        b"\x89LZO\0\r\n\x1a\n",
        "is compressed with lzop, which cannot be read here",
        "unpack it first: 'lzop -d < FILE > OTHER'",
    ),
    (
        b"\x04\x22\x4d\x18",
        "is compressed with a frame of lz4 that the kernel does not unpack",
        "unpack it first: 'lz4 -d FILE OTHER'; 'lz4 -l' compresses as the kernel wants it",
    ),
    (
        b"070707",
        "is in the old format of cpio, which the kernel does not unpack",
        "make it with 'cpio -o -H newc'",
    ),
];
/// As much as every kind of file is known by.
const MAGIC: usize = 16;

/// Shows every entry of an initramfs to `visit`, the trailers excepted. Returns the archives.
///
/// # Errors
/// It is none, is damaged, ends too early or asks for more than the limits; or `visit` failed.
pub fn walk<'a>(
    source: impl Read + 'a,
    limits: Limits,
    visit: &mut Visitor<'_>,
) -> Result<Vec<Archive>, Damage> {
    let mut walk =
        Walk { limits, visit, archives: Vec::new(), open: None, behind: None, entries: 0, remedy: None };
    let mut file = Input::new(Box::new(source), u64::MAX);
    match walk.file(&mut file) {
        Ok(_) => Ok(walk.archives),
        Err(cause) => {
            let Walk { open: archive, behind, entries, remedy, .. } = walk;
            Err(Damage { archive, behind, entries, cause, remedy })
        }
    }
}

struct Walk<'v, 'f> {
    limits: Limits,
    visit: &'v mut Visitor<'f>,
    archives: Vec<Archive>,
    /// What is being read, and its last entry: where damage is.
    open: Option<Archive>,
    behind: Option<String>,
    entries: u64,
    remedy: Option<&'static str>,
}

impl Walk<'_, '_> {
    fn file(&mut self, file: &mut Input<'_>) -> io::Result<ControlFlow<()>> {
        loop {
            file.skip_zeros()?;
            let offset = file.position();
            let first = file.peek(MAGIC)?;
            if first.is_empty() && !self.archives.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            let compression = Compression::of_magic(first);
            if compression == Compression::None {
                self.check_beginning(first, offset)?;
            }
            let archive = Archive { number: self.archives.len() as u32 + 1, compression, offset };
            let flow = match compression {
                Compression::None => self.archive(file, archive)?,
                _ => self.stream(file, archive)?,
            };
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }

    /// Whether a plain archive may begin here.
    fn check_beginning(&mut self, first: &[u8], offset: u64) -> io::Result<()> {
        if let Some((_, cause, remedy)) = UNREADABLE.iter().find(|(magic, ..)| first.starts_with(magic)) {
            self.remedy = Some(remedy);
            return Err(io::Error::new(ErrorKind::Unsupported, *cause));
        }
        if first.is_empty() {
            return Err(damaged("there is no archive in it".to_owned()));
        }
        if !first.starts_with(b"07070") {
            return Err(damaged(format!("what stands at byte {offset} is no archive and not compressed")));
        }
        if !offset.is_multiple_of(4) {
            let cause = format!(
                "an archive begins at byte {offset}: the kernel finds none that is at no multiple of 4"
            );
            return Err(damaged(cause));
        }
        Ok(())
    }

    /// A compressed stream with archives in it. What it yields counts against the limit.
    fn stream(&mut self, file: &mut Input<'_>, first: Archive) -> io::Result<ControlFlow<()>> {
        self.open = Some(first);
        let mut inside = Input::new(first.compression.one_stream(file)?, self.limits.unpacked);
        loop {
            inside.skip_zeros()?;
            if inside.peek(1)?.is_empty() {
                self.limits.unpacked -= inside.position();
                self.open = None;
                return Ok(ControlFlow::Continue(()));
            }
            let archive = Archive { number: self.archives.len() as u32 + 1, ..first };
            if self.archive(&mut inside, archive)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            // Until the stream has ended, its sum was not compared.
            self.open = Some(archive);
        }
    }

    /// Entries up to the trailer.
    fn archive(&mut self, input: &mut Input<'_>, archive: Archive) -> io::Result<ControlFlow<()>> {
        (self.open, self.behind) = (Some(archive), None);
        loop {
            let entry = header::read(input, archive)?;
            if entry.is_trailer() {
                input.skip(u64::from(entry.size))?;
                input.skip_zeros()?;
                self.archives.push(archive);
                (self.open, self.behind) = (None, None);
                return Ok(ControlFlow::Continue(()));
            }
            self.count(&entry)?;
            if self.entry(input, &entry)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            self.behind = Some(entry.path);
        }
    }

    fn count(&mut self, entry: &Entry) -> io::Result<()> {
        let names = self.limits.names.checked_sub(entry.path.len() as u64);
        match (names, self.entries < self.limits.entries) {
            (Some(names), true) => {
                self.limits.names = names;
                self.entries += 1;
                Ok(())
            }
            _ => Err(io::Error::new(ErrorKind::FileTooLarge, "it has more files than an initramfs may have")),
        }
    }

    fn entry(&mut self, input: &mut Input<'_>, entry: &Entry) -> io::Result<ControlFlow<()>> {
        let wanted_sum = entry.sum.filter(|_| entry.kind() == Kind::File && entry.size > 0);
        let mut data = Data { input, rest: u64::from(entry.size), sum: 0 };
        let flow = (self.visit)(entry, &mut data)?;
        if flow.is_break() {
            return Ok(flow);
        }
        data.finish()?;
        if wanted_sum.is_some_and(|sum| sum != data.sum) {
            let path = entry.path.escape_debug();
            return Err(damaged(format!("the data of '{path}' has another sum than its header says")));
        }
        input.skip_padding(u64::from(entry.size))?;
        Ok(flow)
    }
}

/// The data of an entry, of which the sum is made on the way.
struct Data<'a, 'b> {
    input: &'a mut Input<'b>,
    rest: u64,
    sum: u32,
}

impl Data<'_, '_> {
    fn finish(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(|_| ())
    }
}

impl Read for Data<'_, '_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let most = bytes.len().min(usize::try_from(self.rest).unwrap_or(usize::MAX));
        let count = self.input.read(&mut bytes[..most])?;
        if count == 0 && most > 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.rest -= count as u64;
        self.sum = bytes[..count].iter().fold(self.sum, |sum, byte| sum.wrapping_add(u32::from(*byte)));
        Ok(count)
    }
}

fn damaged(cause: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, cause)
}
