//! An installation that stops at any of its steps, and one that has no room.

mod program;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

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

/// The file that a step makes, where it makes one that was not there.
fn new_file(step: &Step, target: &Target) -> Option<PathBuf> {
    match step {
        Step::CopyImage(image, _) => Some(image.files.1.clone()),
        Step::WriteOnMedium(path, _) => Some(target.store.join(path)),
        Step::CopyBootFile(file) => Some(target.esp.join(&file.path)),
        Step::WriteOnEsp(path, _) => Some(target.esp.join(path)),
        _ => None,
    }
}

/// What entries and kernels say. Names of entries may differ, for a torn one has its own.
fn texts(esp: &BTreeSet<(PathBuf, Vec<u8>)>) -> BTreeSet<Vec<u8>> {
    let conf =
        |it: &&(PathBuf, Vec<u8>)| !it.0.starts_with("loader/loader.conf") && !it.0.starts_with("grub");
    esp.iter().filter(conf).map(|it| it.1.clone()).collect()
}

/// Stops an installation with a new kernel before each of its steps, and, as a power cut would, with the file of that step torn.
#[test]
fn whatever_step_it_stops_at_something_whole_boots_and_the_same_command_goes_on() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let store = Store::open(&shop.path("store")).unwrap();
    let report = Report::default();
    let make = |target: &Target| {
        let installed = Installed::read(target).unwrap();
        let web = Name::parse("web").unwrap();
        let new = vec![NewGeneration::newest(&store, target, &installed, &web).unwrap()];
        let file = |kind: &str| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(kind.as_bytes()).unwrap();
            MadeFile::new(file).unwrap()
        };
        let kernel = BootFiles::of("6.12".into(), file("linux"), file("initrd"));
        let default = Some((web.clone(), new[0].number));
        let keep = Some((vec![web], 1.try_into().unwrap()));
        let request = Request { new, kernel: Some(kernel), default, keep, ..Request::default() };
        let plan = SystemPlan::make(&installed, &request, FreeRoom::of(&target.store).unwrap()).unwrap();
        // Its files are those of the kernel: they are open as long as the request lives.
        (plan, request)
    };
    let whole = shop.copy("whole");
    let (plan, _open) = make(&whole);
    execution::carry_out(&plan, &whole, &report, &mut |_| Ok(())).unwrap();
    judge(&whole, "all of it");
    let (medium, esp) = (tree(&whole.store.join("profiles")), tree(&whole.esp));
    assert!(plan.steps.len() > 12, "{:?}", plan.steps);
    for at in 0..plan.steps.len() {
        for torn in [false, true] {
            let target = shop.copy("trial");
            let mut count = 0;
            let mut torn_file = None;
            let (now, _open) = make(&target);
            let stopped = execution::carry_out(&now, &target, &report, &mut |step| {
                count += 1;
                if count <= at {
                    return Ok(());
                }
                torn_file = new_file(step, &target);
                Err(builder::Error::new("test", "stopped"))
            });
            let why = stopped.unwrap_err().to_string();
            assert!(why.contains("stopped"), "{why}");
            let after = format!("stopped before '{}', torn: {torn}", plan.steps[at]);
            if let Some(path) = torn_file.filter(|_| torn) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                File::create(&path).unwrap().write_all(b"to").unwrap();
            }
            judge(&target, &after);
            let (again, _open) = make(&target);
            execution::carry_out(&again, &target, &report, &mut |_| Ok(())).unwrap();
            judge(&target, &format!("{after}, then done"));
            assert!(tree(&target.store.join("profiles")) == medium, "{after}");
            assert!(texts(&tree(&target.esp)) == texts(&esp), "{after}");
        }
    }
}

#[test]
fn a_partition_that_would_get_too_full_is_refused_before_anything_is_written() {
    let shop = Shop::new();
    shop.generation("web", 3);
    let store = Store::open(&shop.path("store")).unwrap();
    let target = shop.copy("trial");
    let mut installed = Installed::read(&target).unwrap();
    let web = Name::parse("web").unwrap();
    let new = vec![NewGeneration::newest(&store, &target, &installed, &web).unwrap()];
    let request = Request { new, default: Some((web, 3)), ..Request::default() };
    installed.esp.room = FreeRoom { free: 4 * 512, cluster: 512 };
    let error =
        SystemPlan::make(&installed, &request, FreeRoom::of(&target.store).unwrap()).unwrap_err().to_string();
    assert!(error.starts_with("the EFI system partition: has 2.0 KiB free, and "), "{error}");
    assert!(error.contains("help: "), "{error}");
    let error = SystemPlan::make(&installed, &request, FreeRoom { free: 4096, cluster: 4096 })
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("the medium: has 4.0 KiB free, and the images take 16.0 KiB"), "{error}");
}
