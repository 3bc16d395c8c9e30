//! What a build may use, and what of its output reaches people: real builds that go too far.

#[allow(dead_code)]
mod sandbox;

use sandbox::{Workshop, wait_until};

fn install(script: &str) -> String {
    format!("step \"install\" #\"\"\"\n{script}\n\"\"\"#")
}

#[test]
fn a_build_that_takes_too_long_is_ended_with_all_its_processes() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let sleeper =
            "(while true; do echo tick; sleep 0.1; done) & (sleep 987654 > /dev/null 2>&1 &); sleep 987654";
        workshop.recipe("endless", &install(sleeper));
        let message = workshop.fail(&["build", "endless", "--timeout", "1s"]);
        for part in [
            "package endless 1: the build was ended: it ran for 1s, its time limit",
            "    tick",
            "--timeout 4h",
        ] {
            assert!(message.contains(part), "{part} in\n{message}");
        }
        wait_until("its processes are gone", || workshop.processes().is_empty());
        assert!(!workshop.has_record("endless"));

        workshop
            .recipe("mute", &format!("limits silence=\"1s\"\n{}", install("echo said; exec sleep 987654")));
        let message = workshop.fail(&["build", "mute"]);
        assert!(message.contains("it wrote nothing for 1s, its silence limit"), "{message}");
        wait_until("its processes are gone", || workshop.processes().is_empty());
        assert_eq!(workshop.scratch(), [] as [String; 0]);
    }
}

#[test]
fn the_command_line_is_stronger_than_the_recipe_and_none_of_it_is_in_the_id() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    let steps = install("sleep 2; echo > $OUT/x");
    workshop.recipe("slow", &steps);
    let id = workshop.succeed(&["build", "slow", "--explain-id"]);
    let limits = "limits timeout=\"1s\" silence=\"1s\" memory=\"1G\" processes=200 tmpfs=\"10M\"\n";
    workshop.recipe("slow", &format!("{limits}{steps}"));
    assert_eq!(workshop.succeed(&["build", "slow", "--explain-id"]), id);
    workshop.fail(&["build", "slow"]);
    workshop.succeed(&["build", "slow", "--timeout", "none", "--silence", "1h"]);
    assert!(workshop.has_record("slow"));
}

#[test]
fn memory_is_limited_for_one_process_and_for_all() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        // `tail` keeps a line without an end in memory.
        workshop.recipe("large", &install("head -c 200M /dev/zero | tail -n 1 > $OUT/x"));
        let message = workshop.fail(&["build", "large", "--memory", "100M"]);
        assert!(message.contains("the build failed"), "{message}");
        assert!(message.contains("memory exhausted") && message.contains("--memory 16G"), "{message}");
        workshop.succeed(&["build", "large", "--memory", "2G"]);

        let one = "(head -c 60M /dev/zero; sleep 987654) | tail -n 1 > /dev/null &\n";
        workshop.recipe("many", &install(&format!("{}wait", one.repeat(4))));
        let message = workshop.fail(&["build", "many", "--memory", "100M"]);
        assert!(message.contains("of memory, and its limit is 100.0 MiB"), "{message}");
        wait_until("its processes are gone", || workshop.processes().is_empty());
    }
}

/// memfd_create(2) is 319 of x86-64, shmget(2) 29; a pipe and a socket hold no more than the machine gives each user (pipe(7)).
#[test]
fn shared_memory_is_limited_too() {
    // Written to, and not mapped.
    let unmapped = "my $n = q(m); my $fd = syscall(319, $n, 0); open(my $m, q(+>&=), $fd) or die; syswrite($m, q(x) x 1048576) for 1 .. 200; sleep 30";
    // mmap(2) is 9: shared by all descendants, and no file's. read(2), 0, fills it.
    let mapped = "my $at = syscall(9, 0, 200 << 20, 3, 0x21, -1, 0); open(my $z, q(<), q(/dev/zero)) or die; syscall(0, fileno($z), $at, 200 << 20); sleep 30";
    // What a segment of System V takes belongs to no process.
    let segment = "my $id = shmget(0, 200 << 20, 0600); die qq(shmget: $!\\n) if !defined $id; print qq(got it\\n); shmwrite($id, q(x) x 1048576, $_ << 20, 1048576) for 0 .. 199; sleep 30";
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let limits = ["--memory", "100M", "--tmpfs", "100M"];
        for (name, program, told) in [
            ("unmapped", unmapped, "of memory, and its limit is 100.0 MiB"),
            ("mapped", mapped, "of memory, and its limit is 100.0 MiB"),
            // Before Linux 6.9 it is seen as long as it is attached.
            ("segment", segment, "shmget: "),
        ] {
            workshop.recipe(name, &install(&format!("perl -e '{program}'")));
            let message = workshop.fail(&[&["build", name][..], &limits].concat());
            assert!(message.contains(told) && !message.contains("got it"), "{way:?} {name}: {message}");
            wait_until("its processes are gone", || workshop.processes().is_empty());
        }
        let few = unmapped.replace("200;", "40;").replace("sleep 30", "sleep 2");
        workshop.recipe("few", &install(&format!("perl -e '{few}'\necho > $OUT/x")));
        workshop.succeed(&[&["build", "few"][..], &limits].concat());
    }
}

#[test]
fn a_build_that_multiplies_is_held_up() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.recipe("bomb", &install("for i in $(seq 300); do sleep 987654 & done\nwait"));
        let message = workshop.fail(&["build", "bomb", "--processes", "100"]);
        let refused =
            message.contains("Cannot fork") && message.contains("if 100 processes and threads are too few");
        let ended = message.contains("it had 100 processes and threads at once, its limit");
        assert!(refused || ended, "{way:?}: {message}");
        wait_until("its processes are gone", || workshop.processes().is_empty());
    }
}

#[test]
fn every_tmpfs_has_an_end() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    for folder in ["/tmp", "/dev/shm", "/root", "/dev", "/usr/lib"] {
        let script = format!("df -P {folder} | tail -n 1\nhead -c 20M /dev/zero > {folder}/x; echo fits");
        workshop.recipe("full", &install(&script));
        let message = workshop.fail(&["build", "full", "--tmpfs", "8M"]);
        assert!(message.contains("No space left on device"), "{folder}: {message}");
        assert!(!message.contains("    fits") && message.contains("--tmpfs"), "{folder}: {message}");
    }
    workshop.recipe("names", &install("cd /tmp; i=0; while [ $i -lt 3000 ]; do : > $i; i=$((i + 1)); done"));
    let message = workshop.fail(&["build", "names", "--tmpfs", "8M"]);
    assert!(message.contains("No space left on device") || message.contains("Cannot create"), "{message}");
}

#[test]
fn a_build_cannot_shorten_or_read_its_own_log() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        let script = "echo the first line\n\
            for end in /proc/self/fd/1 /proc/1/fd/1 /proc/1/fd/2 /dev/stdout; do\n\
              (: > $end) || true\n truncate -s 0 $end || true\ndone\n\
            stat -L -c %F /proc/self/fd/1\n\
            for fd in 3 4 5 6 7 8 9; do [ ! -e /proc/self/fd/$fd ] || ls -l /proc/self/fd/$fd; done\nexit 1";
        workshop.recipe("eraser", &install(script));
        let message = workshop.fail(&["build", "eraser"]);
        assert!(message.contains("    the first line") && message.contains("    fifo"), "{way:?}: {message}");
        assert!(workshop.logs().contains("the first line\n"), "{}", workshop.logs());
        let shown: Vec<&str> = message.lines().filter(|line| line.starts_with("    ")).collect();
        assert!(!shown.concat().contains("/logs/"), "a descriptor of the log itself: {message}");
    }
}

#[test]
fn what_a_build_writes_does_not_command_the_terminal() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe(
        "painter",
        &install("printf '\\033]0;owned\\007\\033[2Jplain \\033[31mred\\033[0m\\n\\233x\\b\\n'; exit 1"),
    );
    let message = workshop.fail(&["build", "painter"]);
    assert!(message.contains("    plain red\n"), "{message}");
    assert!(!message.contains(|c: char| c.is_control() && c != '\n'), "{message:?}");
}

#[test]
fn two_processes_build_a_package_once() {
    for way in Workshop::ways() {
        let workshop = Workshop::new(way);
        workshop.recipe("shared", &install("sleep 8; echo > $OUT/x"));
        let told: Vec<String> = std::thread::scope(|scope| {
            let build = || workshop.succeed(&["build", "shared"]);
            let both = [scope.spawn(build), scope.spawn(build)];
            both.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let (made, waited): (Vec<&String>, Vec<&String>) =
            told.iter().partition(|text| text.contains("built shared 1: "));
        assert_eq!((made.len(), waited.len()), (1, 1), "{told:#?}");
        for part in
            ["wait for another process, which builds shared 1", "use shared 1: another process has built it"]
        {
            assert!(waited[0].contains(part), "{part} in {}", waited[0]);
        }
        assert_eq!(workshop.logs().matches("lamina: step install").count(), 1);
    }
}

#[test]
fn who_waits_for_a_build_that_is_killed_builds_itself() {
    let workshop = Workshop::new(Workshop::ways()[0]);
    workshop.recipe("shared", &install("echo started; sleep 3; echo > $OUT/x"));
    let mut first = workshop.start(&["build", "shared"]);
    wait_until("the first has begun", || workshop.logs().contains("started"));
    std::thread::scope(|scope| {
        let second = scope.spawn(|| workshop.succeed(&["build", "shared"]));
        first.kill().unwrap();
        first.wait().unwrap();
        assert!(second.join().unwrap().contains("built shared 1: "));
    });
}
