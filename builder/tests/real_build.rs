//! Real builds in the real sandbox, over the bootstrap layer of this repository.
//!
//! They run as whoever runs them; as root, the tests about ordinary users run `lamina` as user 65534 too. The bootstrap
//! layer is made once for each lock file, from the cache (`~/.cache/lamina`) or the Debian archive.

mod containment;
mod sandbox;

use std::fs;
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use sandbox::{Workshop, wait_until};

const SEE: &str = r#"
    step "install" """
        mkdir -p "$OUT/seen"
        cd "$OUT/seen"
        uname -n > hostname
        id -u > user
        env | sort > environment
        printf '%s\\n' "$@" > arguments
        ls / > root
        ls /dev > devices
        tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' > network
        ls /proc | grep -c '^[0-9]' > processes
        (mount -t tmpfs none /tmp 2>&1 || true) > mount
        (echo 1 > /proc/sys/kernel/panic) 2> sysctl || true
        (echo x > /recipe/conf) 2> recipe || true
        cat /recipe/conf > conf
        """
"#;

#[test]
fn a_build_sees_its_stack_and_nothing_else() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.write("packages/see/conf", "from the recipe\n");
        workshop.recipe(
            "see",
            &format!(
                "file \"conf\"\nfeature \"x-y\" default=#true\nfeature \"off\" default=#false\n\
                 feature \"tls\" \"a\" \"b\" default=\"b\"\narguments \"install\" \"--x\" \"two words\" when=\"tls=b\"\n{SEE}"
            ),
        );
        workshop.succeed(&["build", "see"]);
        // The text of its id is kept, and that of the layer under it, which an earlier version has built.
        let explained = workshop.succeed(&["build", "see", "--explain-id"]);
        let (text, id) = explained.trim_end().rsplit_once('\n').unwrap();
        let kept = |hex: &str| fs::read_to_string(workshop.store().join("ids").join(hex)).unwrap();
        assert_eq!(kept(id.strip_prefix("sha256:").unwrap()), format!("{text}\n"));
        let bootstrap = text.lines().find_map(|line| line.strip_prefix("bootstrap ")).unwrap();
        assert!(kept(bootstrap).contains("\nname bootstrap\n"));
        let seen = |name: &str| workshop.read_from_image("see", &format!("seen/{name}"));
        assert_eq!((seen("hostname").as_str(), seen("user").as_str()), ("lamina\n", "0\n"), "{way:?}");
        assert_eq!(seen("network"), "lo\n");
        assert_eq!(
            seen("devices"),
            "fd\nfull\nnull\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n"
        );
        assert_eq!(seen("conf"), "from the recipe\n");
        assert_eq!(seen("arguments"), "--x\ntwo words\n");
        assert!(seen("mount").contains("mount"), "{}", seen("mount"));
        for refused in ["sysctl", "recipe"] {
            assert!(seen(refused).contains("ead-only file system"), "{refused}: {}", seen(refused));
        }
        let environment = seen("environment");
        for line in [
            "FEATURE_X_Y=1",
            "FEATURE_TLS=b",
            "SOURCE_DATE_EPOCH=315532800",
            "LC_ALL=C",
            "TZ=UTC",
            "HOME=/build",
            "OUT=/out",
        ] {
            assert!(environment.lines().any(|it| it == line), "{line} in {environment}");
        }
        assert!(!environment.contains("FEATURE_OFF") && !environment.contains("CARGO"), "{environment}");
        assert!(seen("processes").trim().parse::<u32>().unwrap() < 12);
        let root = seen("root");
        for name in ["home", "work", "host"] {
            assert!(!root.lines().any(|it| it == name), "{root}");
        }
    }
}

#[test]
fn builds_see_the_images_of_their_dependencies() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.recipe(
            "tool",
            "step \"install\" \"install -d $OUT/usr/share; echo made > $OUT/usr/share/tool\"",
        );
        workshop
            .recipe("user", "build-depends {\n tool\n }\nstep \"install\" \"cp /usr/share/tool $OUT/copy\"");
        workshop.succeed(&["build", "user"]);
        assert_eq!(workshop.read_from_image("user", "copy"), "made\n", "{way:?}");
        let again = workshop.succeed(&["build", "user"]);
        assert!(again.contains("nothing to build"), "{again}");
    }
}

#[test]
fn the_image_is_the_same_for_every_user_and_number_of_jobs() {
    let ways = Workshop::ways();
    let digests: Vec<String> = ["1", "2"]
        .into_iter()
        .zip(ways.iter().cycle())
        .map(|(jobs, way)| {
            let workshop = Workshop::new(*way);
            let steps = "step \"install\" \"mkdir -p $OUT/a; seq 200000 > $OUT/a/b; ln $OUT/a/b $OUT/a/c; chmod 4711 $OUT/a/b\"";
            workshop.recipe("same", steps);
            workshop.succeed(&["build", "same", "--jobs", jobs]);
            workshop.record("same")["digest"].to_string()
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_failed_build_shows_the_end_of_its_log_and_keeps_nothing_else() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("broken", "step \"make\" \"echo the reason; exit 3\"\nstep \"install\" \"echo never\"");
    let message = workshop.fail(&["build", "broken"]);
    for part in [
        "package broken 1: the build failed",
        "    the reason",
        "step make ended with status 3",
        "help: the whole log is",
    ] {
        assert!(message.contains(part), "{part} in\n{message}");
    }
    assert!(!message.contains("never"), "{message}");
    let log = message.rsplit(' ').next().unwrap().trim();
    assert!(fs::read_to_string(log).unwrap().contains("the reason"));
    assert_eq!(workshop.scratch(), [] as [String; 0]);
    assert!(!workshop.has_record("broken"));
}

#[test]
fn check_finds_a_build_that_is_not_reproducible() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe(
        "steady",
        "step \"install\" \"mkdir $OUT/d; date > $OUT/d/plain; rm $OUT/d/plain; echo x > $OUT/d/x\"",
    );
    workshop.recipe("clock", "step \"install\" \"mkdir $OUT/d; date +%N > $OUT/d/clock; : > $OUT/d/only-here-$(cat /proc/sys/kernel/random/uuid)\"");
    let told = workshop.succeed(&["build", "--check", "steady"]);
    assert!(told.contains("same bits steady 1"), "{told}");
    let message = workshop.fail(&["build", "--check", "clock"]);
    for part in [
        "in 3 places:\n",
        "    /d/clock: contents from byte ",
        "    /d/only-",
        "both images and the list are in ",
    ] {
        assert!(message.contains(part), "{part} in\n{message}");
    }
    let kept = workshop.kept_checks();
    assert_eq!(kept, ["differences.txt", "first.sqfs", "second.sqfs"]);
    // Another one that fails does not keep the next from being checked, and what is right again leaves nothing.
    let message = workshop.fail(&["build", "--check", "clock", "steady"]);
    assert!(message.contains("same bits steady 1"), "{message}");
}

#[test]
fn a_killed_build_leaves_no_process_mount_loop_or_output() {
    for way in Workshop::ways() {
        for signal in [Signal::SIGTERM, Signal::SIGKILL] {
            let workshop = Workshop::new(way);
            workshop.recipe("endless", "step \"install\" \"echo > $OUT/part; echo started; sleep 987654\"");
            let before = workshop.images();
            let mut lamina = workshop.start(&["build", "endless"]);
            wait_until("the build has started", || workshop.logs().contains("started"));
            sandbox::send(&lamina, signal);
            assert_eq!(lamina.wait().unwrap().signal(), Some(signal as i32));
            wait_until("its processes are gone", || workshop.processes().is_empty());
            wait_until("its loop devices are gone", || workshop.loop_devices().is_empty());
            assert_eq!(workshop.mounts(), [] as [String; 0], "{way:?} {signal}");
            assert!(!workshop.has_record("endless"));
            assert_eq!(workshop.images(), before);
            workshop.succeed(&["store", "verify"]);
            assert_eq!(workshop.scratch(), [] as [String; 0], "the next command sweeps");
        }
    }
}

/// Deeper than a path may be long, and without rights: only root got rid of that before.
#[test]
fn a_failed_build_may_leave_any_depth_and_any_rights() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe(
        "deep",
        "step \"install\" \"cd /build; i=0; while [ $i -lt 450 ]; do mkdir 0123456789; cd 0123456789; i=$((i+1)); done; \
         echo > file; chmod 0 file .; chmod 0 /build/0123456789; exit 1\"",
    );
    workshop.fail(&["build", "deep"]);
    assert_eq!(workshop.scratch(), [] as [String; 0]);
    workshop.succeed(&["store", "verify"]);
}

/// The same steps make an image where the package is asked for as a dynamic one.
#[test]
fn a_static_package_with_a_program_for_a_loader_is_refused_after_the_build() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    let steps = r#"linkage "static" "dynamic" default="static"
    step "install" """
        mkdir -p "$OUT/usr/bin"
        echo 'int main(void) { return 0; }' > main.c
        gcc -static -o "$OUT/usr/bin/whole" main.c
        gcc -o "$OUT/usr/bin/half" main.c
        """
"#;
    workshop.recipe("both", steps);
    let told = workshop.fail(&["build", "both"]);
    for part in ["package both: is linked statically", "/usr/bin/half is not", "`$LINKAGE`"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!workshop.has_record("both"));
    workshop.succeed(&["build", "both", "linkage=dynamic"]);
}

#[test]
fn a_forbidden_layout_is_refused_after_the_build() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("wrong", "step \"install\" \"mkdir -p $OUT/bin; echo > $OUT/bin/x\"");
    let message = workshop.fail(&["build", "wrong"]);
    assert!(message.contains("package wrong: /bin: the build made a folder"), "{message}");
    assert!(!workshop.has_record("wrong"));
}
