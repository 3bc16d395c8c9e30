//! What a step tries against the machine that it runs on, and does not get, whoever builds.

mod caller;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;

use nix::sys::signal::Signal;

use crate::sandbox::{Way, Workshop, send, wait_until};

/// A recipe with one step.
fn install(workshop: &Workshop, name: &str, script: &str) {
    workshop.recipe(name, &format!("step \"install\" \"\"\"\n{script}\n\"\"\""));
}

#[test]
fn the_program_that_runs_a_sandbox_stays_as_it_is() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let program = workshop.path("lamina");
        let before = fs::metadata(&program).unwrap();
        let script = r#"
            : > "$OUT/got"
            for exe in /proc/*/exe; do
                case $exe in /proc/self/*|/proc/thread-self/*|"/proc/$$/"*) continue;; esac
                if chmod 6777 "$exe"; then echo mode >> "$OUT/got"; fi
                if chown 0:0 "$exe"; then echo owner >> "$OUT/got"; fi
                if (echo x >> "$exe"); then echo contents >> "$OUT/got"; fi
            done
            "#;
        install(&workshop, "attack", script);
        workshop.succeed(&["build", "attack"]);
        let after = fs::metadata(&program).unwrap();
        assert_eq!((after.mode(), after.uid(), after.len()), (before.mode(), before.uid(), before.len()));
        assert_eq!(workshop.read_from_image("attack", "got"), "", "{way:?}");
    }
}

/// The nodes are those of a private mount namespace, where a file stands in for one of them.
#[test]
fn device_nodes_keep_their_modes() {
    let workshop = Workshop::new(Way::Myself);
    let stand_in = workshop.path("full");
    fs::write(&stand_in, "").unwrap();
    fs::set_permissions(&stand_in, fs::Permissions::from_mode(0o666)).unwrap();
    install(
        &workshop,
        "attack",
        r#"
        if chmod 600 /dev/full; then echo chmod; fi > "$OUT/got"
        if chown 0:0 /dev/full; then echo chown; fi >> "$OUT/got"
        if touch /dev/full; then echo touch; fi >> "$OUT/got"
        if rm -f /dev/full; then echo rm; fi >> "$OUT/got"
        echo more > /dev/null
        "#,
    );
    let namespace: &[&str] = if nix::unistd::geteuid().is_root() { &["-m"] } else { &["-U", "-r", "-m"] };
    let output = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-ec", "mount --bind \"$0\" /dev/full; exec \"$@\""])
        .arg(&stand_in)
        .args(workshop.words(&["build", "attack"]))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::metadata(&stand_in).unwrap().mode() & 0o7777, 0o666);
    assert_eq!(workshop.read_from_image("attack", "got"), "");
}

#[test]
fn nobody_else_reaches_what_a_build_makes_while_it_runs() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let script = r#"cp /usr/bin/id "$OUT/id"; chmod 6755 "$OUT" "$OUT/id"; echo started; sleep 987654"#;
        install(&workshop, "attack", script);
        let mut lamina = workshop.start(&["build", "attack"]);
        wait_until("the build has started", || workshop.logs().contains("started"));
        let scratch = workshop.scratch();
        let folder = scratch.iter().find(|name| name.starts_with("attack-")).unwrap();
        let folder = workshop.path("store/tmp").join(folder);
        let made = fs::metadata(folder.join("out/id"));
        // For another user the way ends above.
        let open = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o077;
        let tmp = open(&workshop.path("store/tmp"));
        let closed = (tmp & open(&folder), open(&workshop.path("store/trees")));
        send(&lamina, Signal::SIGKILL);
        lamina.wait().unwrap();
        assert_eq!(closed, (0, 0), "{way:?}");
        if way == Way::Myself && nix::unistd::geteuid().is_root() {
            assert_eq!(made.unwrap().uid(), builder::sandbox::BUILD_USER, "a program of root's with 4755");
        }
    }
}

#[test]
fn descriptors_and_environment_of_the_caller_stay_outside() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let script = r#"
            ls /proc/self/fd > "$OUT/descriptors"
            for one in /proc/[0-9]*; do
                case $one in "/proc/$$") continue;; esac
                cat "$one/environ" || true
                ls "$one/fd/" || true
            done > "$OUT/others" 2> /dev/null
            env > "$OUT/own"
            "#;
        install(&workshop, "attack", script);
        let output = Command::new("sh")
            .args(["-ec", "exec 9< / 8> \"$0\"; exec \"$@\""])
            .arg(workshop.path("written"))
            .args(workshop.words(&["build", "attack"]))
            .env("SECRET", "swordfish")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let seen = |name: &str| workshop.read_from_image("attack", name);
        // The last is that of `ls`.
        assert_eq!(seen("descriptors"), "0\n1\n2\n3\n", "{way:?}");
        // What is seen of other processes is of the step's own.
        let (others, own) = (seen("others"), seen("own"));
        assert!(!others.contains("swordfish") && !own.contains("swordfish"), "{others}{own}");
        assert!(!others.lines().any(|line| ["8", "9"].contains(&line)), "{others}");
    }
}

/// add_key(2) is 248 and keyctl(2) 250 on this architecture; perl is what Debian always has.
#[test]
fn keys_of_the_caller_cannot_be_found() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let search = r#"my @a = ("user", "lamina-test", "secret"); my $key = syscall(250, 10, -3, $a[0], $a[1], 0); print $key == -1 ? "none" : "found""#;
        let script = format!(
            "perl -e '{search}' > \"$OUT/key\"\ngrep -c lamina-test /proc/keys > \"$OUT/list\" || true"
        );
        install(&workshop, "attack", &script);
        let add = r#"my @k = ("user", "lamina-test", "secret"); syscall(250, 1, 0); syscall(248, $k[0], $k[1], $k[2], 6, -3) > 0 or die "no key: $!"; "#;
        let run = |program: &str, rest: Vec<std::ffi::OsString>| {
            let output = Command::new("perl").args(["-e", program]).args(rest).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(run(&format!("{add}{search}"), Vec::new()), "found", "the search works outside");
        run(&format!("{add}exec @ARGV or die"), workshop.words(&["build", "attack"]));
        assert_eq!(workshop.read_from_image("attack", "key"), "none", "{way:?}");
        assert_eq!(workshop.read_from_image("attack", "list"), "0\n");
    }
}

#[test]
fn the_loopback_interface_works_and_there_is_no_other() {
    let server = "use IO::Socket::INET; my $s = IO::Socket::INET->new(Listen => 1, LocalAddr => q(127.0.0.1)) or die; \
                  my $c = IO::Socket::INET->new(PeerAddr => q(127.0.0.1), PeerPort => $s->sockport) or die; print q(connected)";
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let script = format!(
            "perl -e '{server}' > $OUT/answer\ntail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' ' > $OUT/interfaces"
        );
        install(&workshop, "local", &script);
        workshop.succeed(&["build", "local"]);
        assert_eq!(workshop.read_from_image("local", "answer"), "connected", "{way:?}");
        assert_eq!(workshop.read_from_image("local", "interfaces"), "lo\n");
    }
}

#[test]
fn layers_sources_and_recipe_belong_to_user_0_whoever_builds() {
    let mut seen = Vec::new();
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let odd = "step \"install\" \"install -d $OUT/odd; touch $OUT/odd/file; chmod 640 $OUT/odd/file\"\n\
                   metadata \"/odd/file\" mode=\"4751\" user=7 group=33\nmetadata \"/odd\" mode=\"2770\" group=33";
        workshop.recipe("odd", odd);
        workshop.write("packages/look/conf", "x");
        let look = "file \"conf\"\nbuild-depends {\n odd\n }\nstep \"install\" \"\"\"\n\
                    stat -c '%n %a %u %g' /odd /odd/file /recipe /recipe/conf /sources /build /out / > $OUT/seen\n\
                    cp -a /odd $OUT/copy; find / -xdev -path /proc -prune -o ! -uid 0 -print -o ! -gid 0 -print > $OUT/others\n\"\"\"";
        workshop.recipe("look", look);
        workshop.succeed(&["build", "look"]);
        let stat = workshop.read_from_image("look", "seen");
        assert!(
            stat.starts_with("/odd 770 0 0\n/odd/file 751 0 0\n/recipe 755 0 0\n/recipe/conf 644 0 0\n"),
            "{stat}"
        );
        assert_eq!(workshop.read_from_image("look", "others"), "", "{way:?}");
        seen.push((stat, workshop.record("look")["digest"].to_string()));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1, "root and an ordinary user saw different things: {seen:?}");
}

/// Neither the umask counts, nor a store in a folder that hands its group down.
#[test]
fn the_place_of_the_store_is_not_seen() {
    let mut seen = Vec::new();
    for mask in ["022", "077", "002"] {
        let workshop = Workshop::new(Way::Myself);
        install(
            &workshop,
            "look",
            "stat -c '%n %a %u %g' /out /build /recipe /sources > $OUT/seen; mkdir $OUT/d; stat -c '%a %g' $OUT/d >> $OUT/seen",
        );
        if mask == "002" {
            let tmp = workshop.path("store/tmp");
            fs::create_dir_all(&tmp).unwrap();
            fs::set_permissions(&tmp, fs::Permissions::from_mode(0o2755)).unwrap();
        }
        let output = Command::new("sh")
            .args(["-ec", "umask \"$0\"; exec \"$@\"", mask])
            .args(workshop.words(&["build", "look"]))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        seen.push(workshop.read_from_image("look", "seen"));
    }
    assert_eq!(seen[0], "/out 755 0 0\n/build 755 0 0\n/recipe 755 0 0\n/sources 755 0 0\n755 0\n");
    seen.dedup();
    assert_eq!(seen.len(), 1, "{seen:?}");
}

/// ramfs has no idmapped mounts, as overlayfs has none, on which the root of a container or of a live system lies.
#[test]
fn a_file_system_that_cannot_map_owners_shows_the_same() {
    let workshop = Workshop::new(Way::Myself);
    workshop.write("packages/look/conf", "x");
    let look = "file \"conf\"\nstep \"install\" \"find / -xdev -path /proc -prune -o ! -uid 0 -print -o ! -gid 0 -print > $OUT/others; \
                stat -c '%u %g' /recipe/conf /recipe /sources >> $OUT/others\"";
    workshop.recipe("look", look);
    let namespace: &[&str] = if nix::unistd::geteuid().is_root() { &["-m"] } else { &["-U", "-r", "-m"] };
    let script = "store=$1; shift; mkdir \"$store.on\"; mount -t ramfs none \"$store.on\"; cp -r \"$store/.\" \"$store.on\"; \
                  mount --rbind \"$store.on\" \"$store\"; \"$@\"; cat \"$store\"/trees/*/stamp > \"$0\"; \"$@\" --check; \
                  cat \"$store\"/trees/*/stamp | cmp - \"$0\"; cp \"$store\"/images/* \"$store\"/builds/* \"$store.on/../\"";
    let output = Command::new("unshare")
        .args(namespace)
        .args(["sh", "-ec", script])
        .args([workshop.path("stamps"), workshop.path("store")])
        .args(workshop.words(&["build", "look"]))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("was changed since"), "{told}");
    let images = fs::read_dir(workshop.path(""))
        .unwrap()
        .flatten()
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "sqfs"));
    let read = |entry: fs::DirEntry| squashfs::Image::open(&entry.path()).unwrap().read(b"others").ok();
    let seen: Vec<String> = images.filter_map(read).map(|bytes| String::from_utf8(bytes).unwrap()).collect();
    assert_eq!(seen, ["0 0\n0 0\n0 0\n"]);
}

/// Numbers of x86-64 (`arch/x86/entry/syscalls/syscall_64.tbl`) and errors of errno(3); ordinary calls go on.
#[test]
fn system_calls_that_no_build_needs_are_refused() {
    let calls = "my @calls = (\
        [unshare => 272, 0x10000000, 0], [clone => 56, 0x10000011, 0], [clone3 => 435, 0, 0], [io_uring_setup => 425, 1, 0],\
        [userfaultfd => 323, 1, 0], [keyctl => 250, 0, -3], [add_key => 248, 0, 0], [bpf => 321, 0, 0], [ptrace => 101, 0, 0],\
        [mount => 165, 0, 0], [open_tree => 428, -100, 0], [perf_event_open => 298, 0, 0], [getpid_x32 => 0x40000027, 0, 0],\
        [ioctl => 16, 0, 0x5412], [alg => 41, 38, 5], [packet => 41, 17, 3], [unix => 41, 1, 1], [inet => 41, 2, 1],\
        [unshare_files => 272, 0x400, 0]);\
        for (@calls) { my ($name, $call, $one, $two) = @$_; $! = 0; my $got = syscall($call, $one, $two, 0, 0, 0);\
        printf q(%s %d%s), $name, $got < 0 ? $! + 0 : 0, qq(\\n) }";
    let expected = "unshare 1\nclone 1\nclone3 38\nio_uring_setup 38\nuserfaultfd 1\nkeyctl 1\nadd_key 1\nbpf 1\nptrace 1\n\
        mount 1\nopen_tree 1\nperf_event_open 1\ngetpid_x32 38\nioctl 1\nalg 97\npacket 97\nunix 0\ninet 0\nunshare_files 0\n";
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.write("packages/calls/calls.pl", calls);
        workshop
            .recipe("calls", "file \"calls.pl\"\nstep \"install\" \"perl /recipe/calls.pl > $OUT/answers\"");
        workshop.succeed(&["build", "calls"]);
        assert_eq!(workshop.read_from_image("calls", "answers"), expected, "{way:?}");
    }
}
