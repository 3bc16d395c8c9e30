//! The contents of files: workers read and compress, and this thread alone decides, in the order of the plan.
//!
//! Results arrive in any order. They are taken in order of the plan; blocks join the line of output at once, tails are
//! packed into fragment blocks, and a full fragment block joins the line while it is still being compressed. Since only
//! the order of the plan decides what stands where, the number of threads does not.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::sync::mpsc::{Receiver, channel};

use super::plan::{Piece, Plan, read_error};
use super::queue::{CloseOnDrop, Job, Queue};
use super::sink::Sink;
use super::worker::{Block, LooseTail, Outcome, PieceDone, Worker};
use super::{Progress, WriteOptions};
use crate::Error;
use crate::tree::{InodeId, Tree};

/// The size of an entry of the fragment table (`struct squashfs_fragment_entry`), in bytes.
pub(super) const FRAGMENT_ENTRY: usize = 16;
/// How many compressed bytes may wait for an earlier block before reading pauses.
const LINE_BYTES: usize = 8 << 20;

/// The place of a file's last bytes in a fragment block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) fragment: u32,
    pub(super) offset: u32,
}

/// Where the bytes of one file are.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Where its first block is in the image.
    pub(super) start: u64,
    /// The size word of each whole block.
    pub(super) blocks: Vec<u32>,
    pub(super) tail: Option<Tail>,
    /// How many bytes are holes.
    pub(super) sparse: u64,
}

/// Where the bytes of all files are.
pub(super) struct Layouts {
    by_place: Vec<Layout>,
    /// The place in the plan, by inode.
    places: HashMap<InodeId, usize>,
    /// The fragment table, encoded.
    pub(super) fragment_table: Vec<u8>,
    pub(super) content: u64,
    pub(super) sparse: u64,
    pub(super) files: u32,
    pub(super) duplicates: u32,
}

impl Layouts {
    pub(super) fn of(&self, file: InodeId) -> &Layout {
        &self.by_place[self.places[&file]]
    }
}

/// Writes the contents of all files of `tree`.
pub(super) fn write_contents<W: Write>(
    tree: &Tree,
    options: &WriteOptions,
    sink: &mut Sink<W>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Layouts, Error> {
    let plan = Plan::new(tree, options.block_size, options.jobs)?;
    let queue = Queue::default();
    let (sender, results) = channel();
    let workers = (0..options.jobs.get())
        .map(|_| Worker::new(&plan, options.block_size, options.compressor))
        .collect::<Result<Vec<_>, _>>()?;
    std::thread::scope(|scope| {
        let _stop_workers = CloseOnDrop(&queue);
        for worker in workers {
            let (queue, sender) = (&queue, sender.clone());
            scope.spawn(move || worker.run(queue, &sender));
        }
        drop(sender);
        let mut pipeline = Pipeline::new(tree, &plan, &queue, sink, options);
        pipeline.run(&results, progress)?;
        Ok(pipeline.finish())
    })
}

/// One block of the output line: ready, or still being compressed.
enum Waiting {
    Data { file: usize, block: Block },
    Fragment { number: u64, block: Option<Block> },
}

struct Pipeline<'a, W> {
    tree: &'a Tree,
    plan: &'a Plan<'a>,
    queue: &'a Queue,
    sink: &'a mut Sink<W>,
    block_size: usize,
    /// How many jobs may be under way.
    width: usize,
    layouts: Vec<Layout>,
    /// Batches that were handed out and not taken yet; the first has the number `taken`.
    arrivals: VecDeque<Option<Vec<PieceDone>>>,
    taken: u64,
    line: VecDeque<Waiting>,
    line_bytes: usize,
    /// The fragment block being filled, and how many went before it.
    fragment: Vec<u8>,
    fragments: u64,
    compressing: usize,
    tails: HashMap<blake3::Hash, Tail>,
    fragment_table: Vec<u8>,
    duplicates: u32,
    done: u64,
}

impl<'a, W: Write> Pipeline<'a, W> {
    fn new(
        tree: &'a Tree,
        plan: &'a Plan<'a>,
        queue: &'a Queue,
        sink: &'a mut Sink<W>,
        options: &WriteOptions,
    ) -> Self {
        let found = plan.files.iter().filter(|file| file.duplicate_of.is_some());
        Self {
            tree,
            plan,
            queue,
            sink,
            block_size: options.block_size as usize,
            width: options.jobs.get() * 16,
            layouts: vec![Layout::default(); plan.files.len()],
            arrivals: VecDeque::new(),
            taken: 0,
            line: VecDeque::new(),
            line_bytes: 0,
            fragment: Vec::with_capacity(options.block_size as usize),
            fragments: 0,
            compressing: 0,
            tails: HashMap::new(),
            fragment_table: Vec::new(),
            duplicates: 0,
            done: found.map(|file| file.content.len()).sum(),
        }
    }

    fn run(&mut self, results: &Receiver<Outcome>, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let mut batches = self.plan.batches(self.block_size as u32);
        let mut more = true;
        loop {
            while more && self.has_room() {
                more = self.hand_out(batches.next());
            }
            while let Some(Some(_)) = self.arrivals.front() {
                let pieces = self.arrivals.pop_front().flatten().unwrap_or_default();
                self.taken += 1;
                pieces.into_iter().for_each(|piece| self.place(piece));
            }
            if !more && self.arrivals.is_empty() {
                self.close_fragment();
            }
            self.write_ready()?;
            progress(Progress { done: self.done, total: self.plan.content });
            if !more && self.arrivals.is_empty() && self.line.is_empty() {
                return Ok(());
            }
            if more && self.has_room() {
                continue;
            }
            match results.recv() {
                Ok(outcome) => self.arrive(outcome)?,
                // Every worker is gone, which only a panic does; the scope passes it on.
                Err(_) => return Err(Error::Limit("a compressing thread stopped".into())),
            }
        }
    }

    fn has_room(&self) -> bool {
        self.arrivals.len() + self.compressing < self.width && self.line_bytes < LINE_BYTES
    }

    fn hand_out(&mut self, batch: Option<Vec<Piece>>) -> bool {
        let Some(pieces) = batch else { return false };
        let number = self.taken + self.arrivals.len() as u64;
        self.arrivals.push_back(None);
        self.queue.push(Job::Read { number, pieces });
        true
    }

    fn arrive(&mut self, outcome: Outcome) -> Result<(), Error> {
        match outcome {
            Outcome::Failed { file, error } => {
                return Err(read_error(self.tree, &self.plan.files[file], error));
            }
            Outcome::Read { number, pieces } => {
                self.arrivals[(number - self.taken) as usize] = Some(pieces);
            }
            Outcome::Compressed { number, block: done } => {
                self.compressing -= 1;
                self.line_bytes += done.bytes.len();
                let slot = self.line.iter_mut().find_map(|waiting| match waiting {
                    Waiting::Fragment { number: n, block } if *n == number => Some(block),
                    _ => None,
                });
                *slot.expect("a fragment stays in line until it is compressed") = Some(done);
            }
        }
        Ok(())
    }

    /// Takes a piece in the order of the plan.
    fn place(&mut self, done: PieceDone) {
        let file = done.piece.file;
        self.done += done.piece.len;
        for block in done.blocks {
            let layout = &mut self.layouts[file];
            layout.blocks.push(block.word);
            if block.word == 0 {
                layout.sparse += self.block_size as u64;
            } else {
                self.line_bytes += block.bytes.len();
                self.line.push_back(Waiting::Data { file, block });
            }
        }
        if let Some(tail) = done.tail {
            let whole_file = done.piece.len == tail.bytes.len() as u64 && done.piece.offset == 0;
            let (tail, known) = self.pack(&tail);
            self.layouts[file].tail = Some(tail);
            self.duplicates += u32::from(known && whole_file);
        }
    }

    /// The place of a tail, and whether the same bytes were there already.
    fn pack(&mut self, tail: &LooseTail) -> (Tail, bool) {
        if let Some(&known) = self.tails.get(&tail.hash) {
            return (known, true);
        }
        if self.fragment.len() + tail.bytes.len() > self.block_size {
            self.close_fragment();
        }
        let place = Tail { fragment: self.fragments as u32, offset: self.fragment.len() as u32 };
        self.fragment.extend_from_slice(&tail.bytes);
        self.tails.insert(tail.hash, place);
        (place, false)
    }

    /// Sends the fragment block off to be compressed, and holds its place in the line.
    fn close_fragment(&mut self) {
        if self.fragment.is_empty() {
            return;
        }
        let number = self.fragments;
        let block = std::mem::replace(&mut self.fragment, Vec::with_capacity(self.block_size));
        self.line.push_back(Waiting::Fragment { number, block: None });
        self.queue.push(Job::Compress { number, block });
        self.fragments += 1;
        self.compressing += 1;
    }

    fn write_ready(&mut self) -> Result<(), Error> {
        while !matches!(self.line.front(), None | Some(Waiting::Fragment { block: None, .. })) {
            let position = self.sink.position();
            let block = match self.line.pop_front() {
                Some(Waiting::Data { file, block }) => {
                    let layout = &mut self.layouts[file];
                    if layout.start == 0 {
                        layout.start = position;
                    }
                    block
                }
                Some(Waiting::Fragment { block: Some(block), .. }) => {
                    self.fragment_table.extend_from_slice(&position.to_le_bytes());
                    self.fragment_table.extend_from_slice(&u64::from(block.word).to_le_bytes());
                    block
                }
                _ => break,
            };
            self.line_bytes -= block.bytes.len();
            self.sink.write(&block.bytes)?;
        }
        Ok(())
    }

    fn finish(self) -> Layouts {
        let Self { plan, mut layouts, mut duplicates, .. } = self;
        for (place, file) in plan.files.iter().enumerate() {
            if let Some(original) = file.duplicate_of {
                layouts[place] = layouts[original].clone();
                duplicates += 1;
            }
        }
        Layouts {
            places: plan.files.iter().enumerate().map(|(place, file)| (file.inode, place)).collect(),
            sparse: layouts.iter().map(|layout| layout.sparse).sum(),
            by_place: layouts,
            fragment_table: self.fragment_table,
            content: plan.content,
            files: plan.files.len() as u32,
            duplicates,
        }
    }
}
