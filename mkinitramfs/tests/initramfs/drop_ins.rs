//! Additions of others: what goes in, and everything that is refused.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::fixture::{Fixture, shell};
use mkinitramfs::{Request, Source, list};

/// A request with a drop-in that a line of shell made.
fn with(fixture: &Fixture, line: &str) -> Request {
    shell(fixture.folder.path(), &format!("rm -rf d; mkdir d; cd d; {line}"));
    Request { drop_ins: vec![fixture.path("d")], ..fixture.request() }
}

#[test]
fn files_modules_and_programs_go_in() {
    let fixture = Fixture::new();
    let line = "mkdir -p files/etc/app files/usr/bin; echo secret > files/etc/app/key; chmod 600 files/etc/app/key; \
        chmod 700 files/etc/app; ln -s ../../etc/app files/usr/bin/app; ln -s /run/later files/usr/bin/later; \
        printf '# what it needs\\n\\nodd   # ours\\nlib-a\\n' > modules; echo /usr/sbin/mkfs.ext4 > programs; echo hello > README";
    let request = with(&fixture, line);
    let plan = request.plan().expect("a plan");
    let report = plan.to_string();
    let expected = ": 7 files, modules odd lib_a, programs usr/sbin/mkfs.ext4\n";
    assert!(report.contains(expected) && report.contains("asked for by name"), "{report}");
    assert!(report.contains("needed by mkfs.ext4"), "{report}");
    let mode = |path: &str| plan.contents.get(path).map(|entry| entry.mode);
    assert_eq!((mode("etc/app"), mode("etc/app/key"), mode("etc")), (Some(0o700), Some(0o600), Some(0o755)));
    assert!(
        matches!(plan.contents.get("usr/bin/app").map(|it| &it.source), Some(Source::Link(to)) if to == "../../etc/app")
    );
    plan.write(3, &fixture.path("out.img")).expect("written");
    let written = fs::read(fixture.path("out.img")).expect("the file");
    shell(
        fixture.folder.path(),
        "touch -d 2001-01-01 d/files/etc/app/key; chown 1:1 d/files/etc/app/key 2>/dev/null || true",
    );
    request.plan().expect("a plan").write(3, &fixture.path("again.img")).expect("written");
    assert_eq!(written, fs::read(fixture.path("again.img")).expect("the file"));
    let entries = list(&fixture.path("out.img")).expect("listed").entries;
    let key = entries.iter().find(|entry| entry.path == "etc/app/key").expect("the key");
    assert_eq!((key.mode, key.uid, key.gid, key.size), (0o100_600, 0, 0, 7));
    let kept = shell(
        fixture.folder.path(),
        "mkdir x; cd x; zstd -dcq ../out.img | cpio --quiet -id etc/app/key; cat etc/app/key",
    );
    assert_eq!(kept, "secret\n");
    let mode = fs::metadata(fixture.path("x/etc/app/key")).expect("the key").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn what_is_no_drop_in_is_refused_with_its_place() {
    let fixture = Fixture::new();
    for (line, expected) in [
        ("true", "DIR/d: is a drop-in with nothing in it\nhelp: it has the folders files and hooks"),
        ("echo for people > README", "DIR/d: is a drop-in with nothing in it"),
        ("mkdir module", "DIR/d/module: is no part of a drop-in\nhelp: did you mean 'modules'?"),
        ("ln -s / files", "DIR/d/files: is no folder\nhelp: files is a folder; no link is followed"),
        ("ln -s /etc/passwd modules", "DIR/d/modules: is no regular file"),
        ("mkfifo programs", "DIR/d/programs: is no regular file"),
        (
            "printf 'loop\\n../../x\\n' > modules",
            "DIR/d/modules:2: '../../x' is no name of a kernel module\nhelp: ",
        ),
        (
            "printf '# why\\nnowhere-x' > modules",
            "DIR/d/modules:2: the kernel 6.1.0-test has no module 'nowhere-x'\nhelp: ",
        ),
        (
            "echo bin/sh > programs",
            "DIR/d/programs:1: 'bin/sh' is no path of a program\nhelp: write one path a line",
        ),
        ("echo /usr/../bin/sh > programs", "DIR/d/programs:1: '/usr/../bin/sh' is no path of a program"),
        ("echo /no/where > programs", "DIR/d/programs:1: /no/where: No such file or directory"),
        (
            "echo /etc/passwd > programs",
            "DIR/d/programs:1: /etc/passwd: is not a 64-bit ELF program\nhelp: give the",
        ),
        (
            "printf '/bin/ls\\n/bin/ls\\n' > programs",
            "DIR/d/programs:2: bin/ls: would be in the initramfs twice",
        ),
    ] {
        let refusal = fixture.refusal(&with(&fixture, line));
        assert!(refusal.starts_with(expected), "{line}: {refusal}");
    }
    let absent = Request { drop_ins: vec![fixture.path("absent")], ..fixture.request() };
    assert!(fixture.refusal(&absent).starts_with("DIR/absent: No such file or directory"));
}

#[test]
fn files_that_cannot_go_in_are_refused() {
    let fixture = Fixture::new();
    let init = fixture.path("init").display().to_string();
    let fifo = "DIR/d/files/x/pipe: is a FIFO, which a drop-in cannot bring\nhelp: leave it out";
    for (line, expected) in [
        (
            "mkdir files; echo mine > files/init",
            "DIR/d/files/init: init: /init of the initramfs belongs to init",
        ),
        (
            "mkdir -p files/etc/lamina; echo > files/etc/lamina/modules",
            "DIR/d/files/etc/lamina/modules: etc/lamina/modules: /etc/lamina of the initramfs belongs to init",
        ),
        (
            "mkdir -p files/lib/modules; echo > files/lib/modules/x.ko",
            "DIR/d/files/lib/modules/x.ko: lib/modules/x.ko: /lib/modules of the initramfs belongs to init\nhelp: put it elsewhere; modules of the kernel are named in the list modules",
        ),
        (
            "mkdir -p files/lamina/profiles",
            "DIR/d/files/lamina: lamina: /lamina of the initramfs belongs to init",
        ),
        (
            "mkdir -p files/run; echo > files/run/x",
            "DIR/d/files/run/x: run/x: /run of the initramfs belongs to init",
        ),
        ("mkdir files; ln -s usr/etc files/etc", "DIR/d/files/etc: etc: would be in the initramfs twice"),
        ("mkdir -p files/x; mkfifo files/x/pipe", fifo),
        (
            "mkdir files; ln -s a files/b; ln -s b files/a",
            "DIR/d/files/a: is a link that leads to itself\nhelp: let it",
        ),
        (
            "mkdir files; ln -s ../.. files/up",
            "DIR/d/files/up: points to '../..', out of the initramfs\nhelp: write the",
        ),
        (
            "mkdir files; touch \"files/$(printf 'a\\377b')\"",
            "DIR/d/files/a\u{fffd}b: has a name with bytes that are no text",
        ),
        (
            "mkdir files; touch \"files/$(printf 'a\\001b')\"",
            "DIR/d/files/a\\u{1}b: has a name with bytes that are no text",
        ),
    ] {
        let refusal = fixture.refusal(&with(&fixture, line));
        assert!(refusal.starts_with(expected), "{line}: {refusal}");
    }
    // Two drop-ins with one file: neither wins by chance.
    let mut two = with(&fixture, "mkdir files; echo one > files/same");
    shell(fixture.folder.path(), "cp -r d e");
    two.drop_ins.push(fixture.path("e"));
    assert!(fixture.refusal(&two).starts_with("DIR/e/files/same: same: would be in the initramfs twice"));
    assert!(fs::metadata(init).is_ok());
}

#[test]
fn a_device_node_is_refused_where_one_can_be_made() {
    let fixture = Fixture::new();
    // Only root may make one; a FIFO takes the same way for everybody else.
    let line = "mkdir files; mknod files/null c 1 3 2>/dev/null || mkfifo files/null";
    let refusal = fixture.refusal(&with(&fixture, line));
    assert!(
        refusal.contains("DIR/d/files/null: is a ") && refusal.contains("which a drop-in cannot bring"),
        "{refusal}"
    );
}

#[test]
fn hooks_go_in_where_init_looks_for_them() {
    let fixture = Fixture::new();
    let line = "mkdir -p hooks/before-store hooks/before-switch; printf '#!/bin/app -x\\n' > hooks/before-store/10-app; \
        cp /usr/sbin/mkfs.ext4 hooks/before-switch/20-make; mkdir -p files/bin files/opt; echo '#! /bin/true' > files/opt/app; \
        echo /bin/true > programs; ln -s ../opt/app files/bin/link; ln -s link files/bin/app; chmod 755 hooks/*/* files/opt/app";
    let plan = with(&fixture, line).plan().expect("a plan");
    let report = plan.to_string();
    let expected = ", hooks lib/lamina/hooks/before-store/10-app lib/lamina/hooks/before-switch/20-make\n";
    assert!(report.contains(expected) && report.contains("needed by 20-make"), "{report}");
    let mode = |path: &str| plan.contents.get(path).map(|entry| entry.mode);
    assert_eq!(mode("lib/lamina/hooks/before-store/10-app"), Some(0o755));
}

#[test]
fn hooks_that_cannot_run_are_refused() {
    let fixture = Fixture::new();
    let points = "DIR/d/hooks/before-stor: is no point of a boot at which init runs hooks\nhelp: did you mean 'before-store'?";
    let hook = "DIR/d/hooks/before-store/a";
    for (line, expected) in [
        ("mkdir -p hooks/before-stor", points),
        ("mkdir hooks; touch hooks/before-store", "DIR/d/hooks/before-store: is no folder\nhelp: "),
        ("touch hooks", "DIR/d/hooks: is no folder\nhelp: hooks is a folder"),
        ("mkdir -p hooks/before-store/a", &format!("{hook}: is no regular file\nhelp: ")),
        (
            "mkdir -p hooks/before-store; ln -s /bin/true hooks/before-store/a",
            &format!("{hook}: is no regular file"),
        ),
        (
            "mkdir -p hooks/before-store; touch hooks/before-store/a",
            &format!("{hook}: may not be executed\nhelp: "),
        ),
        (
            "mkdir -p hooks/before-store; echo true > hooks/before-store/a; chmod 755 hooks/*/a",
            &format!(
                "{hook}: is not a 64-bit ELF program\nhelp: a hook is a program of this machine, or a script"
            ),
        ),
        (
            "mkdir -p hooks/before-store; echo '#!/bin/sh' > hooks/before-store/a; chmod 755 hooks/*/a",
            &format!(
                "{hook}: is read by /bin/sh, which is not in the initramfs\nhelp: a shell comes with --busybox"
            ),
        ),
        (
            "mkdir -p hooks/before-store files/bin; echo '#!/bin/app' > hooks/before-store/a; chmod 755 hooks/*/a; \
             echo > files/bin/real; chmod 644 files/bin/real; ln -s real files/bin/app",
            &format!("{hook}: is read by /bin/app, and /bin/real may not be executed\nhelp: make it"),
        ),
        (
            "mkdir -p hooks/before-store files/bin; echo '#!/bin/app' > hooks/before-store/a; chmod 755 hooks/*/a; \
             ln -s /opt/gone files/bin/app",
            &format!(
                "{hook}: is read by /bin/app, which leads to /opt/gone, which is not in the initramfs\nhelp: "
            ),
        ),
        (
            "mkdir -p hooks/before-store files/bin/app; echo '#!/bin/app' > hooks/before-store/a; chmod 755 hooks/*/a",
            &format!("{hook}: is read by /bin/app, and /bin/app is no regular file\nhelp: "),
        ),
        (
            "mkdir -p hooks/before-store files/bin; echo '#!/bin/app' > hooks/before-store/a; echo '#! /bin/sh -e' > files/bin/app; \
             chmod 755 hooks/*/a files/bin/app",
            &format!(
                "{hook}: is read by /bin/app, which is read by /bin/sh, which is not in the initramfs\nhelp: "
            ),
        ),
        (
            "mkdir -p hooks/before-store files/bin; echo '#!/bin/a' > hooks/before-store/a; echo '#!/bin/b' > files/bin/a; \
             echo '#!/bin/a' > files/bin/b; chmod 755 hooks/*/a files/bin/*",
            &format!("{hook}: is read by /bin/a, which is read by /bin/b, which is read by /bin/a, which"),
        ),
        (
            "mkdir -p hooks/before-store files/bin; echo '#!/bin/app' > hooks/before-store/a; echo hello > files/bin/app; \
             chmod 755 hooks/*/a files/bin/app",
            &format!("{hook}: is read by /bin/app, and /bin/app is neither a program nor a script\nhelp: "),
        ),
        (
            "mkdir -p hooks/before-store; echo '#! ' > hooks/before-store/a; chmod 755 hooks/*/a",
            &format!("{hook}: has nothing behind its #!\nhelp: write #!"),
        ),
        (
            "mkdir -p files/lib/lamina/hooks/before-store; echo > files/lib/lamina/hooks/before-store/a",
            "DIR/d/files/lib/lamina/hooks: lib/lamina/hooks: /lib/lamina/hooks of the initramfs belongs to init",
        ),
    ] {
        let refusal = fixture.refusal(&with(&fixture, line));
        assert!(refusal.starts_with(expected), "{line}: {refusal}");
    }
    // Two drop-ins with one hook: neither wins by chance. At another point it is another one.
    let line = "mkdir -p hooks/before-store; cp /usr/sbin/mkfs.ext4 hooks/before-store/a";
    let mut two = with(&fixture, line);
    shell(fixture.folder.path(), "cp -r d e");
    two.drop_ins.push(fixture.path("e"));
    let refusal = fixture.refusal(&two);
    let expected =
        "DIR/e/hooks/before-store/a: another drop-in has a hook of this name at this point\nhelp: give one";
    assert!(refusal.starts_with(expected), "{refusal}");
    shell(fixture.folder.path(), "mv e/hooks/before-store e/hooks/before-switch");
    let hooks: Vec<_> = two.plan().expect("a plan").drop_ins.into_iter().flat_map(|it| it.hooks).collect();
    assert_eq!(hooks, ["lib/lamina/hooks/before-store/a", "lib/lamina/hooks/before-switch/a"]);
}
