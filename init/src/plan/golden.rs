//! The plans of typical boots, compared with `tests/golden/*.plan`, and each of their steps failed in turn. No root needed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use profiles::WritableTop;
use profiles::resolved::BootProfile;

use crate::error::Failure;
use crate::plan::executor::{Kernel, execute};
use crate::plan::thread_pool::ThreadPool;
use crate::plan::{self, BootStep, PreparedTop, Stage};
use crate::priority;
use crate::report::journal::Journal;
use crate::request::RootAccess;
use crate::request::overrides::Overrides;
use crate::request::store_spec::{Protocol, Share};
use crate::step_name::StepName;
use crate::store::medium::Medium;

const WRITABLE: &str = include_str!("../../tests/golden/web.kdl");
const READ_ONLY: &str = include_str!("../../tests/golden/kiosk.kdl");
const VERITY: &str = include_str!("../../tests/golden/vault.kdl");

fn device() -> Medium {
    Medium::Device { path: "/dev/vda1".into(), driver: "ext4", write_protected: false }
}

fn parsed(text: &str) -> BootProfile {
    BootProfile::parse("test.kdl", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// The top of the profile, as far as it needs no state file system.
fn top(profile: &BootProfile) -> PreparedTop {
    match profile.root {
        WritableTop::Tmpfs { size } => PreparedTop::Tmpfs(size),
        _ => PreparedTop::None,
    }
}

fn whole_plan(medium: &Medium, store: &str, text: &str) -> Vec<Stage> {
    let profile = Arc::new(parsed(text));
    let mut stages = plan::early();
    stages.extend(plan::medium(medium));
    stages.extend(plan_of_root(store, &profile, &top(&profile), RootAccess::AsProfile));
    stages
}

/// All images are squashfs.
fn plan_of_root(
    store: &str,
    profile: &Arc<BootProfile>,
    top: &PreparedTop,
    access: RootAccess,
) -> Vec<Stage> {
    let images = plan::images(Path::new(store), profile);
    let mut stages = plan::layers(&images, false);
    stages.extend(plan::root(&images, top, &profile.init, access));
    stages
}

/// With `LAMINA_BLESS=1` the file is written anew; look at the difference before committing it.
fn compare(name: &str, stages: &[Stage]) {
    let found: String = stages.iter().map(ToString::to_string).collect();
    let file = format!("{}/tests/golden/{name}.plan", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("LAMINA_BLESS").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert_eq!(found, expected, "the plan differs from {file}; LAMINA_BLESS=1 writes it anew");
}

#[test]
fn a_disk_with_digests_and_a_writable_top() {
    compare("disk-digest-tmpfs", &whole_plan(&device(), "/run/lamina/medium/lamina", WRITABLE));
}

#[test]
fn an_initramfs_without_checks_and_a_read_only_root() {
    compare("initramfs-unchecked-read-only", &whole_plan(&Medium::Initramfs, "/lamina", READ_ONLY));
}

/// With hash trees, and a top that was there before.
fn plan_of_a_kept_top(access: RootAccess) -> Vec<Stage> {
    let kept = PreparedTop::Kept("/run/lamina/state/lamina/vault".into());
    plan_of_root("/run/lamina/medium/lamina", &Arc::new(parsed(VERITY)), &kept, access)
}

#[test]
fn hash_trees_and_a_top_that_was_there_before() {
    compare("disk-verity-kept-top", &plan_of_a_kept_top(RootAccess::AsProfile));
}

/// EROFS images that are mounted from their files.
fn plan_without_devices() -> Vec<Stage> {
    let profile = Arc::new(parsed(READ_ONLY));
    let images = plan::images(Path::new("/lamina"), &profile);
    plan::layers(&images, true)
}

#[test]
fn an_image_that_needs_no_device_is_mounted_without_one() {
    compare("initramfs-erofs", &plan_without_devices());
}

#[test]
fn what_the_command_line_changes_is_in_the_plan() {
    let mut overrides = Overrides::default();
    for (name, value) in
        [("without", "cryptsetup"), ("add", "strace"), ("verify", "digest"), ("state", "tmpfs,size=64M")]
    {
        overrides.take(name, value).unwrap();
    }
    let other = |_: &profiles::Name| unreachable!("no other profile is named");
    let (changed, _) = overrides.apply(parsed(VERITY), Some("/bin/sh"), other).unwrap();
    let changed = Arc::new(changed);
    let stages = plan_of_root("/lamina", &changed, &top(&changed), RootAccess::ReadOnly);
    compare("overrides", &stages);
}

#[test]
fn ro_protects_the_root_last_and_only_when_it_could_be_written() {
    let last = |text: &str, access| {
        let profile = Arc::new(parsed(text));
        let stages = plan_of_root("/lamina", &profile, &top(&profile), access);
        stages.last().and_then(|stage| stage.steps().last()).unwrap().to_string()
    };
    assert_eq!(last(WRITABLE, RootAccess::ReadOnly), "protect root /newroot");
    for (text, access) in [
        (WRITABLE, RootAccess::Writable),
        (WRITABLE, RootAccess::AsProfile),
        (READ_ONLY, RootAccess::ReadOnly),
    ] {
        assert!(last(text, access).starts_with("check init "), "{access:?}");
    }
}

#[test]
fn a_share_of_a_virtual_machine() {
    for (protocol, name) in [(Protocol::NineP, "9p"), (Protocol::Virtiofs, "virtiofs")] {
        let medium = Medium::Share(Share { protocol, tag: "store".into() });
        compare(name, &plan::medium(&medium));
    }
}

#[test]
fn a_write_protected_disk_whose_journal_cannot_be_replayed() {
    let medium = |driver| Medium::Device { path: "/dev/sda1".into(), driver, write_protected: true };
    let plans = ["ext4", "xfs", "btrfs", "f2fs", "vfat"].map(|driver| plan::medium(&medium(driver)));
    compare("write-protected", &plans.concat());
}

#[test]
fn an_iso_on_a_usb_stick() {
    let medium = Medium::Device { path: "/dev/sda".into(), driver: "iso9660", write_protected: false };
    compare("iso", &plan::medium(&medium));
}

/// Does nothing, and fails at the steps that a test names.
struct Fake {
    fail: Vec<BootStep>,
    done: Mutex<Vec<BootStep>>,
    priorities: Mutex<Vec<i32>>,
}

impl Fake {
    fn failing(fail: &[BootStep]) -> Self {
        Self { fail: fail.to_vec(), done: Mutex::default(), priorities: Mutex::default() }
    }
}

impl Kernel for Fake {
    type Lane = ();

    fn carry_out(&self, step: &BootStep, (): &mut ()) -> Result<(), Failure> {
        if self.fail.contains(step) {
            return Err(Failure::new("told to fail").try_this("a remedy"));
        }
        self.done.lock().unwrap().push(step.clone());
        self.priorities.lock().unwrap().push(priority::tests::own());
        Ok(())
    }
}

#[test]
fn every_step_that_fails_is_named_with_its_object_and_stops_the_boot() {
    let share = |protocol| Medium::Share(Share { protocol, tag: "store".into() });
    let mut failed: BTreeSet<&str> = BTreeSet::new();
    for medium in [device(), share(Protocol::NineP), share(Protocol::Virtiofs), Medium::Initramfs] {
        for text in [WRITABLE, READ_ONLY, VERITY] {
            failed.extend(each_step_fails_once(&whole_plan(&medium, "/run/lamina/medium/lamina", text)));
        }
    }
    failed.extend(each_step_fails_once(&plan_of_a_kept_top(RootAccess::ReadOnly)));
    failed.extend(each_step_fails_once(&plan_without_devices()));
    let every = [
        "mount",
        "open image",
        "check image",
        "attach image",
        "open verity",
        "mount layer",
        "bind",
        "stack layers",
        "find mount points",
        "read init",
        "check init",
        "protect root",
    ];
    assert_eq!(failed, BTreeSet::from(every), "a step that no plan has, or that nobody failed");
}

/// Returns the names of the steps that failed.
fn each_step_fails_once(stages: &[Stage]) -> BTreeSet<&'static str> {
    for (index, stage) in stages.iter().enumerate() {
        for step in stage.steps() {
            let kernel = Arc::new(Fake::failing(std::slice::from_ref(step)));
            let error = execute(stages, &kernel, &ThreadPool::default(), &mut Journal::begin()).unwrap_err();
            assert_eq!((error.step, &error.object), (step.name(), &step.object().to_string()));
            let screen = error.to_string();
            for part in [step.name().as_str(), &error.object, "told to fail", "a remedy"] {
                assert!(screen.contains(part), "{part} is not in\n{screen}");
            }
            let lane = stage.lanes.iter().find(|lane| lane.contains(step)).unwrap();
            let after = lane.iter().skip_while(|other| *other != step);
            let later: Vec<_> = stages[index + 1..].iter().flat_map(Stage::steps).chain(after).collect();
            let done = kernel.done.lock().unwrap();
            assert!(done.iter().all(|step| !later.contains(&step)), "went on after {step}");
        }
    }
    stages.iter().flat_map(Stage::steps).map(|step| step.name().as_str()).collect()
}

#[test]
fn all_missing_images_are_told_at_once() {
    let stages = whole_plan(&device(), "/run/lamina/medium/lamina", WRITABLE);
    let steps: Vec<BootStep> = stages
        .iter()
        .flat_map(Stage::steps)
        .filter(|step| step.name() == StepName::OpenImage)
        .cloned()
        .collect();
    let error =
        execute(&stages, &Arc::new(Fake::failing(&steps)), &ThreadPool::default(), &mut Journal::begin())
            .unwrap_err();
    assert_eq!(error.object, steps[0].object().to_string());
    assert_eq!(error.also, ["busybox 1.35.0: the same", "darkhttpd 1.14: the same"]);
}

#[test]
fn what_was_done_before_a_failure_is_in_the_report() {
    let stages = whole_plan(&device(), "/run/lamina/medium/lamina", WRITABLE);
    let layers = stages.iter().find(|stage| stage.name == "layers").unwrap();
    let failed = layers.lanes[0].last().unwrap();
    let (mut threads, mut journal) = (ThreadPool::default(), Journal::begin());
    threads.start();
    execute(&stages, &Arc::new(Fake::failing(std::slice::from_ref(failed))), &threads, &mut journal)
        .unwrap_err();
    let report: serde_json::Value = serde_json::from_str(&journal.json()).unwrap();
    let steps = report["steps"].as_array().unwrap();
    let reported = steps.iter().filter(|step| step["stage"] == "layers").map(|step| step["object"].clone());
    let planned = layers.steps().map(|step| step.object().to_string());
    assert_eq!(reported.collect::<Vec<_>>(), planned.collect::<Vec<_>>());
    assert!(steps.iter().all(|step| step["stage"] != "root"));
}

/// What is mounted from files does; the thread of the first lane, which starts the real init, is as before then.
#[test]
fn only_what_waits_for_nobody_comes_before_others() {
    let [_, during, after] = priority::tests::expected();
    let images = plan::images(Path::new("/run/lamina/medium/lamina"), &Arc::new(parsed(WRITABLE)));
    for (from_files, expected) in [(true, during), (false, after)] {
        let stages = plan::layers(&images, from_files);
        let (kernel, mut threads) = (Arc::new(Fake::failing(&[])), ThreadPool::default());
        threads.start();
        execute(&stages[stages.len() - 1..], &kernel, &threads, &mut Journal::begin()).unwrap();
        let seen = kernel.priorities.lock().unwrap();
        assert!(seen.len() > 1 && seen.iter().all(|own| *own == expected), "{from_files}: {seen:?}");
        assert_eq!(priority::tests::own(), after);
    }
}

#[test]
fn without_a_failure_every_step_is_done_and_reported_in_order() {
    let stages = whole_plan(&device(), "/run/lamina/medium/lamina", WRITABLE);
    let kernel = Arc::new(Fake::failing(&[]));
    let (mut threads, mut journal) = (ThreadPool::default(), Journal::begin());
    threads.start();
    execute(&stages, &kernel, &threads, &mut journal).unwrap();
    let report: serde_json::Value = serde_json::from_str(&journal.json()).unwrap();
    let reported: Vec<_> =
        report["steps"].as_array().unwrap().iter().map(|step| step["object"].clone()).collect();
    let planned: Vec<_> =
        stages.iter().flat_map(Stage::steps).map(|step| step.object().to_string()).collect();
    assert_eq!(reported, planned);
    assert_eq!(kernel.done.lock().unwrap().len(), planned.len());
}
