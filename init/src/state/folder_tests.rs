use super::*;
use crate::state::decide::{Action, decide};
use profiles::{Digest, Name};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use tempfile::TempDir;

/// A folder in place of a state file system, and a profile.
struct Disk {
    root: TempDir,
    profile: Name,
}

impl Disk {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), profile: Name::parse("web").unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(FOLDER).join(name)
    }

    fn wish(&self, stack: u8, changed: WhenChanged) -> Wish<'_> {
        Wish { profile: &self.profile, stack: Digest::from_bytes([stack; 32]), changed }
    }

    /// One boot; a power cut comes after `most` steps.
    fn boot(&self, stack: u8, changed: WhenChanged, most: usize) -> Result<Action, Failure> {
        let wish = self.wish(stack, changed);
        let tops = Tops::open(self.root.path())?;
        let decision = decide(&tops.observe(&wish)?, &wish)?;
        for step in decision.steps.iter().take(most) {
            tops.carry_out(step)?;
        }
        Ok(decision.action)
    }

    fn write(&self, text: &str) {
        fs::write(self.path("web/upper/file"), text).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

const ALL: usize = usize::MAX;
use WhenChanged::{Keep, Refuse, Reset};

#[test]
fn a_file_survives_and_the_modes_are_right() {
    let disk = Disk::new();
    assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::Created);
    disk.write("mine");
    assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::Reused);
    assert_eq!(fs::read_to_string(disk.path("web/upper/file")).unwrap(), "mine");
    let mode = |name| fs::metadata(disk.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!([mode(""), mode("web"), mode("web/upper"), mode("web/work")], [0o700, 0o700, 0o755, 0o700]);
}

#[test]
fn stacks_come_and_go_and_each_has_its_files() {
    let disk = Disk::new();
    disk.boot(1, Reset, ALL).unwrap();
    disk.write("one");
    assert_eq!(disk.boot(2, Reset, ALL).unwrap(), Action::SetAside);
    assert!(!disk.path("web/upper/file").exists());
    disk.write("two");
    assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::TakenBack);
    assert_eq!(fs::read_to_string(disk.path("web/upper/file")).unwrap(), "one");
    assert_eq!(disk.boot(2, Reset, ALL).unwrap(), Action::TakenBack);
    assert_eq!(fs::read_to_string(disk.path("web/upper/file")).unwrap(), "two");
    assert_eq!(disk.boot(3, Reset, ALL).unwrap(), Action::SetAside);
    assert_eq!(disk.names(), ["web", "web.aside-1", "web.aside-2"]);
    // Kept, it belongs to the new stack from now on.
    disk.write("three");
    assert_eq!(disk.boot(4, Keep, ALL).unwrap(), Action::Kept);
    assert_eq!(disk.boot(4, Refuse, ALL).unwrap(), Action::Reused);
    assert_eq!(fs::read_to_string(disk.path("web/upper/file")).unwrap(), "three");
    assert!(disk.boot(5, Refuse, ALL).unwrap_err().why.contains("the stack of web changed"));
}

#[test]
fn names_without_number_end_in_a_sentence() {
    let disk = Disk::new();
    disk.boot(1, Reset, ALL).unwrap();
    (0..3000).for_each(|number| fs::write(disk.path(&format!("web.aside-x{number}")), "").unwrap());
    assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::Reused);
    (0..=MOST_ASIDES)
        .for_each(|number| fs::create_dir(disk.path(&format!("web.aside-{}", number + 1))).unwrap());
    let failure = disk.boot(1, Reset, ALL).unwrap_err();
    assert!(failure.why.contains("more than 1024 tops of `web` set aside"), "{}", failure.why);
    assert!(disk.path("web/upper").exists());
}

#[test]
fn a_power_cut_after_any_step_loses_nothing() {
    for changed in [Reset, Keep] {
        for cut in 0..5 {
            for again in [0, 2, 5] {
                let disk = Disk::new();
                disk.boot(1, changed, ALL).unwrap();
                disk.write("precious");
                disk.boot(2, changed, cut).unwrap();
                disk.boot(2, changed, again).unwrap();
                let action = disk.boot(2, changed, ALL).unwrap();
                assert_eq!(disk.boot(2, Refuse, ALL).unwrap(), Action::Reused, "{changed} {cut} {again}");
                let found =
                    disk.names().iter().filter(|name| disk.path(name).join("upper/file").exists()).count();
                assert_eq!(found, 1, "{changed} {cut} {again} {action}: {:?}", disk.names());
            }
        }
    }
    for cut in 0..4 {
        let disk = Disk::new();
        disk.boot(1, Reset, cut).unwrap();
        disk.boot(1, Reset, ALL).unwrap();
        assert_eq!(disk.names(), ["web"], "{cut}");
    }
}

#[test]
fn what_is_not_ours_is_set_aside_whole() {
    let torn: [fn(&Disk); 7] = [
        |disk| fs::write(disk.path("web"), "a file").unwrap(),
        |disk| symlink("/etc", disk.path("web")).unwrap(),
        |disk| fs::create_dir(disk.path("web")).unwrap(),
        |disk| {
            disk.boot(1, Reset, ALL).unwrap();
            fs::write(disk.path("web/stamp.kdl"), "").unwrap();
        },
        |disk| {
            disk.boot(1, Reset, ALL).unwrap();
            fs::remove_file(disk.path("web/stamp.kdl")).unwrap();
            symlink("/dev/zero", disk.path("web/stamp.kdl")).unwrap();
        },
        |disk| {
            disk.boot(1, Reset, ALL).unwrap();
            fs::write(disk.path("web/stamp.kdl"), vec![b' '; 5000]).unwrap();
        },
        |disk| {
            disk.boot(1, Reset, ALL).unwrap();
            fs::create_dir_all(disk.path("web/work/work/incompat/volatile")).unwrap();
        },
    ];
    for (number, tear) in torn.iter().enumerate() {
        let disk = Disk::new();
        drop(Tops::open(disk.root.path()).unwrap());
        tear(&disk);
        assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::SetAside, "{number}");
        assert_eq!(disk.names(), ["web", "web.aside-1"], "{number}");
        assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::Reused, "{number}");
    }
}

#[test]
fn a_half_made_top_with_something_in_it_is_set_aside() {
    let disk = Disk::new();
    disk.boot(1, Reset, 2).unwrap();
    fs::write(disk.path("web.new/upper/file"), "somebody's").unwrap();
    disk.boot(1, Reset, ALL).unwrap();
    assert_eq!(disk.names(), ["web", "web.aside-1"]);
    assert_eq!(fs::read_to_string(disk.path("web.aside-1/upper/file")).unwrap(), "somebody's");
}

#[test]
fn an_aside_that_is_a_link_is_never_taken_back() {
    let (disk, other) = (Disk::new(), Disk::new());
    other.boot(2, Reset, ALL).unwrap();
    disk.boot(1, Reset, ALL).unwrap();
    symlink(other.path("web"), disk.path("web.aside-7")).unwrap();
    assert_eq!(disk.boot(2, Reset, ALL).unwrap(), Action::SetAside);
    assert_eq!(disk.names(), ["web", "web.aside-7", "web.aside-8"]);
}

#[test]
fn a_link_in_place_of_the_folder_is_refused() {
    let disk = Disk::new();
    symlink("/tmp", disk.root.path().join(FOLDER)).unwrap();
    let failure = disk.boot(1, Reset, ALL).unwrap_err();
    assert!(failure.why.starts_with("cannot open lamina"), "{}", failure.why);
}

#[test]
fn traces_of_features_make_keep_a_reset() {
    let disk = Disk::new();
    disk.boot(1, Keep, ALL).unwrap();
    fs::create_dir(disk.path("web/work/index")).unwrap();
    assert_eq!(disk.boot(2, Keep, ALL).unwrap(), Action::SetAside);
    disk.boot(2, Keep, ALL).unwrap();
    let stamp = disk.path("web/stamp.kdl");
    let text = fs::read_to_string(&stamp).unwrap().replace("\"off\"", "\"on\"");
    fs::write(stamp, text).unwrap();
    assert_eq!(disk.boot(3, Keep, ALL).unwrap(), Action::SetAside);
}

#[test]
fn a_missing_scratch_folder_is_made() {
    let disk = Disk::new();
    disk.boot(1, Reset, ALL).unwrap();
    fs::remove_dir(disk.path("web/work")).unwrap();
    assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::Reused);
    assert!(disk.path("web/work").is_dir());
}

#[test]
fn a_step_that_fails_leaves_what_was_there_under_its_name() {
    let disk = Disk::new();
    disk.boot(1, Reset, ALL).unwrap();
    disk.write("mine");
    let wish = disk.wish(2, Reset);
    let tops = Tops::open(disk.root.path()).unwrap();
    let steps = decide(&tops.observe(&wish).unwrap(), &wish).unwrap().steps;
    // Each step in turn meets an obstacle: a name that is taken, or a folder that is not there.
    for failing in 0..steps.len() {
        let mut steps = steps.clone();
        steps[failing] = match &steps[failing] {
            FolderStep::Rename { from, .. } => FolderStep::Rename { from: from.clone(), to: "web".into() },
            FolderStep::Make(_) => FolderStep::Make("web".into()),
            FolderStep::Stamp { stamp, .. } => {
                FolderStep::Stamp { name: "nowhere".into(), stamp: stamp.clone() }
            }
            other => panic!("not a step of a first boot: {other}"),
        };
        if failing + 1 == steps.len() {
            fs::create_dir(disk.path("taken")).unwrap();
            steps[failing] = FolderStep::Rename { from: "web.new".into(), to: "taken".into() };
        }
        tops.carry_out_all(&steps, &wish).unwrap_err();
        let _ = fs::remove_dir(disk.path("taken"));
        assert_eq!(disk.names(), ["web"], "step {failing}");
        assert_eq!(fs::read_to_string(disk.path("web/upper/file")).unwrap(), "mine");
        assert_eq!(disk.boot(1, Reset, ALL).unwrap(), Action::Reused);
    }
}

#[test]
fn a_first_boot_that_fails_leaves_no_folder() {
    let disk = Disk::new();
    let wish = disk.wish(1, Reset);
    let tops = Tops::open(disk.root.path()).unwrap();
    let mut steps = decide(&tops.observe(&wish).unwrap(), &wish).unwrap().steps;
    let Some(FolderStep::Stamp { name, .. }) = steps.get_mut(1) else { panic!("{steps:?}") };
    *name = "nowhere".into();
    let failure = tops.carry_out_all(&steps, &wish).unwrap_err();
    assert!(failure.why.starts_with("cannot stamp lamina/nowhere"), "{failure:?}");
    assert!(!disk.path("").exists());
}

/// As on a disk without room for it.
#[test]
fn a_stamp_that_cannot_be_written_leaves_the_old_one_alone() {
    let disk = Disk::new();
    disk.boot(1, Keep, ALL).unwrap();
    let tops = Tops::open(disk.root.path()).unwrap();
    fs::create_dir(disk.path("web/stamp.kdl.old")).unwrap();
    fs::rename(disk.path("web/stamp.kdl"), disk.path("stamp")).unwrap();
    fs::rename(disk.path("web/stamp.kdl.old"), disk.path("web/stamp.kdl")).unwrap();
    let stamp = Stamp::of(&disk.profile, Digest::from_bytes([2; 32]));
    tops.carry_out(&FolderStep::Stamp { name: "web".into(), stamp }).unwrap_err();
    assert!(!disk.path("web/stamp.kdl.new").exists() && disk.path("web/stamp.kdl").is_dir());
}

#[test]
fn what_lies_under_the_name_of_a_new_stamp_is_replaced_and_never_opened() {
    let disk = Disk::new();
    disk.boot(1, Keep, ALL).unwrap();
    let new = disk.path("web/stamp.kdl.new");
    let outside = disk.root.path().join("outside");
    fs::write(&outside, "as it was").unwrap();
    // Opened for writing, a FIFO would hold up PID 1 for ever, and what is behind a hard link would be cut.
    let fifo = || nix::unistd::mkfifo(&new, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let link = || symlink(&outside, &new).unwrap();
    let hard_link = || fs::hard_link(&outside, &new).unwrap();
    for (stack, lie) in [(2, &fifo as &dyn Fn()), (3, &link), (4, &hard_link)] {
        lie();
        assert_eq!(disk.boot(stack, Keep, ALL).unwrap(), Action::Kept);
        assert_eq!(disk.boot(stack, Keep, ALL).unwrap(), Action::Reused);
        assert!(fs::symlink_metadata(&new).is_err());
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "as it was");
    // A folder with something in it is refused, and a tmpfs serves.
    fs::create_dir_all(new.join("full")).unwrap();
    assert!(disk.boot(5, Keep, ALL).is_err());
}
