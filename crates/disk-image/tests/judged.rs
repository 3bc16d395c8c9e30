//! Disks as others see them: sfdisk, fsck.vfat, e2fsck, mtools.

mod fat_judge;

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use disk_image::layout::Room;
use disk_image::read::DiskReader;
use disk_image::{Content, DiskFile, DiskPlan, FatBy, FatVolume, Identity, Layout, MIB, PartitionKind};
use profiles::Digest;

fn plan(folder: &Path) -> DiskPlan {
    let large = folder.join("a \"large\" file");
    std::fs::write(&large, (0..5_000_000_u32).map(|it| (it >> 8) as u8 ^ it as u8).collect::<Vec<u8>>())
        .unwrap();
    let identity = Identity::of(["test"]);
    let esp = vec![
        DiskFile::bytes("EFI/BOOT/BOOTX64.EFI", "MZ"),
        DiskFile::bytes("loader/entries/lamina-a-long-name-with-many-letters-1.conf", "title x\n"),
        DiskFile {
            path: "lamina/linux-ab".to_owned(),
            content: Content::File(large.clone(), 5_000_000),
            digest: None,
        },
    ];
    let store = vec![
        DiskFile {
            path: "lamina/images/ab.sqfs".to_owned(),
            content: Content::File(large, 5_000_000),
            digest: None,
        },
        DiskFile::bytes("lamina/profiles/x/1.kdl", "profile"),
        DiskFile::bytes("lamina/boot/a", vec![0; 4096]),
    ];
    let room = Room {
        bios: false,
        esp: disk_image::fat::room_for(&esp),
        store: disk_image::ext4::room_for(&store),
        state: Some(16 * MIB),
    };
    let layout = Layout::make(&room, None, &identity).unwrap();
    DiskPlan { layout, identity, boot_code: None, fat: FatBy::Programs, esp, store }
}

fn written(plan: &DiskPlan, path: &Path) {
    let file = File::options().read(true).write(true).create_new(true).open(path).unwrap();
    disk_image::write(plan, &file, |_| {}).unwrap();
}

/// What a judge prints; it must find nothing wrong.
fn judged(program: &str, arguments: &[&str], path: &Path) -> String {
    let program =
        disk_image::programs::find_program(program, "fdisk, dosfstools, e2fsprogs or mtools").unwrap();
    let output = Command::new(program).args(arguments).arg(path).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// A partition, as a file of its own.
fn cut_out(plan: &DiskPlan, kind: PartitionKind, disk: &Path) -> std::path::PathBuf {
    use std::io::{Read, Seek, SeekFrom};
    let partition = plan.layout.partition(kind).unwrap();
    let path = disk.with_extension(kind.name());
    let mut file = File::open(disk).unwrap();
    file.seek(SeekFrom::Start(partition.start)).unwrap();
    std::io::copy(&mut file.take(partition.length), &mut File::create(&path).unwrap()).unwrap();
    path
}

#[test]
fn the_same_disk_twice_and_nobody_finds_a_fault() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let (one, two) = (folder.path().join("one.img"), folder.path().join("two.img"));
    written(&plan, &one);
    // FAT counts two seconds.
    std::thread::sleep(std::time::Duration::from_millis(2100));
    written(&plan, &two);
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&two).unwrap(), "two disks of one plan differ");
    let held = std::fs::metadata(&one).unwrap();
    assert!(
        held.blocks() * 512 < held.len() / 3,
        "{} of {} bytes are no hole",
        held.blocks() * 512,
        held.len()
    );

    assert!(judged("sfdisk", &["--verify"], &one).contains("No errors detected"));
    let listed = judged("sfdisk", &["-J"], &one);
    for partition in &plan.layout.partitions {
        assert!(listed.contains(&partition.uuid.to_string().to_uppercase()), "{listed}");
        assert!(listed.contains(&format!("\"name\": \"{}\"", partition.kind.name())), "{listed}");
    }
    let esp = cut_out(&plan, PartitionKind::EfiSystem, &one);
    fat_judge::fsck(&esp, &[], "new");
    let told = judged("minfo", &["-i"], &esp);
    let serial = format!("serial number: {:08X}", plan.identity.serial("esp"));
    assert!(told.contains("FAT32") && told.contains(&serial), "{serial} is not in {told}");
    for kind in [PartitionKind::Store, PartitionKind::State] {
        judged("e2fsck", &["-fn"], &cut_out(&plan, kind, &one));
    }
}

/// More files than a file system of their bytes has inodes.
#[test]
fn many_small_files_fit() {
    let folder = tempfile::tempdir().unwrap();
    let one = |number: u32| DiskFile::bytes(format!("lamina/images/{number}.sqfs"), "a small one");
    let plan = plan(folder.path());
    let store: Vec<DiskFile> = (0..1500).map(one).collect();
    let room = Room { bios: false, esp: 40 * MIB, store: disk_image::ext4::room_for(&store), state: None };
    let layout = Layout::make(&room, None, &plan.identity).unwrap();
    let plan = DiskPlan { layout, store, ..plan };
    let disk = folder.path().join("small.img");
    written(&plan, &disk);
    judged("e2fsck", &["-fn"], &cut_out(&plan, PartitionKind::Store, &disk));
}

#[test]
fn what_was_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path());
    let path = folder.path().join("disk.img");
    written(&plan, &path);
    let reader = DiskReader::new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.table.damage, []);
    let (esp, store) = (reader.esp().unwrap(), reader.store().unwrap());
    for file in &plan.esp {
        let meant = Digest::of(file.content.open().unwrap()).unwrap();
        assert_eq!(esp.digest(&file.path).unwrap(), meant, "{}", file.path);
    }
    assert_eq!(esp.names("loader/entries").unwrap(), ["lamina-a-long-name-with-many-letters-1.conf"]);
    assert_eq!(esp.names("nothing").unwrap(), Vec::<String>::new());
    for file in &plan.store {
        let meant = Digest::of(file.content.open().unwrap()).unwrap();
        assert_eq!(
            disk_image::ext4::digest(&store, &format!("/{}", file.path)).unwrap(),
            meant,
            "{}",
            file.path
        );
    }
    let no_disk = DiskReader::new(File::open("/dev/null").unwrap()).err().unwrap().to_string();
    assert!(no_disk.contains("is no GPT") && no_disk.contains("\nhelp: "), "{no_disk}");
}

#[test]
fn a_store_that_is_full_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path());
    let room = Room { bios: false, esp: 72 * MIB, store: 16 * MIB, state: None };
    let large = plan.store[0].clone();
    plan.store.extend((0..9).map(|it| DiskFile { path: format!("lamina/{it}"), ..large.clone() }));
    plan.layout = Layout::make(&room, None, &plan.identity).unwrap();
    let file = tempfile::tempfile().unwrap();
    let error = disk_image::write(&plan, &file, |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("debugfs: ") && error.contains("\nhelp: "), "{error}");
}

#[test]
fn a_source_that_is_not_what_was_meant_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut plan = plan(folder.path());
    plan.store[0].digest = Some(Digest::of(&b"something else"[..]).unwrap().0);
    let error = disk_image::write(&plan, &tempfile::tempfile().unwrap(), |_| {}).unwrap_err().to_string();
    assert!(error.starts_with("lamina/images/ab.sqfs: its source holds 5000000 bytes"), "{error}");
    assert!(error.contains("help: it was changed or damaged: `lamina store verify`"), "{error}");
}

/// One file after the other, more than the first cluster of a folder has room for; fsck.vfat looks after each.
#[test]
fn files_of_a_fat_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let plan = plan(folder.path());
    written(&plan, &path);
    let esp = plan.layout.partition(PartitionKind::EfiSystem).unwrap();
    let disk = File::options().read(true).write(true).open(&path).unwrap();
    let volume = FatVolume::open(disk.try_clone().unwrap(), esp.start, esp.length).unwrap();
    let part = folder.path().join("esp");
    let sound = || {
        let mut bytes = vec![0; esp.length as usize];
        disk.read_exact_at(&mut bytes, esp.start).unwrap();
        std::fs::write(&part, bytes).unwrap();
        fat_judge::fsck(&part, &[], "changed");
    };
    let free = volume.room().unwrap();
    for number in 0..24 {
        let name = format!("loader/entries/lamina-web-{number}_-1a2b3c4d+3-0.conf");
        let text = format!("title {number}\n").repeat(number);
        volume.write_new(&name, &mut text.as_bytes(), text.len() as u64).unwrap();
        let mut read = String::new();
        volume.open_file(&name.to_ascii_uppercase()).unwrap().read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
        sound();
    }
    volume.write_new("EFI/lamina/new/x", &mut [7; 1300].as_slice(), 1300).unwrap();
    volume.write_new("loader/conf", &mut [b'a'; 512].as_slice(), 512).unwrap();
    volume.write_in_place("loader/conf", &[b'b'; 512]).unwrap();
    sound();
    let reader = DiskReader::new(disk.try_clone().unwrap()).unwrap().esp().unwrap();
    assert_eq!(reader.read("EFI/LAMINA/NEW/X").unwrap(), [7; 1300]);
    assert_eq!(reader.read("loader/conf").unwrap(), [b'b'; 512]);
    assert_eq!(reader.names("loader/entries").unwrap().len(), 25);
    for number in (0..24).rev() {
        volume.remove(&format!("loader/entries/lamina-web-{number}_-1a2b3c4d+3-0.conf")).unwrap();
    }
    sound();
    for path in ["EFI/lamina/new/x", "loader/conf", "missing", "missing/too"] {
        volume.remove(path).unwrap();
    }
    sound();
    let is = |error: std::io::Result<()>| error.unwrap_err().kind();
    assert_eq!(
        is(volume.write_new("lamina/LINUX-AB", &mut [].as_slice(), 0)),
        std::io::ErrorKind::AlreadyExists
    );
    assert_eq!(
        is(volume.write_new("x", &mut std::io::repeat(1), 200 << 20)),
        std::io::ErrorKind::StorageFull
    );
    assert_eq!(is(volume.remove("loader")), std::io::ErrorKind::InvalidData);
    // Two folders, and the clusters by which folders grew, stay.
    let now = volume.room().unwrap();
    assert!(now.0 <= free.0 && now.0 + 16 * now.1 >= free.0, "{free:?} {now:?}");
    sound();
}

/// Of both lengths of clusters. mtools compares nothing that it did not write itself: it lists, and our other reader reads.
#[test]
fn a_fat_of_our_own_is_one_for_others() {
    for mib in [80, 320] {
        let folder = tempfile::tempdir().unwrap();
        let mut plan = DiskPlan { fat: FatBy::Itself, ..plan(folder.path()) };
        let room =
            Room { bios: true, esp: mib * MIB, store: disk_image::ext4::room_for(&plan.store), state: None };
        plan.layout = Layout::make(&room, None, &plan.identity).unwrap();
        plan.layout.partitions.remove(0);
        let paths = ["one", "two"].map(|name| folder.path().join(name));
        paths.iter().for_each(|path| written(&plan, path));
        assert!(std::fs::read(&paths[0]).unwrap() == std::fs::read(&paths[1]).unwrap());
        let esp = plan.layout.partition(PartitionKind::EfiSystem).unwrap();
        let disk = File::open(&paths[0]).unwrap();
        let mut bytes = vec![0; esp.length as usize];
        disk.read_exact_at(&mut bytes, esp.start).unwrap();
        let part = folder.path().join("esp");
        std::fs::write(&part, bytes).unwrap();
        fat_judge::fsck(&part, &[], "changed");
        let listed = judged("mdir", &["-/", "-b", "-i"], &part);
        assert!(listed.contains("::/loader/entries/lamina-a-long-name-with-many-letters-1.conf"), "{listed}");
        assert!(judged("mlabel", &["-s", "-i"], &part).contains("LAMINA-ESP"));
        let reader = DiskReader::new(disk).unwrap().esp().unwrap();
        for file in &plan.esp {
            let meant = Digest::of(file.content.open().unwrap()).unwrap();
            assert_eq!(reader.digest(&file.path).unwrap(), meant, "{}", file.path);
        }
    }
}

/// Nothing in such a folder ends it, and fatfs by itself would read it for ever.
#[test]
fn a_folder_that_is_a_circle_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let plan = DiskPlan { fat: FatBy::Itself, ..plan(folder.path()) };
    let path = folder.path().join("disk");
    written(&plan, &path);
    let disk = File::options().read(true).write(true).open(&path).unwrap();
    let start = plan.layout.partition(PartitionKind::EfiSystem).unwrap().start;
    let mut boot = [0; 512];
    disk.read_exact_at(&mut boot, start).unwrap();
    let per_table = u64::from(u32::from_le_bytes([boot[36], boot[37], boot[38], boot[39]]));
    // The root folder is cluster 2, which leads to itself, and all in it was removed.
    disk.write_all_at(&2_u32.to_le_bytes(), start + 32 * 512 + 2 * 4).unwrap();
    disk.write_all_at(&[0xe5; 512], start + (32 + 2 * per_table) * 512).unwrap();
    let esp = DiskReader::new(disk).unwrap().esp().unwrap();
    for error in [esp.names("").unwrap_err(), esp.read("x/y").unwrap_err()] {
        assert!(error.to_string().contains("a folder has no end"), "{error}");
    }
}
