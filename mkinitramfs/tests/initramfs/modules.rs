//! Which modules are picked, why, and what is said about those that are missing or wrong.

use crate::fixture::{Fixture, RELEASE, module};
use kernel_config::Group;
use mkinitramfs::{Reason, Source};
use profiles::StateFileSystem;

#[test]
fn every_module_has_its_reason() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    request.modules.push("odd".to_owned());
    let plan = request.plan().expect("a plan");
    let reason = |name: &str| {
        plan.modules.picked.iter().find(|picked| picked.name == name).map(|picked| picked.reason.clone())
    };
    assert!(matches!(reason("loop"), Some(Reason::Table { symbol: "BLK_DEV_LOOP", .. })));
    assert_eq!(reason("lib_b"), Some(Reason::NeededBy { module: "lib_a".to_owned() }));
    assert_eq!(reason("odd"), Some(Reason::AskedFor));
    let report = plan.to_string();
    assert!(report.contains("each image is attached by a loop device"), "{report}");
    assert!(report.contains("built in  the store can lie on ext4"), "{report}");
    assert!(report.contains("not in this kernel (CONFIG_VFAT_FS): the store can lie on FAT"), "{report}");
    assert!(plan.modules.absent.iter().any(|absent| absent.name == "vfat"));
}

#[test]
fn groups_choose_what_goes_in() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    request.groups = vec![Group::Core];
    let plan = request.plan().expect("a plan");
    let absent: Vec<&str> = plan.modules.absent.iter().map(|absent| absent.name.as_str()).collect();
    assert_eq!(absent, ["erofs"]);
    assert_eq!(plan.modules.picked.len(), 5);
}

#[test]
fn large_file_systems_go_in_when_they_are_asked_for() {
    let fixture = Fixture::new();
    fixture.put_module("kernel/fs/xfs.ko", &module("lib-b", "", RELEASE));
    let mut request = fixture.request();
    let has_xfs = |plan: &mkinitramfs::Plan| plan.modules.picked.iter().any(|picked| picked.name == "xfs");
    assert!(!has_xfs(&request.plan().expect("a plan")));
    request.state_file_systems =
        ["xfs", "ext4"].map(|name| StateFileSystem::parse(name).expect("a row")).into();
    let plan = request.plan().expect("a plan");
    assert!(has_xfs(&plan) && !plan.modules.absent.iter().any(|absent| absent.name == "f2fs"), "{plan}");
    request.state_file_systems = vec![StateFileSystem::parse("f2fs").expect("a row")];
    assert_eq!(
        fixture.refusal(&request),
        "the file system f2fs: the kernel 6.1.0-test does not have it (CONFIG_F2FS_FS)\n\
         help: take another file system, or a kernel that has this one"
    );
}

#[test]
fn a_soft_dependency_goes_before_and_may_be_missing() {
    let fixture = Fixture::new();
    let soft = "softdep=pre: lib-a nowhere squashfs post: odd\0";
    fixture.put_module("kernel/drivers/block/loop.ko", &module("", soft, RELEASE));
    fixture.put_module("kernel/fs/squashfs.ko", &module("", "softdep=pre: loop\0", RELEASE));
    let plan = fixture.request().plan().expect("two modules that want each other first are no circle");
    let names: Vec<&str> = plan.modules.picked.iter().map(|picked| picked.name.as_str()).collect();
    assert_eq!(names[..4], ["lib_b", "lib_a", "squashfs", "loop"]);
    assert!(!names.contains(&"odd"));
}

#[test]
fn an_alias_in_a_soft_dependency_is_every_module_that_answers_to_it() {
    let fixture = Fixture::new();
    let soft = "softdep=pre: crypto-sum\0";
    fixture.put_module("kernel/drivers/block/loop.ko", &module("", soft, RELEASE));
    fixture.put_module("kernel/crypto/sum_plain.ko", &module("lib-b", "alias=crypto-sum\0", RELEASE));
    fixture.put_module("kernel/arch/x86/crypto/sum-fast.ko", &module("", "alias=crypto-sum\0", RELEASE));
    // These cannot go before what wants them, and must not stop it.
    fixture.put_module("kernel/crypto/sum-circle.ko", &module("loop", "alias=crypto-sum\0", RELEASE));
    fixture.put_module("kernel/drivers/crypto/sum-card.ko", &module("", "alias=crypto-sum\0", RELEASE));
    let plan = fixture.request().plan().expect("a plan");
    let names: Vec<&str> = plan.modules.picked.iter().map(|picked| picked.name.as_str()).collect();
    assert_eq!(names[..4], ["sum_fast", "lib_b", "sum_plain", "loop"]);
    assert!(!names.iter().any(|name| ["sum_circle", "sum_card"].contains(name)), "{names:?}");
    assert!(plan.to_string().contains("needed by loop"), "{plan}");
}

#[test]
fn a_kernel_without_a_required_module_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    fixture.remove_module("kernel/drivers/block/loop.ko");
    assert_eq!(
        fixture.refusal(&fixture.request()),
        "DIR/kernel: the module loop (CONFIG_BLK_DEV_LOOP) is neither there nor built in, and without it no stack boots: \
         each image is attached by a loop device\n\
         help: take a kernel that has it; 'lamina kernel check' says what else is missing"
    );
    fixture.put("kernel/boot/config-6.1.0-test", b"CONFIG_BLK_DEV_LOOP=y\n");
    fixture.request().plan().expect("built in without a line in modules.builtin");
}

#[test]
fn an_incomplete_or_mixed_kernel_is_refused() {
    let fixture = Fixture::new();
    fixture.remove_module("kernel/lib/lib-b.ko");
    let missing = fixture.refusal(&fixture.request());
    assert!(
        missing.starts_with(
            "DIR/kernel: the module squashfs needs the module lib_b, which is neither there nor built in"
        ) || missing.starts_with(
            "DIR/kernel: the module lib_a needs the module lib_b, which is neither there nor built in"
        ),
        "{missing}"
    );
    fixture.put_module("kernel/lib/lib-b.ko", &module("", "", "6.12.0-other"));
    let mixed = fixture.refusal(&fixture.request());
    assert!(
        mixed.starts_with(
            "DIR/kernel: the module lib_b is made for '6.12.0-other', the kernel is '6.1.0-test'"
        ),
        "{mixed}"
    );
    fixture.put_module("kernel/lib/lib-b.ko", b"no ELF file");
    let damaged = fixture.refusal(&fixture.request());
    assert!(damaged.starts_with("DIR/kernel: the module lib_b is not an ELF file"), "{damaged}");
    fixture.put_module("kernel/lib/lib-b.ko", &module("lib-a", "", RELEASE));
    let circle = fixture.refusal(&fixture.request());
    assert!(circle.starts_with("DIR/kernel: the module lib_a needs itself"), "{circle}");
}

#[test]
fn a_named_module_must_be_there() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    request.modules.push("nvmee".to_owned());
    let refusal = fixture.refusal(&request);
    assert!(refusal.starts_with("--module nvmee: the kernel 6.1.0-test has no such module"), "{refusal}");
}

/// An algorithm that the kernel does not have as a module is built in, or not what the disk was encrypted with.
#[test]
fn encrypted_disks_need_dm_crypt_and_take_what_algorithms_there_are() {
    let fixture = Fixture::new();
    let mut request = fixture.request();
    request.luks = true;
    let refusal = fixture.refusal(&request);
    assert!(
        refusal.starts_with("--luks: the kernel 6.1.0-test has no dm-crypt (CONFIG_DM_CRYPT)"),
        "{refusal}"
    );
    fixture.put_module("kernel/drivers/md/dm-crypt.ko", &module("", "", RELEASE));
    fixture.put_module("kernel/crypto/xts.ko", &module("", "", RELEASE));
    let plan = request.plan().expect("a plan");
    let text = plan.to_string();
    for words in ["dm_crypt ", "xts ", "sbin/cryptsetup", "libgcc_s.so.1 "] {
        let name = words.rsplit('/').next().expect("a name");
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(!text.contains("essiv"), "{text}");
    let list = plan.contents.get("etc/lamina/modules").map(|entry| &entry.source);
    let Some(Source::Bytes(list)) = list else { panic!("no list of modules") };
    let list = String::from_utf8_lossy(list);
    let always = "\ndm_crypt\tlib/modules/6.1.0-test/kernel/drivers/md/dm-crypt.ko\n";
    assert!(list.contains(always), "loaded always, for the kernel asks a modprobe that is not there: {list}");
}

/// Whether it would have gone in anyway changes nothing.
#[test]
fn what_is_named_is_loaded_always() {
    let fixture = Fixture::new();
    let lines = |named: &str| {
        let mut request = fixture.request();
        request.modules.push(named.to_owned());
        let plan = request.plan().expect("a plan");
        let Some(Source::Bytes(list)) = plan.contents.get("etc/lamina/modules").map(|it| &it.source) else {
            panic!("no list");
        };
        String::from_utf8_lossy(list).into_owned()
    };
    let waits = |list: &str, name: &str| {
        let line = list.lines().find(|line| line.starts_with(&format!("{name}\t"))).expect(name);
        line.split('\t').count() > 2
    };
    let list = lines("odd");
    assert!(!waits(&list, "odd") && waits(&list, "squashfs") && waits(&list, "lib_a"), "{list}");
    let list = lines("squashfs");
    assert!(!waits(&list, "squashfs") && !waits(&list, "lib_a") && waits(&list, "loop"), "{list}");
}
