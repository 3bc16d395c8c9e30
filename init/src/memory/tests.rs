use super::*;
use std::cell::Cell;
use std::sync::OnceLock;

const MIB: u64 = 1 << 20;
const USUAL: Takes = Takes::USUAL;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(0) };
    static VMALLOC: Cell<u64> = const { Cell::new(0) };
}

/// A machine with so much left and so many possible processors.
fn budget(left: u64, possible: u64) -> Budget {
    LEFT.set(left);
    let meminfo = || {
        let (left, vmalloc) = (LEFT.get() >> 10, VMALLOC.get() >> 10);
        Some(format!("MemAvailable: {left} kB\nVmallocUsed: {vmalloc} kB\n"))
    };
    let possible = OnceLock::from(possible);
    let kernel = KernelMemory { unused: || LEFT.get(), meminfo, possible };
    Budget { kernel, ..Budget::default() }
}

fn layers(count: usize, layer: LayerMemory) -> BTreeMap<usize, LayerMemory> {
    (0..count).map(|position| (position, layer)).collect()
}

/// Mounts all of them, each with so many decompressors, and says how many there were when it was refused, and why.
fn mount(budget: &Budget, count: usize, layer: LayerMemory, decompressors: u64) -> (usize, Option<String>) {
    budget.begin(count, || (layers(count, layer), false));
    for index in 0..count {
        for part in [Part::Device, Part::Mount(layer)] {
            let promise = match budget.promise(part) {
                Ok(promise) => promise,
                Err(failure) => return (index, Some(failure.why)),
            };
            if part != Part::Device {
                let (all, state) = match layer {
                    LayerMemory::Erofs { .. } => (MIB / 2, 0),
                    LayerMemory::Squashfs(takes) => (takes.with(decompressors), decompressors * takes.state),
                };
                LEFT.set(LEFT.get().saturating_sub(all));
                VMALLOC.set(VMALLOC.get() + state);
                promise.mounted(index);
            }
        }
    }
    (count, None)
}

/// Six layers in 512 MiB, of which some 400 are left when the layers' turn comes.
#[test]
fn the_console_does_not_fit_with_128_possible_processors_and_does_with_2() {
    let squashfs = LayerMemory::Squashfs(USUAL);
    let (mounted, why) = mount(&budget(400 * MIB, 128), 6, squashfs, 128);
    let expected = "the memory is used up: 307 MiB are left for 5 more layers, and about 470 MiB are wanted; a squashfs takes \
                    94 MiB here, because this kernel keeps a decompressor for each of 128 possible processors";
    assert_eq!((mounted, why.as_deref()), (1, Some(expected)));
    assert_eq!(mount(&budget(400 * MIB, 2), 6, squashfs, 2), (6, None));
    // EROFS keeps none.
    assert_eq!(mount(&budget(400 * MIB, 128), 6, LayerMemory::NOTHING, 0), (6, None));
}

#[test]
fn three_layers_do_not_fit_with_240_possible_processors_and_30_not_with_16() {
    let squashfs = LayerMemory::Squashfs(USUAL);
    let (mounted, why) = mount(&budget(400 * MIB, 240), 3, squashfs, 240);
    assert!(mounted == 1 && why.is_some_and(|why| why.contains("240 possible processors")));
    let (mounted, why) = mount(&budget(300 * MIB, 16), 30, squashfs, 16);
    assert!(mounted == 1 && why.is_some_and(|why| why.contains("for 29 more layers")));
    // One that does not fit is not even begun.
    let (mounted, why) = mount(&budget(100 * MIB, 240), 3, squashfs, 240);
    assert!(
        mounted == 0 && why.is_some_and(|why| why.starts_with("the memory is used up: 100 MiB are left"))
    );
}

/// CONFIG_SQUASHFS_DECOMP_SINGLE and _MULTI: the first layer shows it, and nothing is refused that fits.
#[test]
fn a_kernel_that_makes_one_decompressor_is_recognised_by_the_first_layer() {
    let budget = budget(400 * MIB, 128);
    assert_eq!(mount(&budget, 60, LayerMemory::Squashfs(USUAL), 1), (60, None));
    assert_eq!(budget.decompressors(2), 1);
}

#[test]
fn a_kernel_that_takes_threads_gets_one_each_when_room_is_tight() {
    let budget = budget(400 * MIB, 128);
    assert_eq!(budget.decompressors(2), 2);
    budget.begin(6, || (layers(6, LayerMemory::Squashfs(USUAL)), true));
    assert!(!budget.state().tight);
    assert_eq!(budget.decompressors(2), 1);
    assert!(budget.promise(Part::Mount(LayerMemory::Squashfs(USUAL))).is_ok());
}

#[test]
fn with_plenty_nothing_is_looked_at_and_the_kernel_is_not_asked_again() {
    let budget = budget(4096 * MIB, 2);
    budget.begin(20, || panic!("there is plenty"));
    LEFT.set(0);
    for index in 0..20 {
        budget.promise(Part::Mount(LayerMemory::Squashfs(USUAL))).unwrap().mounted(index);
    }
}

#[test]
fn what_is_being_mounted_is_waited_for_and_not_counted_twice() {
    let budget = budget(200 * MIB, 2);
    budget.begin(1, || unreachable!());
    let largest = LayerMemory::Squashfs(Takes::MOST);
    let most = budget.bytes(&largest, None);
    let fits = (188 * MIB / most) as usize;
    let mut promised: Vec<_> = (0..fits).map(|_| budget.promise(Part::Mount(largest)).unwrap()).collect();
    thread::scope(|scope| {
        // Nothing else is left, until another has ended and has taken nothing.
        let waits = scope.spawn(|| {
            LEFT.set(200 * MIB);
            budget.promise(Part::Mount(largest)).is_ok()
        });
        thread::sleep(Duration::from_millis(20));
        assert!(!waits.is_finished());
        promised.clear();
        assert!(waits.join().unwrap());
    });
}

#[test]
fn all_layers_that_do_not_fit_are_told_the_same_and_another_profile_begins_anew() {
    let budget = budget(13 * MIB, 128);
    budget.begin(2, || (layers(2, LayerMemory::Squashfs(USUAL)), false));
    let why = || budget.promise(Part::Mount(LayerMemory::Squashfs(USUAL))).unwrap_err().why;
    assert!(why().contains("possible processors"));
    LEFT.set(12 * MIB);
    assert!(why().starts_with("the memory is used up: 13 MiB are left"));
    budget.forget();
    assert!(why().starts_with("the memory is used up: 12 MiB are left"));
}

/// 64 MiB for each decompressor of an xz, in a machine that seems to have plenty.
#[test]
fn an_image_that_takes_more_than_any_should_is_refused_where_there_was_plenty() {
    let budget = budget(100 * MIB, 2);
    budget.begin(3, || unreachable!());
    let hostile = Takes { once: MIB, state: 64 * MIB, block: MIB };
    let failure = budget.promise(Part::Mount(LayerMemory::Squashfs(hostile))).unwrap_err();
    let expected = "the memory is used up: 100 MiB are left, and this layer wants about 131 MiB; a squashfs takes 131 MiB here, because this \
                    kernel keeps a decompressor for each of 2 possible processors";
    assert_eq!(failure.why, expected);
    assert!(budget.promise(Part::Mount(LayerMemory::Squashfs(USUAL))).is_ok());
}

/// 8 MiB of a dictionary of LZMA for each of 16 processors, once: the second image finds them there.
#[test]
fn the_buffers_of_erofs_are_counted_once() {
    let lzma = LayerMemory::Erofs { buffers: 8 * MIB };
    let budget = budget(160 * MIB, 16);
    budget.begin(2, || (layers(2, lzma), false));
    budget.promise(Part::Mount(lzma)).unwrap().mounted(0);
    LEFT.set(32 * MIB);
    assert!(budget.promise(Part::Mount(lzma)).is_ok());
    let larger = LayerMemory::Erofs { buffers: 10 * MIB };
    let why = budget.promise(Part::Mount(larger)).unwrap_err().why;
    assert!(why.starts_with("the memory is used up: 32 MiB are left"), "{why}");
}
