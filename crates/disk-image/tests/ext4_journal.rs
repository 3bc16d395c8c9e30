//! What a store that was not unmounted holds: the same as after e2fsck has played its journal. debugfs writes the journals.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

const LENGTH: u64 = 16 << 20;
const BLOCK: usize = 4096;

fn run(program: &str, arguments: &[&str], input: &str) -> String {
    use std::io::Write;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file system as `disk create` makes them, with the files `one` and `two` of two blocks each.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new() -> Disk {
        let disk = Disk { folder: tempfile::tempdir().unwrap() };
        File::create(disk.path("disk")).unwrap().set_len(LENGTH).unwrap();
        let features =
            "none,has_journal,ext_attr,dir_index,filetype,extent,64bit,flex_bg,sparse_super,uninit_bg";
        run("mke2fs", &["-q", "-b", "4096", "-J", "size=4", "-O", features, &disk.path("disk")], "");
        for name in ["one", "two"] {
            fs::write(disk.path(name), name.repeat(BLOCK * 2 / 3)).unwrap();
            disk.debugfs(&format!("write {} {name}\n", disk.path(name)));
        }
        disk
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn debugfs(&self, commands: &str) -> String {
        run("debugfs", &["-w", "-f", "-", &self.path("disk")], commands)
    }

    /// The blocks of a file.
    fn blocks(&self, name: &str) -> Vec<u64> {
        let said = self.debugfs(&format!("blocks {name}\n"));
        let blocks: Vec<u64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(blocks.len(), 2, "{said}");
        blocks
    }

    /// What a file holds, without a mount.
    fn holds(&self, disk: &str, name: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        let opened = disk_image::ext4::open(&File::open(self.path(disk)).unwrap(), 0, LENGTH).unwrap();
        opened.open(format!("/{name}").as_str()).unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    }

    fn needs_recovery(&self, disk: &str) -> bool {
        run("dumpe2fs", &["-h", &self.path(disk)], "").contains("needs_recovery")
    }

    /// Compares with a copy of which e2fsck has played the journal.
    fn judge(&self) -> [Vec<u8>; 2] {
        assert!(self.needs_recovery("disk"));
        fs::copy(self.path("disk"), self.path("played")).unwrap();
        run("e2fsck", &["-fy", &self.path("played")], "");
        assert!(!self.needs_recovery("played"));
        ["one", "two"].map(|name| {
            let found = self.holds("disk", name);
            assert!(found == self.holds("played", name), "{name}");
            found
        })
    }
}

fn write(path: &str, bytes: &[u8]) {
    fs::write(Path::new(path), bytes).unwrap();
}

#[test]
fn what_was_committed_counts_and_what_was_revoked_or_cut_short_does_not() {
    let disk = Disk::new();
    let (one, two) = (disk.blocks("one"), disk.blocks("two"));
    let plain = [disk.holds("disk", "one"), disk.holds("disk", "two")];
    // The second block of `first` begins as blocks of a journal do, and is escaped there.
    let magic = 0xc03b_3998_u32.to_be_bytes();
    write(&disk.path("first"), &[vec![b'a'; BLOCK], magic.to_vec(), vec![b'b'; BLOCK - 4]].concat());
    write(&disk.path("second"), &vec![b'c'; BLOCK]);
    let (first, second) = (disk.path("first"), disk.path("second"));

    disk.debugfs(&format!("jo\njw -b {},{} {first}\njc\n", one[0], one[1]));
    let found = disk.judge();
    assert!(found[0] == fs::read(&first).unwrap()[..plain[0].len()] && found[1] == plain[1]);

    // A later transaction changes one of them again; another one is taken back before it ends.
    disk.debugfs(&format!(
        "jo\njw -b {} {second}\njw -b {} {second}\njw -r {}\njc\n",
        one[0], two[1], two[1]
    ));
    let found = disk.judge();
    assert!(found[0].starts_with(&[b'c'; BLOCK]) && found[0][BLOCK..].starts_with(&magic));
    assert!(found[1] == plain[1]);

    // Without a commit.
    disk.debugfs(&format!("jo\njw -b {} -c {second}\njc\n", two[0]));
    assert!(disk.judge()[1] == plain[1]);
}

#[test]
fn a_journal_with_nothing_in_it_is_no_damage() {
    let disk = Disk::new();
    let plain = disk.holds("disk", "one");
    disk.debugfs("feature needs_recovery\n");
    assert!(disk.judge()[0] == plain);
}
