//! What loaders read, copied from the FAT of a disk as a power cut has left it.

use std::fs;
use std::io;
use std::path::Path;

use super::made_disk::{Place, mtools};
use crate::failure::Failure;

/// The folders that loaders look into, from the outside in.
const FOLDERS: [&str; 4] = ["loader", "loader/entries", "grub", "lamina"];

/// Copies what loaders read. mtools ends at the first file, and at the first folder, that a power cut has left without its clusters; a
/// loader that wants neither never notices. So what cannot be read is left out.
pub fn copy_out(disk: &Path, esp: Place, folder: &Path) -> Result<(), Failure> {
    let about = Failure::about::<io::Error>;
    let mut all = mtools("mcopy", disk, esp);
    all.args(["-s", "-n", "-Q", "::/loader", "::/grub", "::/lamina"]).arg(folder);
    if all.output().map_err(about("mcopy"))?.status.success() {
        return Ok(());
    }
    fs::remove_dir_all(folder).map_err(Failure::at(folder))?;
    for inside in FOLDERS {
        let target = folder.join(inside);
        fs::create_dir_all(&target).map_err(Failure::at(&target))?;
        let listed = mtools("mdir", disk, esp).args(["-b", &format!("::/{inside}/")]).output();
        let listed = String::from_utf8_lossy(&listed.map_err(about("mdir"))?.stdout).into_owned();
        for path in listed.lines().filter_map(|line| line.strip_prefix("::/")) {
            let target = folder.join(path);
            if path.ends_with('/') {
                continue;
            }
            let mut one = mtools("mcopy", disk, esp);
            let copied = one.arg("-n").arg(format!("::/{path}")).arg(&target).output();
            if !copied.map_err(about("mcopy"))?.status.success() {
                let _ = fs::remove_file(&target);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use super::*;
    use crate::programs::{run, said};

    /// 2 MiB of FAT12 with 512 bytes in a cluster: a folder with 40 files has several.
    #[test]
    fn a_folder_whose_end_is_lost_hides_neither_its_beginning_nor_other_folders() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = scratch.path().join("disk");
        let esp = Place { start: 0, size: 2 << 20 };
        let file = fs::File::options().read(true).write(true).create_new(true).open(&disk).unwrap();
        file.set_len(esp.size).unwrap();
        run(mtools("mformat", &disk, esp).args(["-T", "4096", "-h", "2", "-s", "32", "-c", "1", "::"]))
            .unwrap();
        run(mtools("mmd", &disk, esp).args(["::/lamina", "::/loader", "::/loader/entries"])).unwrap();
        let from = |name: &str| {
            let path = scratch.path().join(name);
            fs::write(&path, name).unwrap();
            path
        };
        let files = (0..40).map(|number| from(&format!("K{number}")));
        run(mtools("mcopy", &disk, esp).args(files).arg("::/lamina")).unwrap();
        run(mtools("mcopy", &disk, esp).arg(from("A.CON")).arg("::/loader/entries")).unwrap();

        // `::/lamina <2> <43-44>`: the end of the chain, of which the table does not know by now.
        let chain = said(mtools("mshowfat", &disk, esp).arg("::/lamina")).unwrap();
        let last = chain.trim().trim_end_matches('>').rsplit(['<', '-']).next().unwrap();
        let last: u64 = last.parse().unwrap();
        assert!(last.is_multiple_of(2) && last > 40, "{chain}");
        for table in [1, 13] {
            file.write_all_at(&[0, 0], table * 512 + last * 3 / 2).unwrap();
        }
        let copies = scratch.path().join("copies");
        fs::create_dir(&copies).unwrap();
        copy_out(&disk, esp, &copies).unwrap();
        let read = |path: &str| fs::read_to_string(copies.join(path)).unwrap_or_default();
        assert_eq!([read("lamina/K1"), read("loader/entries/A.CON")], ["K1", "A.CON"]);
    }
}
