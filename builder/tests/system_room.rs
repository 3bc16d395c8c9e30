//! Partitions with little room: what comes is counted whole, and what goes may make room first.

mod program;

use std::fs;
use std::io::Write;

use builder::disk::kernel::BootFiles;
use builder::disk::made_files::MadeFile;
use builder::report::Report;
use builder::store::Store;
use builder::system::execution;
use builder::system::installed::Installed;
use builder::system::plan::SystemPlan;
use builder::system::request::{NewGeneration, Request};
use builder::system::room::FreeRoom;
use builder::system::step::Step;
use builder::system::target::Target;
use profiles::Name;
use program::made_disk::{Shop, judge, tree};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn made(bytes: &[u8]) -> MadeFile {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    MadeFile::new(file).unwrap()
}

fn kernel(kind: &str) -> BootFiles {
    BootFiles::of(
        "6.12".into(),
        made(format!("linux {kind}").as_bytes()),
        made(format!("initrd {kind}").as_bytes()),
    )
}

fn room(target: &Target) -> FreeRoom {
    FreeRoom::of(&target.store).unwrap()
}

/// Bytes that the partition takes, with these clusters.
fn taken(target: &Target, cluster: u64) -> u64 {
    tree(&target.esp).iter().map(|it| (it.1.len() as u64).div_ceil(cluster) * cluster).sum()
}

fn install(shop: &Shop, target: &Target, kind: &str) -> (Installed, Request) {
    let store = Store::open(&shop.path("store")).unwrap();
    let installed = Installed::read(target).unwrap();
    let new = vec![NewGeneration::newest(&store, target, &installed, &name("web")).unwrap()];
    let default = Some((name("web"), new[0].number));
    let keep = Some((vec![name("web")], 3.try_into().unwrap()));
    (installed, Request { new, kernel: Some(kernel(kind)), default, keep, ..Request::default() })
}

/// Each step with the partition as full as it was before: what frees comes before what needs.
#[test]
fn a_full_partition_is_collected_by_freeing_first() {
    let shop = Shop::new();
    let target = target_with_old_kernels(&shop);
    let cluster = 512;
    let mut installed = Installed::read(&target).unwrap();
    let full = taken(&target, cluster);
    for free in [0, cluster] {
        installed.esp.room = FreeRoom { free, cluster };
        let names = vec![name("rescue"), name("web")];
        let request = Request { keep: Some((names, 1.try_into().unwrap())), ..Request::default() };
        let plan = SystemPlan::make(&installed, &request, room(&target)).unwrap();
        let trial = shop.copy("trial");
        let size = full + free;
        execution::carry_out(&plan, &trial, &Report::default(), &mut |step| {
            let now = taken(&trial, cluster);
            assert!(now <= size, "{free}: before '{step}': {now} of {size}");
            boots_by_itself(&trial, &format!("before '{step}'"));
            Ok(())
        })
        .unwrap();
        judge(&trial, "gc");
        let left = Installed::read(&trial).unwrap();
        let labels: Vec<String> = left.medium.generations.iter().map(|it| it.label()).collect();
        assert_eq!(labels, ["rescue/1", "web/4"]);
    }
}

/// Also where the new default comes with a kernel: the old default stays until the new one is there.
#[test]
fn an_installation_frees_only_what_the_default_does_not_need() {
    let shop = Shop::new();
    let target = target_with_old_kernels(&shop);
    shop.generation("web", 5);
    let cluster = 512;
    let (mut installed, mut request) = install(&shop, &target, "new");
    request.keep = Some((vec![name("web")], 1.try_into().unwrap()));
    let full = taken(&target, cluster);
    installed.esp.room = FreeRoom { free: 0, cluster };
    let plan = SystemPlan::make(&installed, &request, room(&target)).unwrap();
    let trial = shop.copy("trial");
    execution::carry_out(&plan, &trial, &Report::default(), &mut |step| {
        assert!(taken(&trial, cluster) <= full, "before '{step}'");
        boots_by_itself(&trial, &format!("before '{step}'"));
        Ok(())
    })
    .unwrap();
    judge(&trial, "install");
}

/// GRUB goes on with what it can make of a menu, and nobody else can say what that is.
#[test]
fn what_a_damaged_menu_of_grub_names_does_not_go_first() {
    let shop = Shop::new();
    let target = target_with_old_kernels(&shop);
    let shown = fs::read(target.esp.join("grub/grub.cfg")).unwrap();
    let menu = target.esp.join("grub").join(boot_entry::grub::shown_by(&shown).unwrap());
    let text = [&fs::read(&menu).unwrap()[..], b"# \xff\n"].concat();
    fs::write(&menu, &text).unwrap();
    let mut installed = Installed::read(&target).unwrap();
    let mut planned = 0;
    for free in (0..64).map(|clusters| clusters * 512) {
        installed.esp.room = FreeRoom { free, cluster: 512 };
        let names = vec![name("rescue"), name("web")];
        let request = Request { keep: Some((names, 1.try_into().unwrap())), ..Request::default() };
        let Ok(plan) = SystemPlan::make(&installed, &request, room(&target)) else { continue };
        planned += 1;
        let first = plan.steps.iter().map_while(|step| match step {
            Step::RemoveFromEsp(path) => Some(path),
            _ => None,
        });
        for path in first.filter(|path| path.starts_with("lamina/")) {
            assert!(!builder::system::esp::mentions(&text, path), "{free}: {path}");
        }
    }
    assert!(planned > 0);
}

/// What the remedy names is more than what went first already.
#[test]
fn where_all_that_may_go_is_not_enough_the_remedy_says_what_more_there_is() {
    let shop = Shop::new();
    let target = target_with_old_kernels(&shop);
    let (mut installed, mut request) = install(&shop, &target, &"large ".repeat(20_000));
    let mut refused = |keep: usize| {
        request.keep = Some((vec![name("web")], keep.try_into().unwrap()));
        installed.esp.room = FreeRoom { free: 0, cluster: 512 };
        SystemPlan::make(&installed, &request, room(&target)).unwrap_err().to_string()
    };
    let all = refused(9);
    assert!(
        all.contains("the EFI system partition: has 0 B free, and ")
            && all.contains("gc --keep 1` frees up to"),
        "{all}"
    );
    let none = refused(1);
    assert!(none.contains("help: remove what is not Lamina's"), "{none}");
}

/// Generations 1 to 4, each with a kernel of its own; the newest boots by itself.
fn target_with_old_kernels(shop: &Shop) -> Target {
    let target = Target::mounted(&shop.path("medium"), &shop.path("esp")).unwrap();
    for number in [3, 4] {
        shop.generation("web", number);
        let (installed, mut request) = install(shop, &target, &"old ".repeat(600 * number as usize));
        request.keep = Some((vec![name("web")], 9.try_into().unwrap()));
        let plan = SystemPlan::make(&installed, &request, room(&target)).unwrap();
        execution::carry_out(&plan, &target, &Report::default(), &mut |_| Ok(())).unwrap();
    }
    shop.copy("trial")
}

/// The entry that boots by itself is there, with its kernel, for either loader.
fn boots_by_itself(target: &Target, when: &str) {
    let installed = Installed::read(target).unwrap();
    let entry = installed.esp.default_entry().unwrap_or_else(|| panic!("{when}: no default"));
    let entry = entry.entry.as_ref().unwrap();
    for path in [&entry.linux].into_iter().chain(&entry.initrd) {
        assert!(target.esp.join(path.trim_start_matches('/')).is_file(), "{when}: {path}");
    }
    let shown = fs::read(target.esp.join("grub/grub.cfg")).unwrap();
    let menu = fs::read_to_string(target.esp.join("grub").join(boot_entry::grub::shown_by(&shown).unwrap()));
    let menu = menu.unwrap_or_else(|error| panic!("{when}: the menu of GRUB: {error}"));
    let default = menu.lines().find_map(|line| line.strip_prefix("set default=")).unwrap();
    let of_default =
        menu.split(&format!("--id {default} ")).nth(1).unwrap_or_else(|| panic!("{when}: {menu}"));
    let path = of_default.split("linux '").nth(1).unwrap().split('\'').next().unwrap();
    assert!(target.esp.join(path.trim_start_matches('/')).is_file(), "{when}: GRUB: {path}");
}

#[test]
fn an_image_of_another_length_counts_as_one_that_comes() {
    let shop = Shop::new();
    let target = shop.copy("trial");
    let (installed, request) = install(&shop, &target, "x");
    let image = &request.new[0].images[0].0;
    fs::write(&image.files.1, "torn").unwrap();
    drop(installed);
    let installed = Installed::read(&target).unwrap();
    let error = SystemPlan::make(&installed, &request, FreeRoom { free: 4096, cluster: 4096 })
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("the medium: has 4.0 KiB free, and the images take 16.0 KiB"), "{error}");
    let plan = SystemPlan::make(&installed, &request, room(&target)).unwrap();
    assert_eq!(plan.bytes, image.wanted.size);
    execution::carry_out(&plan, &target, &Report::default(), &mut |_| Ok(())).unwrap();
    judge(&target, "install");
}

/// That the bytes are others is seen when they are read, which is before anything is written.
#[test]
fn damage_that_is_found_by_reading_is_counted_before_it_is_mended() {
    let shop = Shop::new();
    let target = shop.copy("trial");
    let (_, request) = install(&shop, &target, "x");
    let image = &request.new[0].images[0].0;
    let mut bytes = fs::read(&image.files.1).unwrap();
    bytes[5000] ^= 1;
    fs::write(&image.files.1, &bytes).unwrap();
    let kernel = request.kernel.as_ref().unwrap();
    let there = target.esp.join(&kernel.linux.path);
    fs::write(&there, vec![0; kernel.linux.content.length() as usize]).unwrap();
    let installed = Installed::read(&target).unwrap();
    let plan = SystemPlan::make(&installed, &request, room(&target)).unwrap();
    let is_check = |step: &Step| matches!(step, Step::CheckImages(..) | Step::CheckBootFile(..));
    let checks: Vec<usize> = (0..plan.steps.len()).filter(|at| is_check(&plan.steps[*at])).collect();
    assert_eq!(checks, [0, 1], "{:?}", plan.steps);
    execution::carry_out(&plan, &target, &Report::default(), &mut |_| Ok(())).unwrap();
    assert_eq!(fs::read(&there).unwrap(), b"linux x");
    judge(&target, "install");
}
