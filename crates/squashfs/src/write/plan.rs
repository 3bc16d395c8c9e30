//! Which bytes are read, in which order. Nothing here depends on the number of threads.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::content::OpenContent;
use crate::Error;
use crate::entry::{Content, Kind};
use crate::tree::{InodeId, ROOT, Tree};

/// About how many bytes one job reads; a job is never less than one block.
const BATCH_BYTES: u64 = 256 << 10;
/// How many small files one job reads at most.
const BATCH_PIECES: usize = 64;

/// Every regular file once, in the order of its first name.
pub(super) struct Plan<'a> {
    pub(super) files: Vec<PlannedFile<'a>>,
    /// The sum of the files' sizes, in bytes.
    pub(super) content: u64,
}

pub(super) struct PlannedFile<'a> {
    pub(super) inode: InodeId,
    pub(super) content: &'a Content,
    /// The place in the plan of an earlier file with the same bytes.
    pub(super) duplicate_of: Option<usize>,
}

/// Part of a file that is read in one go: whole blocks, and after the last of them what is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) file: usize,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl<'a> Plan<'a> {
    pub(super) fn new(tree: &'a Tree, block_size: u32, jobs: NonZero<usize>) -> Result<Self, Error> {
        let files = files(tree);
        let content = files.iter().map(|file| file.content.len()).sum();
        let mut plan = Self { files, content };
        plan.find_duplicates(tree, block_size, jobs)?;
        Ok(plan)
    }

    /// Jobs for the workers: pieces in order, several small ones together.
    pub(super) fn batches(&self, block_size: u32) -> impl Iterator<Item = Vec<Piece>> + use<'_> {
        let most = BATCH_BYTES.max(block_size.into());
        let (mut file, mut offset) = (0, 0);
        std::iter::from_fn(move || {
            let mut batch = Vec::new();
            let mut room = most;
            while let Some(planned) = self.files.get(file) {
                let left = match planned.duplicate_of {
                    Some(_) => 0,
                    None => planned.content.len() - offset,
                };
                // A piece that is not the last of its file ends at a block's end: `most` is a multiple of the block size.
                if left > room && !batch.is_empty() || batch.len() == BATCH_PIECES {
                    break;
                }
                if left > 0 {
                    let len = left.min(most);
                    batch.push(Piece { file, offset, len });
                    room = room.saturating_sub(len);
                    if len < left {
                        offset += len;
                        break;
                    }
                }
                file += 1;
                offset = 0;
            }
            (!batch.is_empty()).then_some(batch)
        })
    }

    /// Files of a block and more must be known as duplicates before their blocks are written, so those of equal size are
    /// hashed first. Smaller files are found as equal tails when they are packed.
    fn find_duplicates(&mut self, tree: &Tree, block_size: u32, jobs: NonZero<usize>) -> Result<(), Error> {
        let mut by_size: HashMap<u64, Vec<usize>> = HashMap::new();
        for (place, file) in self.files.iter().enumerate() {
            if file.content.len() >= u64::from(block_size) {
                by_size.entry(file.content.len()).or_default().push(place);
            }
        }
        let mut candidates: Vec<usize> =
            by_size.into_values().filter(|places| places.len() > 1).flatten().collect();
        candidates.sort_unstable();
        let mut first = HashMap::new();
        for (&place, hash) in candidates.iter().zip(self.hash(tree, &candidates, jobs)?) {
            let original = *first.entry(hash).or_insert(place);
            if original != place {
                self.files[place].duplicate_of = Some(original);
            }
        }
        Ok(())
    }

    fn hash(&self, tree: &Tree, places: &[usize], jobs: NonZero<usize>) -> Result<Vec<blake3::Hash>, Error> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(vec![None; places.len()]);
        let failure = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..jobs.get().min(places.len()) {
                scope.spawn(|| {
                    while let Some(&place) = places.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let at = places.binary_search(&place).expect("places are sorted");
                        match hash(self.files[place].content) {
                            Ok(hash) => lock(&results)[at] = Some(hash),
                            Err(error) => *lock(&failure) = Some((place, error)),
                        }
                    }
                });
            }
        });
        if let Some((place, error)) = lock(&failure).take() {
            return Err(read_error(tree, &self.files[place], error));
        }
        let results = std::mem::take(&mut *lock(&results));
        Ok(results.into_iter().flatten().collect())
    }
}

/// A lock that a panicking thread left behind is taken over: the panic itself is passed on when its thread is joined.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// An error of reading a planned file, with the name that helps most.
pub(super) fn read_error(tree: &Tree, file: &PlannedFile<'_>, error: std::io::Error) -> Error {
    match file.content {
        Content::HostFile { path, .. } => Error::io("read", path, error),
        _ => Error::entry(&tree.path_of(file.inode), format!("cannot read its content: {error}")),
    }
}

fn files(tree: &Tree) -> Vec<PlannedFile<'_>> {
    let mut seen = vec![false; tree.arena()];
    let mut files = Vec::new();
    let mut waiting = vec![ROOT];
    while let Some(inode) = waiting.pop() {
        let found = tree.inode(inode);
        waiting.extend(found.children.values().rev());
        if let Kind::File(content) = &found.entry.kind
            && !std::mem::replace(&mut seen[inode], true)
        {
            files.push(PlannedFile { inode, content, duplicate_of: None });
        }
    }
    files
}

fn hash(content: &Content) -> std::io::Result<blake3::Hash> {
    let open = OpenContent::open(content)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; BATCH_BYTES as usize];
    let mut at = 0;
    while at < content.len() {
        let part = &mut buffer[..(content.len() - at).min(BATCH_BYTES) as usize];
        open.read_at(part, at)?;
        hasher.update(part);
        at += part.len() as u64;
    }
    Ok(hasher.finalize())
}
