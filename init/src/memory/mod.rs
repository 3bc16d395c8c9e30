//! Whether there is memory for the layers.
//!
//! Layers live in the kernel's memory, and a squashfs in a lot of it where the kernel keeps a decompressor for each processor that could
//! ever be there: 86 MiB with 128 of them, which a virtual machine of two processors may promise. When memory is used up, the kernel
//! ends programs; with PID 1 alone it panics (`System is deadlocked on memory`), and nobody learns that the profile was too large for
//! the machine. `docs/results/2026-11-26-memory.md` has the figures.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use block_probe::image_kind::ImageKind;
use block_probe::mount_memory::{erofs, squashfs::Takes};
use stack::image::OpenImage;

use crate::error::Failure;
use crate::memory::kernel_memory::KernelMemory;

mod kernel_memory;
mod words;

/// Below this no layer is added: what the recovery screen and the rest of a boot need.
const LEAST: u64 = 12 << 20;
/// A loop device, dm-verity over it, and the mount: measured 64 to 250 KiB, and 8 KiB for each possible processor.
const DEVICE: u64 = 256 << 10;
const DEVICE_FOR_EACH: u64 = 10 << 10;
/// Between two looks whether what others are mounting is there.
const A_MOMENT: Duration = Duration::from_millis(1);

/// What a layer takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerMemory {
    /// Buffers of so many bytes for each possible processor, of which the kernel has only the largest: all mounts share them.
    Erofs {
        /// In bytes, for one possible processor.
        buffers: u64,
    },
    /// Its decompressors, too.
    Squashfs(Takes),
}

impl LayerMemory {
    /// Its device, and no more.
    pub const NOTHING: Self = Self::Erofs { buffers: 0 };

    /// What the image holds. One that is neither may turn out to be a squashfs when dm-verity has healed its beginning.
    pub fn of(image: &OpenImage, kind: Option<ImageKind>) -> Self {
        match kind.or_else(|| image.file_system().ok()) {
            Some(ImageKind::Erofs) => Self::Erofs { buffers: erofs::buffers(image) },
            Some(ImageKind::Squashfs) | None => Self::Squashfs(Takes::of(image).unwrap_or(Takes::MOST)),
        }
    }
}

/// A part of the way from an image to a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A device is made.
    Device,
    /// The file system is mounted. What it takes is read from each image also where there was plenty for as many usual ones: the
    /// dictionary of an xz is as large as it says.
    Mount(LayerMemory),
}

/// What is left, and what still wants some of it.
#[derive(Debug, Default)]
pub struct Budget {
    kernel: KernelMemory,
    state: Mutex<State>,
    /// Held while a layer is mounted, when room is tight.
    one_at_a_time: Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes that may be taken before the kernel is asked again, which adds up a lot for each answer.
    room: u64,
    /// Bytes that were promised to steps that are under way.
    in_flight: u64,
    /// What the kernel has as buffers of EROFS for each possible processor, and keeps.
    shared: u64,
    /// For each squashfs; `None`: as many as there are possible processors, as far as is known.
    decompressors: Option<u64>,
    /// What is not mounted yet, by its position in the stack; empty when there is plenty for as many usual ones.
    wanted: BTreeMap<usize, LayerMemory>,
    /// They do not fit if there are as many decompressors as there are possible processors.
    tight: bool,
    /// Why the first did not fit: the others wait for the same.
    refused: Option<Failure>,
}

/// Memory that was promised, until this value ends.
#[derive(Debug)]
pub struct Promise<'a> {
    budget: &'a Budget,
    bytes: u64,
    part: Part,
    /// With the vmalloc memory of the kernel before: what a first squashfs adds to it tells its decompressors.
    alone: Option<(MutexGuard<'a, ()>, Option<u64>)>,
}

impl Budget {
    /// Begins a stage that mounts so many layers. Only when there may be too little memory for them each image is looked at: `look`
    /// tells what it holds, and whether the kernel makes one decompressor for each when it is asked to.
    pub fn begin(&self, layers: usize, look: impl FnOnce() -> (BTreeMap<usize, LayerMemory>, bool)) {
        let mut state = self.state();
        (state.tight, state.refused) = (false, None);
        state.wanted.clear();
        if layers == 0 {
            return;
        }
        let usual = self.bytes(&LayerMemory::Squashfs(Takes::USUAL), state.decompressors);
        let enough = usual.saturating_mul(layers as u64).saturating_add(LEAST);
        let unused = self.kernel.unused();
        if unused >= enough {
            state.room = unused.saturating_sub(LEAST);
            return;
        }
        let (wanted, one_is_enough) = look();
        if one_is_enough {
            state.decompressors = Some(1);
        }
        state.wanted = wanted;
        let left = self.kernel.left();
        let sum = self.sum(&state).saturating_add(LEAST);
        state.tight = left.is_some_and(|left| left < sum);
        state.room = 0;
    }

    /// How many decompressors a squashfs shall have, where the kernel lets us say that: with room enough, one for each processor.
    pub fn decompressors(&self, processors: usize) -> usize {
        if self.state().decompressors == Some(1) { 1 } else { processors }
    }

    /// Whether this part of this layer fits. Where the kernel does not tell, it does.
    ///
    /// # Errors
    /// Less than 12 MiB would be left.
    pub fn promise(&self, part: Part) -> Result<Promise<'_>, Failure> {
        let tight = self.state().tight;
        let alone = (tight && part != Part::Device).then(|| {
            let guard = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
            (guard, self.kernel.vmalloc())
        });
        loop {
            let mut state = self.state();
            let bytes = match part {
                Part::Device => self.bytes(&LayerMemory::NOTHING, None),
                Part::Mount(layer) => self.of_all(&state, [&layer].into_iter()),
            };
            let all = match state.decompressors {
                Some(_) if tight => self.sum(&state),
                _ => bytes,
            };
            if !tight && state.room >= bytes {
                state.room -= bytes;
            } else if let Some(left) = self.kernel.left() {
                let rest = left.checked_sub(LEAST.saturating_add(all));
                match rest {
                    Some(rest) if tight || rest >= state.in_flight => {
                        state.room = rest - state.in_flight.min(rest)
                    }
                    // What they take may be gone already: then it was counted twice.
                    _ if state.in_flight > 0 && !tight => {
                        drop(state);
                        thread::sleep(A_MOMENT);
                        continue;
                    }
                    _ => return Err(self.refuse(&mut state, part, left, all)),
                }
            }
            state.in_flight += bytes;
            return Ok(Promise { budget: self, bytes, part, alone });
        }
    }

    /// Another profile will be tried. What was learnt of the kernel stays true.
    pub fn forget(&self) {
        let mut state = self.state();
        let (decompressors, shared) = (state.decompressors, state.shared);
        *state = State { decompressors, shared, ..State::default() };
    }

    fn refuse(&self, state: &mut State, part: Part, left: u64, all: u64) -> Failure {
        if let Some(failure) = &state.refused {
            return failure.clone();
        }
        let count = state.decompressors.unwrap_or_else(|| self.kernel.possible());
        let this = if let Part::Mount(layer) = &part { Some(layer) } else { None };
        let squashfs =
            state.wanted.values().chain(this).filter(|layer| matches!(layer, LayerMemory::Squashfs(_)));
        let each = squashfs.map(|layer| self.bytes(layer, Some(count))).max();
        let lack = words::Lack { left, all, layers: state.wanted.len(), each, decompressors: count };
        state.refused.insert(words::refusal(&lack)).clone()
    }

    fn sum(&self, state: &State) -> u64 {
        self.of_all(state, state.wanted.values())
    }

    /// What these layers take together.
    fn of_all<'a>(&self, state: &State, layers: impl Iterator<Item = &'a LayerMemory>) -> u64 {
        let (mut sum, mut largest) = (0_u64, state.shared);
        for layer in layers {
            sum = sum.saturating_add(self.bytes(layer, state.decompressors));
            if let LayerMemory::Erofs { buffers } = layer {
                largest = largest.max(*buffers);
            }
        }
        sum.saturating_add((largest - state.shared).saturating_mul(self.kernel.possible()))
    }

    fn bytes(&self, layer: &LayerMemory, decompressors: Option<u64>) -> u64 {
        let possible = self.kernel.possible();
        let device = DEVICE.saturating_add(DEVICE_FOR_EACH.saturating_mul(possible));
        match layer {
            LayerMemory::Erofs { .. } => device,
            LayerMemory::Squashfs(takes) => {
                device.saturating_add(takes.with(decompressors.unwrap_or(possible)))
            }
        }
    }

    /// The state is whole also when a thread panicked that had it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Promise<'_> {
    /// The layer at this position is mounted.
    pub fn mounted(self, position: usize) {
        let now =
            self.alone.as_ref().and_then(|(_, before)| Some((self.budget.kernel.vmalloc()?, (*before)?)));
        let mut state = self.budget.state();
        if let Part::Mount(LayerMemory::Erofs { buffers }) = self.part {
            state.shared = state.shared.max(buffers);
        }
        if let (Some(LayerMemory::Squashfs(takes)), Some((now, before)), None) =
            (state.wanted.remove(&position), now, state.decompressors)
        {
            // One and a half of them are more than one.
            let several = now.saturating_sub(before).saturating_mul(2) >= takes.state.saturating_mul(3);
            state.decompressors = Some(if several { self.budget.kernel.possible() } else { 1 });
        }
    }
}

impl Drop for Promise<'_> {
    fn drop(&mut self) {
        let mut state = self.budget.state();
        state.in_flight = state.in_flight.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests;
